"""The plan of dialogues and the lists that tasks share.

Topics vary fastest, then subtopics, then groups. The first dialogues of a run are therefore spread
over all topics, and the first task of each topic and subtopic comes early.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Generic, TypeVar

__all__ = ["DialoguePlan", "SharedList", "TaskPosition"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TaskPosition:
    """A task's topic, subtopic and group of personas, as indices from 0.

    `topic_turn` is the index of the task among the tasks for its topic, and `subtopic_turn` is its
    index among the tasks for its subtopic, both from 0.
    """

    topic: int
    subtopic: int
    group: tuple[int, ...]
    topic_turn: int
    subtopic_turn: int


@dataclass(frozen=True, slots=True)
class DialoguePlan:
    """One dialogue for every topic, subtopic and group of `group_size` personas.

    With n topics, m subtopics per topic, p personas per subtopic and groups of two, there are
    n m p (p - 1) / 2 dialogues (DiaSynth, appendix A).
    """

    n_topics: int
    n_subtopics: int
    n_personas: int
    group_size: int = 2

    @property
    def n_groups(self) -> int:
        """The number of groups per subtopic."""
        return comb(self.n_personas, self.group_size)

    def __len__(self) -> int:
        return self.n_topics * self.n_subtopics * self.n_groups

    def place(self, task: int) -> TaskPosition:
        """Return a task's position in the plan."""
        topic_turn, topic = divmod(task, self.n_topics)
        nth, subtopic = divmod(topic_turn, self.n_subtopics)
        return TaskPosition(topic, subtopic, self._group(nth), topic_turn, nth)

    def _group(self, nth: int) -> tuple[int, ...]:
        """Return the nth group in lexicographic order."""
        group: list[int] = []
        for person in range(self.n_personas):
            missing = self.group_size - len(group)
            with_them = comb(self.n_personas - person - 1, missing - 1) if missing else 0
            if nth < with_them:
                group.append(person)
            else:
                nth -= with_them
        return tuple(group)


class SharedList(Generic[T]):
    """A list that several tasks share. The first task that needs the list creates it.

    The tasks that share the list take turns, which are numbered from 0. A task that needs more
    entries waits until all earlier turns have ended and may then add entries, so the content never
    depends on timing.
    """

    def __init__(self) -> None:
        self.items: list[T] = []
        self._turn = 0
        self._ended: set[int] = set()
        self._changed = asyncio.Event()

    async def has(self, n: int, turn: int) -> bool:
        """Return True once the list has `n` items, or False if it still has fewer items when the
        given turn comes."""
        while len(self.items) < n and self._turn < turn:
            await self._changed.wait()
        return len(self.items) >= n

    def end(self, turn: int, entries: Iterable[T] = ()) -> None:
        """End a turn and add its entries to the list."""
        self.items.extend(entries)
        self._ended.add(turn)
        while self._turn in self._ended:
            self._ended.remove(self._turn)
            self._turn += 1
        self._changed.set()
        self._changed = asyncio.Event()
