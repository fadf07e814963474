"""The contract of every method that plays a group chat: each agent acts as its persona."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from convogen import Experiment, run
from convogen.generation.example_experiences import description, free_text, memories, public_card
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.plugins import registry
from convogen.prompts import load_prompt
from convogen.records import Experience

DIALOGUES = Path(__file__).parent / "dialogues.jsonl"
PAIRS = [
    {
        "speaker persona": ["i keep bees on a roof.", "i was a pilot for nine years."],
        "listener persona": ["i bake bread for my street.", "i have never seen the sea."],
        "dialogue": ["hello there", "hello to you"],
    },
    {
        "speaker persona": ["i repair clocks.", "my sister lives next door."],
        "listener persona": ["i am learning to swim.", "i sing in a choir on mondays."],
        "dialogue": ["good day", "is it?"],
    },
]
CHATS: dict[str, dict[str, Any]] = {
    "convogen": {"participants": [3, 4], "max_turns": 6},
    "convogen, sampled cards": {"personas": "sampled", "max_turns": 6},
    "convogen, sampled texts": {
        "personas": "sampled",
        "persona_source": "hub.txt",
        "participants": 2,
    },
    "convogen, reused": {"personas": "reused", "persona_source": "pairs.json"},
    "augment": {"source": str(DIALOGUES)},
    "diasynth": {"mode": "groupchat", "group_size": 3, "n_personas": 3},
    "diasynth, nobody": {"mode": "groupchat", "personas": False},
}


def played(
    case: str, folder: Path, monkeypatch: pytest.MonkeyPatch, **more: Any
) -> tuple[list[Request], list[Experience]]:
    """Return the requests of a run and its experiences."""
    (folder / "hub.txt").write_text("a baker who sings at work\na pilot afraid of birds\n")
    (folder / "pairs.json").write_text(json.dumps(PAIRS))
    monkeypatch.chdir(folder)
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return improvise(request)

    method = case.split(",")[0]
    settings = {"name": "agents", "method": method, "n": 2, "models": "scripted"}
    experiment = Experiment({**settings, **CHATS[case], **more})
    made = run(experiment, folder / "run", open_model=lambda _: ScriptedModel(script))
    return asked, list(made.experiences())


def is_its_persona(request: Request, experiences: Sequence[Experience]) -> bool:
    """Return whether an agent is addressed as its persona, completely and without other people's
    secrets."""
    system, first = request.messages[0], request.messages[1]
    assert (system.role, first.role) == ("system", "user")
    for experience in experiences:
        for persona in experience.personas:
            others = [other for other in experience.personas if other is not persona]
            own = [*public_card(persona), *memories(persona), free_text(persona)]
            secrets = [memory for other in others for memory in memories(other)]
            if (
                system.content.startswith(f"You are {persona.name},")
                and all(text in system.content for text in own)
                and all(other.name in system.content for other in others)
                and not any(secret in system.content for secret in secrets)
                and first.content.count(f"Topic: {experience.topic}") == 1
            ):
                return True
    return False


@pytest.mark.parametrize("case", CHATS)
def test_each_agent_is_its_persona(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, experiences = played(case, tmp_path, monkeypatch)
    agents = [request for request in asked if request.role == "agent"]
    assert agents
    for request in agents:
        assert is_its_persona(request, experiences), request.messages
        roles = [message.role for message in request.messages]
        assert roles[-1] == "user"
        assert all(one != other for one, other in itertools.pairwise(roles))
        assert all(message.content.strip() for message in request.messages)


@pytest.mark.parametrize("case", CHATS)
def test_the_selector_is_told_who_every_candidate_is(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, experiences = played(case, tmp_path, monkeypatch)
    people = {p.name: p for experience in experiences for p in experience.personas}
    selectors = [request for request in asked if request.role == "selector"]
    assert selectors or all(len(experience.personas) == 2 for experience in experiences)
    for request in selectors:
        system = request.messages[0].content
        assert request.choices
        told = [f"{name}: {description(people[name])}".strip(": ") for name in request.choices]
        assert all(text in system for text in told)


def test_every_method_that_plays_a_group_chat_is_covered() -> None:
    methods = registry.names("methods")
    chats = {name for name in methods if "agent" in registry.load("methods", name).prompt_names}
    assert chats == {case.split(",")[0] for case in CHATS}


def test_an_agent_that_is_not_addressed_as_its_persona_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contract fails if 'You are' is removed from the prompt."""
    text = load_prompt("convogen/agent").path.read_text("utf-8")
    (tmp_path / "agent.md").write_text(text.replace("You are {{ name }}, a", "{{ name }} is a"))
    own = {"prompts": {"agent": str(tmp_path / "agent.md")}}
    asked, experiences = played("convogen", tmp_path, monkeypatch, **own)
    agents = [request for request in asked if request.role == "agent"]
    assert agents
    assert not any(is_its_persona(request, experiences) for request in agents)


def test_what_others_know_is_names_alone_unless_they_are_acquainted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case, knows in (("convogen", True), ("convogen, sampled cards", False)):
        folder = tmp_path / case.replace(", ", "-").replace(" ", "-")
        folder.mkdir()

        def script(request: Request) -> str:
            if request.role == "generator" and '"acquainted"' in json.dumps(request.schema):
                return json.dumps({**json.loads(improvise(request)), "acquainted": False})
            return improvise(request)

        asked: list[Request] = []

        def noted(request: Request, script: Any = script, asked: Any = asked) -> str:
            asked.append(request)
            return script(request)

        experiment = Experiment(
            {"name": "agents", "n": 1, "models": "scripted", **CHATS[case], "participants": 3}
        )
        made = run(experiment, folder / "run", open_model=lambda _, n=noted: ScriptedModel(n))
        people = next(iter(made.experiences())).personas
        for request in (one for one in asked if one.role == "agent"):
            system = request.messages[0].content
            told = next(p for p in people if system.startswith(f"You are {p.name},"))
            seen = [description(other) in system for other in people if other is not told]
            assert all(seen) if knows else not any(seen)
