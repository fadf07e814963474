"""Training examples: the dialogues in a source, converted to the chats that a model in a role
receives.

In each chat, the learner is the assistant, and only the learner's messages are targets. Two roles
can be learned. The `inquirer` of DialogueForge (section 3.3) is learned from dialogues between
people and chatbots, with one chat for each of the person's turns. The `agents` of group chats are
learned from conversations between people.
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
    """A dialogue as training data: its id, its first utterance (for comparison), and its chats.

    If the dialogue is learned without a task because none is known, `untold` is the dialogue
    itself.
    """

    id: str
    opening: str
    chats: Iterable[tuple[Message, ...]]
    untold: Seed | None = None


@dataclass(frozen=True, slots=True)
class Lessons:
    """The dialogues in a source, in order.

    `dropped` maps each reason for omitting dialogues to the number of dialogues, `hash` identifies
    the dialogues, and `prompts` contains the hashes of their prompts.
    """

    name: str
    lessons: tuple[Lesson, ...]
    dropped: dict[str, int]
    hash: str
    prompts: dict[str, str]


def inquirer_prompts() -> dict[str, Prompt]:
    """Return the prompts that the `dialogueforge` method uses for its inquirer."""
    return {step: load_prompt(f"dialogueforge/{step}") for step in ("inquirer", "inquirer_turn")}


def inquirer_lessons(seeds: Seeds, tasks: Mapping[str, str] | None = None) -> Lessons:
    """Return dialogues between people and chatbots as the inquirer's chats.

    Args:
        seeds: The dialogues.
        tasks: Maps the ids of dialogues without a task to the tasks that are used for these
            dialogues.
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
    """The chats of a dialogue, each up to one of the person's turns, rendered on access.

    Most dialogues of a large corpus are never rendered, because `sample` or `unshared` leaves them
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
    """Return the training dialogues that share neither an id nor a first utterance with `held_out`.

    White space and case are ignored. Raises `SourceError` if no dialogue is left.
    """
    ids = {one.id for one in held_out.lessons}
    openings = {one.opening for one in held_out.lessons}
    left = [one for one in train.lessons if one.id not in ids and one.opening not in openings]
    if not left:
        raise SourceError(
            f"{train.name}: all dialogues are also in {held_out.name}; train on one corpus and "
            f"hold out another"
        )
    return left


def sample(lessons: Sequence[Lesson], n: int | None, seed: int) -> list[Lesson]:
    """Return a random sample of `n` dialogues in their original order, or all if `n` is None.

    Equal seeds give equal samples.
    """
    if n is None or n >= len(lessons):
        return list(lessons)
    return [lessons[at] for at in sorted(random.Random(seed).sample(range(len(lessons)), n))]
