"""The training examples of a source: whole dialogues, as the chats in which a role is called.

In each chat the learner is the assistant, and only its messages are targets. Two roles can be
learned: the `inquirer` of DialogueForge (section 3.3), from dialogues of people with chatbots, one
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
    """A dialogue: its id, its first utterance for comparison, and the chats to learn from.

    If no task is known, so that the dialogue is learned without one, `untold` is the dialogue
    itself.
    """

    id: str
    opening: str
    chats: Iterable[tuple[Message, ...]]
    untold: Seed | None = None


@dataclass(frozen=True, slots=True)
class Lessons:
    """The dialogues of a source in order; `dropped` counts the omitted ones by reason.

    `hash` identifies the dialogues, `prompts` has the hashes of their prompts.
    """

    name: str
    lessons: tuple[Lesson, ...]
    dropped: dict[str, int]
    hash: str
    prompts: dict[str, str]


def inquirer_prompts() -> dict[str, Prompt]:
    """Return the prompts of the method `dialogueforge` for its inquirer."""
    return {step: load_prompt(f"dialogueforge/{step}") for step in ("inquirer", "inquirer_turn")}


def inquirer_lessons(seeds: Seeds, tasks: Mapping[str, str] | None = None) -> Lessons:
    """Return dialogues of people with chatbots as the inquirer's chats.

    Args:
        seeds: The dialogues.
        tasks: Tasks for dialogues that have none, by id.
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
    """The chats that end with each of the person's turns, rendered on access.

    Most dialogues of a large corpus are never rendered, since `sample` or `unshared` leaves them
    out.
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
    """Return the training dialogues that share neither id nor first utterance with a held-out one.

    White space and case are ignored. Raises `SourceError` if none is left.
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
    """Return a sample of `n` dialogues, in order; equal seeds give equal samples."""
    if n is None or n >= len(lessons):
        return list(lessons)
    return [lessons[at] for at in sorted(random.Random(seed).sample(range(len(lessons)), n))]
