"""Conversations from each speaker's point of view, as training data for group-chat agents.

A scene is an experience and its turns. The model learns each scene once per speaker, from the chat
that the group chat would have sent to that speaker's agent.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from convogen.corpora import open_corpus
from convogen.corpora.rows import RowError, decode
from convogen.corpora.sources import open_source
from convogen.errors import SourceError
from convogen.generation.example_experiences import encounter_text
from convogen.generation.experience_generator import encounter_messages
from convogen.groupchat.messages import agent_messages, identity
from convogen.inputs.yaml12 import read_yaml
from convogen.models.base import Message
from convogen.personas import open_hub
from convogen.prompts import Prompt, load_prompt
from convogen.records import Conversation, Experience, Persona, Starter, Turn
from convogen.storage.run_folder import load_run
from convogen.text.language_tags import ENGLISH
from convogen.text.utterances import is_farewell
from convogen.training.lessons import Lesson, Lessons

__all__ = ["Scene", "SceneForm", "read_scenes", "scene_lessons"]

MIN_TURNS = 4
MAX_SCENES = 20_000
"""Maximum number of scenes read from a source."""

_FORM = Path(__file__).parent / "embedded"
_OPENING_WORDS = 4
"""Maximum number of words in a greeting; the turns before the first longer turn are left out."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An experience and its turns, which begin with the starter."""

    id: str
    experience: Experience
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class SceneForm:
    """The form in which scenes are learned.

    `agent` is the agents' prompt file, which replaces the shipped file. `max_words` is the maximum
    number of words per turn, or None for no limit. With an `encounter` prompt file, the model also
    learns to invent scenes, as the generator does.
    """

    agent: Path | None = None
    max_words: int | None = None
    encounter: Path | None = None


def read_scenes(source: str, format: str | None) -> Iterator[Scene]:  # noqa: A002
    """Yield the scenes in a run folder, a scene file, or a corpus with personas.

    A row in a scene file has the keys of an experience and the key `turns`. Its `personas` are
    mappings or names from the `everyday` hub. Its `turns` are pairs of speaker and text, the first
    of which is the starter. In a corpus with personas, the speakers of a conversation get names
    from that hub and meet by chance; the conversation's id determines the names and the meeting.
    Greetings and farewells in a corpus are left out. Raises `SourceError` if the source cannot be
    read.
    """
    if (Path(source) / "manifest.json").is_file():
        yield from _of_run(Path(source))
    elif format == "scenes" or (format is None and source.endswith(".scenes.jsonl")):
        yield from _of_file(Path(source))
    else:
        yield from filter(None, map(_of_conversation, open_corpus(source, format)))


def scene_lessons(scenes: Iterator[Scene], source: str, form: SceneForm) -> Lessons:
    """Return scenes as chats, with one chat for each speaker.

    Raises `SourceError` if there are no scenes.
    """
    prompts = {
        "agent": load_prompt("convogen/agent", form.agent),
        "opening": load_prompt("convogen/opening"),
    }
    if form.encounter:
        prompts["encounter"] = load_prompt("convogen/encounter", form.encounter)
    dropped: Counter[str] = Counter()
    lessons: list[Lesson] = []
    before: Scene | None = None
    digest = hashlib.blake2b(digest_size=8)
    for scene in islice(scenes, MAX_SCENES):
        if len(scene.turns) < MIN_TURNS:
            dropped["too_short"] += 1
            continue
        chats = tuple(_chats(scene, prompts, form.max_words))
        if form.encounter and before:
            chats = (*chats, _invention(scene, before, prompts["encounter"]))
        before = scene
        digest.update(repr([(one.role, one.content) for chat in chats for one in chat]).encode())
        said = " ".join(scene.turns[0].text.casefold().split())
        lessons.append(Lesson(scene.id, said, chats))
    if not lessons:
        raise SourceError(
            f"{source}: contains no scenes (conversations that have at least {MIN_TURNS} turns and "
            f"personas for their speakers); use a run folder, a scene file, or a corpus with "
            f"personas"
        )
    hashes = {step: prompt.hash for step, prompt in prompts.items()}
    name = source if source.startswith("hf:") else Path(source).name
    return Lessons(name, tuple(lessons), dict(dropped), digest.hexdigest(), hashes)


def _chats(
    scene: Scene, prompts: Mapping[str, Prompt], max_words: int | None
) -> Iterator[tuple[Message, ...]]:
    """Yield a chat for each person who says more than the starter, up to the person's last turn."""
    experience = scene.experience
    opening = (
        prompts["opening"]
        .render(
            situation=experience.situation, relations=experience.relations, topic=experience.topic
        )[0]
        .content
    )
    for persona in experience.personas:
        places = [at for at, turn in enumerate(scene.turns) if turn.speaker == persona.name]
        if not places or places == [0]:
            continue
        system = identity(prompts["agent"], experience, persona, max_words)
        turns = scene.turns[: places[-1]]
        messages = agent_messages(system, opening, turns, persona.name, "")
        yield (*messages, Message("assistant", " ".join(scene.turns[places[-1]].text.split())))


def _invention(scene: Scene, shot: Scene, prompt: Prompt) -> tuple[Message, ...]:
    """Return the chat in which a scene is invented for its people, with `shot` as the example."""
    asked = encounter_messages(prompt, scene.experience.personas, [shot.experience])
    return (*asked, Message("assistant", encounter_text(scene.experience, named=True)))


def _of_run(folder: Path) -> Iterator[Scene]:
    run = load_run(folder)
    experiences = {one.id: one for one in run.experiences()}
    for conversation in run.conversations():
        if conversation.experience in experiences:
            experience = experiences[conversation.experience]
            yield Scene(conversation.id, experience, tuple(conversation.turns))


def _of_file(path: Path) -> Iterator[Scene]:
    for row in open_source(str(path)).rows():
        try:
            yield _scene(decode(row.value), f"{path.name}-{row.line}")
        except (RowError, ValidationError, KeyError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())[:200]
            raise SourceError(
                f"{path}: line {row.line}: not a scene ({said}); correct or remove the line"
            ) from None


def _scene(row: dict[str, Any], name: str) -> Scene:
    turns = tuple(Turn(speaker=speaker, text=text) for speaker, text in row.pop("turns"))
    hub = _everyday()
    personas = [
        hub[one] if isinstance(one, str) else Persona.model_validate(one)
        for one in row.pop("personas")
    ]
    starter = Starter(speaker=turns[0].speaker, text=turns[0].text)
    given = {"id": name, "personas": personas, "starter": starter, **row}
    return Scene(name, Experience.model_validate(given), turns)


@cache
def _everyday() -> dict[str, Persona]:
    """Return the personas in the `everyday` hub, keyed by name."""
    hub = open_hub("everyday")
    people = (profile for at in range(len(hub)) for profile in hub[at])
    return {one.name: one.named(one.name) for one in people if one.name}


def _of_conversation(conversation: Conversation) -> Scene | None:
    """Return a conversation as a scene, or None if it lacks personas for its speakers."""
    speakers = list(dict.fromkeys(turn.speaker for turn in conversation.turns))
    personas = _personas(conversation, speakers)
    if len(speakers) < 2 or any(name not in personas for name in speakers):
        return None
    chance = random.Random(conversation.id)
    names = dict(zip(speakers, chance.sample(sorted(_everyday()), len(speakers)), strict=True))
    people = [
        Persona(name=name, text=_lines(personas[speaker]), source="corpus")
        for speaker, name in names.items()
    ]
    middle = _middle(conversation.turns, conversation.language or ENGLISH)
    turns = tuple(Turn(speaker=names[turn.speaker], text=turn.text) for turn in middle)
    if not turns:
        return None
    meeting = {key: chance.choice(lines) for key, lines in _meetings().items()}
    experience = Experience(
        id=conversation.id,
        personas=people,
        relations=meeting["relations"],
        situation=meeting["situations"],
        topic=meeting["topics"],
        starter=Starter(speaker=turns[0].speaker, text=turns[0].text),
        acquainted=False,
    )
    return Scene(conversation.id, experience, turns)


def _personas(conversation: Conversation, speakers: Sequence[str]) -> dict[str, Any]:
    """Return the persona for each speaker in a conversation.

    The personas come from a mapping or, as in Synthetic-Persona-Chat, from one column per speaker.
    """
    told = conversation.context.get("personas")
    if isinstance(told, dict):
        return cast("dict[str, Any]", told)
    columns = {name: conversation.context.get(f"{name.lower()} personas") for name in speakers}
    return {name: lines for name, lines in columns.items() if lines}


def _middle(turns: Sequence[Turn], language: str) -> Sequence[Turn]:
    """Return the turns after the greetings and before the first farewell."""
    first = next((at for at, one in enumerate(turns) if len(one.text.split()) > _OPENING_WORDS), 0)
    ends = (at for at, one in enumerate(turns) if at > first and is_farewell(one.text, language))
    return turns[first : next(ends, len(turns))]


def _lines(persona: Any) -> str:
    lines = cast("list[Any]", persona) if isinstance(persona, list) else [persona]
    return " ".join(str(line) for line in lines)


@cache
def _meetings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = read_yaml(_FORM / "meetings.yaml")
    return found
