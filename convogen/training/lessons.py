"""What a model learns from a source: whole dialogues, as the chats in which a role is asked.

In each chat the learner is the assistant, and only its messages are targets. Two roles can be
learned: the `inquirer` of DialogueForge (section 3.3), from dialogues of people with chatbots, a
chat for each turn of the person; and the `agents` of group chats, from conversations of people.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from convogen.corpora.seeds import INQUIRER, Seed, Seeds
from convogen.corpora.seeds import opening as opening_of
from convogen.errors import SourceError
from convogen.methods.dialogueforge.play import inquirer_chat
from convogen.models.base import Message
from convogen.prompts import Prompt, load_prompt

__all__ = ["Lesson", "Lessons", "inquirer_lessons", "inquirer_prompts", "sample", "unshared"]

UNKNOWN_TASK = "You want what your messages ask for."


@dataclass(frozen=True, slots=True)
class Lesson:
    """A dialogue: its id, its first utterance to compare by, and the chats it is learned as.

    `untold` is the dialogue itself if it is learned without a task: it has none and none was given.
    """

    id: str
    opening: str
    chats: Iterable[tuple[Message, ...]]
    untold: Seed | None = None


@dataclass(frozen=True, slots=True)
class Lessons:
    """The dialogues of a source in its order; `dropped` counts what was left out, by the reason.

    `hash` identifies the dialogues, `prompts` has the hash of each prompt they are told with.
    """

    name: str
    lessons: tuple[Lesson, ...]
    dropped: dict[str, int]
    hash: str
    prompts: dict[str, str]


def inquirer_prompts() -> dict[str, Prompt]:
    """The prompts in which the method `dialogueforge` asks its inquirer."""
    return {step: load_prompt(f"dialogueforge/{step}") for step in ("inquirer", "inquirer_turn")}


def inquirer_lessons(seeds: Seeds, tasks: Mapping[str, str] | None = None) -> Lessons:
    """Return dialogues of people with chatbots as the chats in which the inquirer is asked.

    Args:
        seeds: The dialogues.
        tasks: The task of a dialogue that brings none, by its id.
    """
    prompts, tasks = inquirer_prompts(), tasks or {}
    lessons: list[Lesson] = []
    for seed in seeds.seeds:
        task = seed.task or tasks.get(seed.id)
        chats = _TurnChats(prompts, task or UNKNOWN_TASK, seed)
        lessons.append(Lesson(seed.id, opening_of(seed.turns), chats, None if task else seed))
    hashes = {step: prompt.hash for step, prompt in prompts.items()}
    return Lessons(seeds.name, tuple(lessons), seeds.dropped, seeds.hash, hashes)


@dataclass(frozen=True, slots=True)
class _TurnChats:
    """The chats that end with each of the person's turns, rendered as they are read.

    Most dialogues of a large corpus are not: those that `sample` or `unshared` leaves out.
    """

    prompts: Mapping[str, Prompt]
    task: str
    seed: Seed

    def __iter__(self) -> Iterator[tuple[Message, ...]]:
        turns = self.seed.turns
        for end, turn in enumerate(turns, 1):
            if turn.speaker == INQUIRER and turn.text:
                yield tuple(inquirer_chat(self.prompts, self.task, turns[:end], conclude=False))


def unshared(train: Lessons, held_out: Lessons) -> list[Lesson]:
    """The dialogues to train on that have neither id nor first utterance of a held-out one.

    White space and case aside. Raises `SourceError` if none is left.
    """
    ids = {one.id for one in held_out.lessons}
    openings = {one.opening for one in held_out.lessons}
    left = [one for one in train.lessons if one.id not in ids and one.opening not in openings]
    if not left:
        raise SourceError(
            f"{train.name}: all its dialogues are also in {held_out.name}; train on one corpus "
            f"and hold out another"
        )
    return left


def sample(lessons: Sequence[Lesson], n: int | None, seed: int) -> list[Lesson]:
    """Some of the dialogues, in their order; the same for the same seed."""
    if n is None or n >= len(lessons):
        return list(lessons)
    return [lessons[at] for at in sorted(random.Random(seed).sample(range(len(lessons)), n))]
