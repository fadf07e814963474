"""The generator: its requests vary between tasks, and it rejects some names."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from convogen.errors import ModelFault
from convogen.generation.example_experiences import (
    check_experience,
    encounter_text,
    load_experiences,
)
from convogen.generation.experience_generator import ExperienceGenerator
from convogen.generation.variations import Variation, draw_variation, variations, variations_hash
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request, Sampling
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.models.traffic.session import Session
from convogen.prompts import load_prompt
from convogen.records import Experience, Profile

SHOTS = load_experiences()[:1]
VARIATION = Variation("beekeepers", "in a lighthouse", "drowsy")
PEOPLE = [Profile(text="I like tea.", source="x"), Profile(text="I sell hats.", source="x")]


def generated(
    tmp_path: Path,
    step: str,
    ask: Callable[[ExperienceGenerator, Session], Awaitable[Experience]],
    *changes: dict[str, Any],
) -> tuple[Experience, list[Request]]:
    """Return the result of successive replies with these changes, and the requests."""
    asked: list[Request] = []
    tmp_path.mkdir(exist_ok=True)

    def script(request: Request) -> str:
        asked.append(request)
        change = changes[len(asked) - 1] if len(asked) <= len(changes) else {}
        return json.dumps({**json.loads(improvise(request)), **change})

    async def go() -> Experience:
        roles = {"generator": Role(ModelSpec(name="scripted"), Sampling())}
        traffic = Traffic(roles, 1, RunProgress(), lambda _: ScriptedModel(script))
        try:
            session = traffic.session(0, 1, Journal(tmp_path / "0.jsonl"))
            generator = ExperienceGenerator(load_prompt(f"convogen/{step}"), 2)
            return await ask(generator, session)
        finally:
            await traffic.close()

    return asyncio.run(go()), asked


def invent(generator: ExperienceGenerator, session: Session) -> Awaitable[Experience]:
    return generator.invent(session, 2, SHOTS)


def match(generator: ExperienceGenerator, session: Session) -> Awaitable[Experience]:
    return generator.match(session, PEOPLE, SHOTS)


def named(first: str, second: str) -> dict[str, Any]:
    """Return two personas with these names."""
    card = {
        "age": 40,
        "gender": "female",
        "qualities": ["calm", "dry"],
        "lifestyle": "Sells hats.",
        "speech_style": "Slow.",
        "recent_memory": "Sold a hat.",
        "long_term_memory": "Wore a hat.",
    }
    return {"personas": [{"name": name, **card} for name in (first, second)]}


def test_a_variation_is_drawn_from_the_seed_alone() -> None:
    drawn = [draw_variation(random.Random(f"{seed}/variation")) for seed in range(60)]
    assert drawn == [draw_variation(random.Random(f"{seed}/variation")) for seed in range(60)]
    assert len(set(drawn)) > 55
    assert len({one.place for one in drawn}) > 20


def test_the_shipped_variations() -> None:
    assert set(variations()) == {"ties", "places", "moods"}
    for entries in variations().values():
        assert 25 <= len(entries) <= 40
        assert len(set(entries)) == len(entries)
        assert all(isinstance(entry, str) and entry.strip(" .;") == entry for entry in entries)
    assert len(variations_hash()) == 16


def test_a_variation_is_suggested_near_the_end_of_the_prompt(tmp_path: Path) -> None:
    _, [asked] = generated(
        tmp_path,
        "experience",
        lambda generator, session: generator.invent(session, 2, SHOTS, None, VARIATION),
    )
    said = "This time: beekeepers, in a lighthouse; the mood is drowsy; if that does not fit"
    assert said in asked.messages[-1].content[-250:]


def test_given_people_keep_their_ties(tmp_path: Path) -> None:
    _, [asked] = generated(
        tmp_path,
        "encounter",
        lambda generator, session: generator.match(session, PEOPLE, SHOTS, None, VARIATION),
    )
    prompt = asked.messages[-1].content
    assert "This time: in a lighthouse; the mood is drowsy; if" in prompt
    assert "beekeepers" not in prompt


@pytest.mark.parametrize("ask", [invent, match])
def test_without_a_variation_none_is_suggested(tmp_path: Path, ask: Any) -> None:
    step = "experience" if ask is invent else "encounter"
    _, [asked] = generated(tmp_path, step, ask)
    assert "This time" not in asked.messages[-1].content


@pytest.mark.parametrize("name", ["Rosa Delgado", "rosa delgado", "Rosa Klein", "Dr. Tom Lee"])
def test_a_name_of_a_shot_is_refused_and_not_shown_again(tmp_path: Path, name: str) -> None:
    experience, asked = generated(
        tmp_path, "experience", invent, named("Lea Chen", name), named("Lea Chen", "Bo Delgado")
    )
    assert [persona.name for persona in experience.personas] == ["Lea Chen", "Bo Delgado"]
    assert experience.reasks == ["name_of_a_shot"]
    assert [message.role for message in asked[1].messages] == ["system", "user"]
    experience, _ = generated(
        tmp_path / "match", "encounter", match, {"names": ["Lea Chen", name]}, {}
    )
    assert experience.reasks == ["name_of_a_shot"]


def test_a_given_person_may_have_a_name_of_a_shot(tmp_path: Path) -> None:
    people = [Profile(name=f"{name} Klein", text="x", source="x") for name in ("Rosa", "Bo")]
    experience, _ = generated(
        tmp_path,
        "encounter",
        lambda generator, session: generator.match(session, people, SHOTS),
    )
    assert (experience.personas[0].name, experience.reasks) == ("Rosa Klein", [])


def test_of_a_title_many_may_have_the_same(tmp_path: Path) -> None:
    shot = SHOTS[0]
    joy = [person.model_copy(update={"name": "Nurse Joy"}) for person in shot.personas[:1]]
    shots = [shot.model_copy(update={"personas": [*joy, *shot.personas[1:]]})]
    experience, _ = generated(
        tmp_path,
        "experience",
        lambda generator, session: generator.invent(session, 2, shots),
        named("Nurse Joy", "Bo Klein"),
        named("Nurse Ada", "Uncle Bo"),
    )
    assert [persona.name for persona in experience.personas] == ["Nurse Ada", "Uncle Bo"]
    assert experience.reasks == ["name_of_a_shot"]


@pytest.mark.parametrize(
    ("said", "speaker"),
    [
        ("Dr. Ben Wills", "Ben Wills"),
        ("Dr. Wills", "Ben Wills"),
        ("Okafor", "Dr. Amara Okafor"),
        ("ben the baker", "Ben Wills"),
        ("Dr. Zoe Lind", None),
    ],
)
def test_whom_the_starter_belongs_to(tmp_path: Path, said: str, speaker: str | None) -> None:
    people = named("Dr. Amara Okafor", "Ben Wills")
    starter = {"starter": {"speaker": said, "text": "Who took my keys?"}}
    experience, _ = generated(tmp_path, "experience", invent, {**people, **starter})
    assert experience.starter.speaker == (speaker or "Dr. Amara Okafor")
    noted = f"starter.speaker {said!r} is nobody here: given to 'Dr. Amara Okafor'"
    assert experience.repairs == ([] if speaker else [noted])


@pytest.mark.parametrize(
    "name",
    [
        *("Ann\nBo: hi", "Ann: hi", "<|im_start|>system", '{"a":1}', "12345", "...", "\u200b"),
        *("Ann\u2028Bo", "[user]", "a_b", "\u0958" * 80),
    ],
)
def test_who_is_invented_has_a_name_of_a_person(tmp_path: Path, name: str) -> None:
    experience, asked = generated(tmp_path, "experience", invent, named("Lea Chen", name), {})
    assert experience.reasks == ["invalid"]
    assert "no name of a person" in asked[1].messages[-1].content
    assert name not in {persona.name for persona in experience.personas}


def test_an_invented_name_is_tidied(tmp_path: Path) -> None:
    people = named("Jose\u0301  Gil", "\u202eLea\u202c\u200b Chen")
    starter = {"starter": {"speaker": "Jose\u0301  Gil", "text": "Who took my keys?"}}
    experience, _ = generated(tmp_path, "experience", invent, {**people, **starter})
    assert [persona.name for persona in experience.personas] == ["José Gil", "Lea Chen"]
    assert (experience.starter.speaker, experience.repairs) == ("José Gil", [])


@pytest.mark.parametrize("other", ["Ann  Lee", "ANN LEE", "Ann Le\u0065", "Ann\u00a0Lee\u200b"])
def test_two_people_of_one_name_are_told_however_it_is_spelt(other: str) -> None:
    people = [Profile(text="x", source="x").named(name) for name in ("Ann Lee", other)]
    assert "two of them" in (
        check_experience(SHOTS[0].model_copy(update={"personas": people})) or ""
    )


def test_composed_letters_are_the_same_as_decomposed_ones() -> None:
    people = [Profile(text="x", source="x").named(name) for name in ("José", "Jose\u0301", "Bo")]
    starter = SHOTS[0].starter.model_copy(update={"speaker": "Jose\u0301"})
    group = SHOTS[0].model_copy(update={"personas": people, "starter": starter})
    assert "two of them" in (check_experience(group) or "")
    assert check_experience(group.model_copy(update={"personas": people[::2]})) is None


@pytest.mark.parametrize("known", [True, False])
def test_of_given_people_the_draft_says_whether_they_are_acquainted(
    tmp_path: Path, known: bool
) -> None:
    experience, [asked] = generated(tmp_path, "encounter", match, {"acquainted": known})
    assert experience.acquainted is known
    assert asked.schema is not None
    assert asked.schema["properties"]["acquainted"]["type"] == "boolean"
    assert "acquainted" in asked.schema["required"]
    assert json.loads(encounter_text(experience, named=True))["acquainted"] is known


def test_a_prompt_that_does_not_ask_for_it_leaves_it_open(tmp_path: Path) -> None:
    def script(request: Request) -> str:
        reply = json.loads(improvise(request))
        del reply["acquainted"]
        return json.dumps(reply)

    async def go() -> Experience:
        roles = {"generator": Role(ModelSpec(name="scripted"), Sampling())}
        traffic = Traffic(roles, 1, RunProgress(), lambda _: ScriptedModel(script))
        session = traffic.session(0, 1, Journal(tmp_path / "0.jsonl"))
        try:
            return await match(ExperienceGenerator(load_prompt("convogen/encounter"), 0), session)
        finally:
            await traffic.close()

    assert asyncio.run(go()).acquainted is None


def test_an_experience_tells_who_wrote_it_and_what_that_took(tmp_path: Path) -> None:
    """Only the accepted reply is described; the previous reply had a name from a shot."""
    taken = named(SHOTS[0].personas[0].name, "Zoltan Quist")
    twice, _ = generated(tmp_path / "twice", "experience", invent, taken)
    assert (twice.model, twice.reasks) == ("scripted", ["name_of_a_shot"])
    assert twice.usage is not None
    assert twice.usage.completion_tokens > 0
    whole = [persona.card for persona in twice.personas]
    assert None not in whole


def test_the_prompt_and_the_schema_tell_how_many_people(tmp_path: Path) -> None:
    for n in (2, 3):
        experience, [asked] = generated(
            tmp_path / f"{n}", "experience", lambda one, session, n=n: one.invent(session, n, SHOTS)
        )
        assert len(experience.personas) == n
        assert f"{n} people" in asked.messages[-1].content
        assert asked.schema is not None
        personas = asked.schema["properties"]["personas"]
        assert (personas["minItems"], personas["maxItems"]) == (n, n)


def test_short_names_may_speak_first(tmp_path: Path) -> None:
    starter = {"starter": {"speaker": "Q", "text": "Shall we go?"}}
    experience, asked = generated(tmp_path, "experience", invent, named("Q", "Bo") | starter)
    assert (experience.starter.speaker, experience.repairs) == ("Q", [])
    assert len(asked) == 1


def test_people_who_are_invented_together_are_acquainted(tmp_path: Path) -> None:
    experience, [asked] = generated(tmp_path, "experience", invent)
    assert experience.acquainted is True
    assert "acquainted" not in asked.messages[-1].content


def test_a_starter_of_an_example_is_asked_for_again_but_is_no_turn_of_the_scene(
    tmp_path: Path,
) -> None:
    """However many examples are shown, a starter opens its scene, so a clerk may offer help."""

    def shown(generator: ExperienceGenerator, session: Session) -> Awaitable[Experience]:
        return generator.invent(session, 2, load_experiences()[:3])

    people = named("Lea Chen", "Bo Klein")
    copied = {"starter": {"speaker": "Lea Chen", "text": load_experiences()[1].starter.text}}
    experience, _ = generated(tmp_path / "copied", "experience", shown, {**people, **copied})
    assert experience.reasks == ["starter_echo"]
    said = "Good morning, how can I help you today?"
    offer = {"starter": {"speaker": "Lea Chen", "text": said}}
    experience, _ = generated(tmp_path / "offer", "experience", shown, {**people, **offer})
    assert (experience.starter.text, experience.reasks) == (said, [])


def test_a_starter_without_words_is_asked_for_again(tmp_path: Path) -> None:
    empty = {"starter": {"speaker": "Lea Chen", "text": "Lea Chen:"}}
    experience, asked = generated(
        tmp_path, "experience", invent, {**named("Lea Chen", "Bo Klein"), **empty}
    )
    assert experience.reasks == ["starter_empty"]
    assert "starter.text: it holds no words" in asked[1].messages[-1].content


@pytest.mark.parametrize(("words", "most"), [(None, 490), (8, 490), (100, 2440)])
def test_the_bound_of_a_starter_follows_from_the_words_asked_for(
    tmp_path: Path, words: int | None, most: int
) -> None:
    _, [asked] = generated(
        tmp_path,
        "experience",
        lambda generator, session: generator.invent(session, 2, SHOTS, words),
    )
    assert asked.schema is not None
    assert asked.schema["$defs"]["DraftStarter"]["properties"]["text"]["maxLength"] == most
    prompt = asked.messages[-1].content
    assert ("at most 30 words" in prompt) == (words is None)
    assert (f"The starter is about {words} words long." in prompt) == (words is not None)


def test_what_no_reply_gives_is_a_fault(tmp_path: Path) -> None:
    copies = [named("Rosa Delgado", "Tom Whitlock")] * 3
    with pytest.raises(ModelFault, match="name of somebody in an example") as fault:
        generated(tmp_path, "experience", invent, *copies)
    assert fault.value.kind == "experience_invalid"
