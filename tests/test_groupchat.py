"""The group chat on AutoGen, driven by the scripted model."""

from __future__ import annotations

import asyncio
import gc
import inspect
import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from autogen_core import SingleThreadedAgentRuntime

from convogen.errors import ModelFault
from convogen.experiences import load_experiences
from convogen.groupchat import ChatPrompts, ChatRules, play_group_chat
from convogen.models.base import Request, Sampling
from convogen.models.journal import Journal
from convogen.models.scripted import ScriptedModel, improvise
from convogen.models.spec import ModelSpec
from convogen.models.tally import Tally
from convogen.models.traffic import Role, Traffic
from convogen.prompts import load_prompt
from convogen.types import Experience, Persona, Starter, Turn

EXPERIENCES = {len(e.personas): e for e in load_experiences()}
PROMPTS = ChatPrompts(*(load_prompt(f"convogen/{s}") for s in ("opening", "agent", "selector")))


def play(
    script: Callable[[Request], str] = improvise,
    experience: Experience = EXPERIENCES[3],
    **changes: object,
) -> tuple[list[Turn], str]:
    rules: dict[str, object] = {
        "max_turns": 8,
        "speaker_selection": "auto",
        "allow_repeats": False,
        "max_words": 25,
        "reasks": 2,
    }
    model = ScriptedModel(script)
    spec = ModelSpec(name="scripted")
    roles = {name: Role(spec, Sampling()) for name in ("agent", "selector")}
    chat_rules = ChatRules(**(rules | changes))  # type: ignore[arg-type]

    async def played(journal: Journal) -> tuple[list[Turn], str]:
        session = Traffic(roles, 4, Tally(), lambda _: model).session(0, 1, journal)
        return await play_group_chat(experience, chat_rules, PROMPTS, session, lambda: None)

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "00000000.jsonl")
        return asyncio.run(asyncio.wait_for(played(journal), 20))


OVERRIDDEN = {
    "_try_serialize": "(self, message)",
    "_create_otel_attributes": (
        "(self, sender_agent_id, recipient_agent_id, message_context, message)"
    ),
    "_tracer_helper.trace_block": (
        "(operation, destination, parent, extraAttributes, kind, attributes, start_time, "
        "record_exception, set_status_on_exception, end_on_exit)"
    ),
}


@pytest.mark.parametrize("member", OVERRIDDEN)
def test_autogens_runtime_has_the_private_members_that_are_overridden(member: str) -> None:
    """AutoGen may change them in any release; its tracing would then be back, unnoticed."""
    advice = f"AutoGen has another {member}: adapt convogen/groupchat/runtime.py to it"
    found: object = (
        SingleThreadedAgentRuntime if "." not in member else SingleThreadedAgentRuntime()
    )
    for name in member.split("."):
        found = getattr(found, name, None)
    assert callable(found), advice
    names = ", ".join(inspect.signature(found).parameters)
    assert f"({names})" == OVERRIDDEN[member], advice
    assert inspect.iscoroutinefunction(found) == (member == "_create_otel_attributes"), advice


def says(*replies: str) -> Callable[[Request], str]:
    """Agents say these one after the other, then improvise; the selector improvises."""
    left = list(replies)
    return lambda request: left.pop(0) if request.role == "agent" and left else improvise(request)


def test_the_starter_opens_and_the_cap_counts_it() -> None:
    turns, ended = play()
    starter = EXPERIENCES[3].starter
    assert (turns[0].speaker, turns[0].text, turns[0].origin) == (
        starter.speaker,
        starter.text,
        "starter",
    )
    assert (len(turns), ended) == (8, "max_turns")
    assert all(turn.origin == "agent" and turn.request for turn in turns[1:])


@pytest.mark.parametrize("max_turns", [1, 2, 3])
def test_small_caps(max_turns: int) -> None:
    assert len(play(max_turns=max_turns)[0]) == max_turns


def test_nobody_speaks_twice_in_a_row_unless_allowed() -> None:
    for size in (2, 3, 5):
        turns, _ = play(experience=EXPERIENCES[size])
        assert all(a.speaker != b.speaker for a, b in itertools.pairwise(turns))

    def stubborn(request: Request) -> str:
        return request.choices[0] if request.choices else improvise(request)

    turns, _ = play(stubborn, allow_repeats=True)
    assert len({turn.speaker for turn in turns[1:]}) == 1


def test_round_robin_goes_round_and_asks_no_selector() -> None:
    turns, _ = play(speaker_selection="round_robin", max_turns=7)
    speakers = [turn.speaker for turn in turns]
    assert speakers[:3] == speakers[3:6]
    assert len(set(speakers[:3])) == 3
    assert all(turn.selection is None for turn in turns)


def test_the_selectors_choice_is_followed_and_recorded() -> None:
    turns, _ = play()
    for turn in turns[1:]:
        assert turn.selection is not None
        assert turn.selection.repair is None
        assert turn.speaker in turn.selection.candidates


def test_a_selector_that_names_nobody_is_repaired_by_the_longest_silent() -> None:
    turns, _ = play(lambda r: "the weather" if r.choices else improvise(r), max_turns=7)
    speakers = [turn.speaker for turn in turns]
    assert speakers[:3] == speakers[3:6]
    assert len(set(speakers[:3])) == 3
    selections = [turn.selection for turn in turns[1:]]
    assert all(s and s.repair == "longest_silent" and s.reply == "the weather" for s in selections)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "empty_reply"),
        ("As an AI language model I have no feelings.", "role_break"),
        ("{others}: It was me.", "role_break"),
    ],
)
def test_a_bad_reply_is_asked_for_again_with_the_reason_recorded(bad: str, why: str) -> None:
    bad = bad.replace("{others}", EXPERIENCES[2].starter.speaker)
    turns, ended = play(says(bad, "A good answer."), EXPERIENCES[2], max_turns=3)
    assert (turns[1].text, turns[1].reasks, ended) == ("A good answer.", [why], "max_turns")


def test_the_complaint_is_shown_to_the_model() -> None:
    prompts: list[str] = []

    def script(request: Request) -> str:
        prompts.append(request.messages[-1].content)
        return "" if len(prompts) == 1 else improvise(request)

    play(script, EXPERIENCES[2], max_turns=2)
    assert "Nothing was said" not in prompts[0]
    assert "Nothing was said" in prompts[1]


def test_a_chat_that_cannot_go_on_ends_with_the_reason() -> None:
    turns, ended = play(lambda r: "" if r.role == "agent" else improvise(r))
    assert (len(turns), ended) == (1, "empty_reply")


def test_repeating_oneself_ends_the_chat_when_asking_again_does_not_help() -> None:
    turns, ended = play(lambda r: "Same old story." if r.role == "agent" else improvise(r))
    assert ended == "repetition"
    assert len({turn.speaker for turn in turns[1:]}) == len(turns) - 1


def test_a_farewell_loop_ends_the_chat() -> None:
    turns, ended = play(says("Nice talking.", "Goodbye!", "Bye, all.", "See you tomorrow."))
    assert (ended, len(turns)) == ("farewell", 5)


def test_another_persons_line_is_cut_off_the_reply() -> None:
    speaker = EXPERIENCES[2].starter.speaker
    turns, _ = play(says(f"My own words.\n{speaker}: Not mine."), EXPERIENCES[2], max_turns=2)
    assert turns[1].text == "My own words."


def test_a_fault_of_the_model_comes_out_with_its_type() -> None:
    for role in ("agent", "selector"):

        def script(request: Request, role: str = role) -> str:
            if request.role == role:
                raise ModelFault("content_filter", "cut", "evidence")
            return improvise(request)

        with pytest.raises(ModelFault) as fault:
            play(script)
        assert fault.value.kind == "content_filter"


def test_every_prompt_of_a_chat_starts_with_nearly_all_of_the_one_before() -> None:
    """Whoever is asked, agent or selector: so an endpoint's prompt cache holds."""
    prompts: list[str] = []

    def script(request: Request) -> str:
        prompts.append("\n".join(message.content for message in request.messages))
        return improvise(request)

    experience = EXPERIENCES[3]
    play(script, experience, max_turns=6)
    assert len(prompts) == 10
    for earlier, later in itertools.pairwise(prompts):
        said = earlier[: earlier.rindex("\n\n")]
        assert experience.topic in said
        assert experience.starter.text in said
        assert later.startswith(said)


def test_memories_are_told_to_their_own_agent_alone() -> None:
    told: dict[str, list[bool]] = {"own": [], "other": [], "selector": []}
    experience = EXPERIENCES[3]

    def script(request: Request) -> str:
        text = "\n".join(message.content for message in request.messages)
        for persona in experience.personas:
            assert persona.card is not None
            assert persona.card.lifestyle in text
            own = text.endswith(f"\n{persona.name}:")
            kind = request.role if request.role == "selector" else ("own" if own else "other")
            memories = persona.card.recent_memory, persona.card.long_term_memory
            told[kind] += [memory in text for memory in memories]
        return improvise(request)

    play(script, experience, max_turns=4)
    assert all(told["own"])
    assert not any(told["other"] + told["selector"])
    assert len(told["own"]) == 6


def test_free_text_is_told_to_its_own_agent_and_the_manager() -> None:
    people = [
        Persona(name=name, text=f"I am {name} and like {what}.")
        for name, what in (("Ada", "kites"), ("Bo", "rain"), ("Cy", "salt"))
    ]
    experience = EXPERIENCES[3].model_copy(
        update={"personas": people, "starter": Starter(speaker="Ada", text="Hello?")}
    )
    seen: list[str] = []

    def script(request: Request) -> str:
        text = request.messages[-1].content
        found = [each.name for each in people if each.text and each.text in text]
        asked = [each.name for each in people if text.endswith(f"\n{each.name}:")]
        assert found == (asked or ["Ada", "Bo", "Cy"])
        seen.extend(asked)
        return improvise(request)

    play(script, experience, max_turns=4)
    assert len(seen) == 3


def test_a_finished_chat_frees_itself_and_the_collector_is_left_as_it_was(tmp_path: Path) -> None:
    """Nothing of a chat waits for the garbage collector, which halts all other chats."""
    from convogen import Experiment, run
    from convogen.groupchat.agent import PersonaAgent

    wanted = {"n": 2, "models": "scripted", "max_turns": 4}
    before = gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        run(Experiment.load("GPFS-s", wanted), tmp_path / "run")
        # By type: isinstance would ask objects of other libraries for their class, which may warn.
        assert not [one for one in gc.get_objects() if type(one) is PersonaAgent]
    finally:
        gc.enable()
    assert gc.get_threshold() == before
