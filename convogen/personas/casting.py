"""Assignment of personas to tasks, as a function of the task number, the seed and the hub.

No state depends on the progress of the run. The plan is therefore the same at any concurrency and
after any crash, and a longer run begins with the tasks of a shorter one.
"""

from __future__ import annotations

import random
import re
from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal

from rapidfuzz import fuzz
from rapidfuzz.process import cdist

from convogen.errors import SourceError
from convogen.generation.example_experiences import card_text
from convogen.personas.persona_hub import PersonaHub
from convogen.records import Profile

__all__ = ["Casting", "Match", "ReusedGroups", "SampledGroups"]

Match = Literal["random", "similar"]

DEALT = 128
"""Number of tasks per block; personas are regrouped by similarity within a block."""

KEPT = 16
"""Number of blocks kept in memory; all other blocks are recomputed deterministically."""


class Casting(ABC):
    """An assignment of participants to tasks."""

    @abstractmethod
    def group(self, task: int) -> list[Profile]:
        """Return the profiles of the two or more participants in a task."""


class ReusedGroups(Casting):
    """The speakers in a data set's rows, one row per task, starting over after the last row."""

    def __init__(self, hub: PersonaHub) -> None:
        self._hub = hub
        alone = next((at for at in range(len(hub)) if len(hub[at]) < 2), None)
        if alone is not None:
            raise SourceError(
                f"{hub.source}: row {alone + 1} has only one persona, but `personas: reused` needs "
                "both personas of each conversation; use `personas: sampled` for single personas"
            )

    def group(self, task: int) -> list[Profile]:
        return _distinct_names(self._hub[task % len(self._hub)])


class SampledGroups(Casting):
    """Groups of random size, drawn at random without replacement; a new pass begins if the hub is
    exhausted.

    Personas are grouped at random. With `similar`, personas are regrouped within blocks of up to
    128 consecutive tasks so that personas with similar descriptions meet. Similarity is the
    token-set ratio of the descriptions' longer words, averaged over the group.
    """

    def __init__(
        self, hub: PersonaHub, seed: int, participants: tuple[int, int], match: Match
    ) -> None:
        if len(hub) < participants[1]:
            raise SourceError(
                f"{hub.source}: too few personas ({len(hub)}) for {participants[1]} participants; "
                "use a larger source, or fewer participants"
            )
        self._hub = hub
        self._seed = seed
        self._participants = participants
        self._similar = match == "similar"
        self._sizes = random.Random(f"{seed}/sizes")
        self._passes = 0
        self._order = array("Q")
        self._cursor = 0
        self._drawn = array("Q")
        self._ends = array("Q", [0])
        self._blocks = array("Q", [0])
        self._dealt: dict[int, list[list[int]]] = {}

    def group(self, task: int) -> list[Profile]:
        return _distinct_names([self._hub[at][0] for at in self.places(task)])

    def places(self, task: int) -> list[int]:
        """Return the hub indices of a task's personas."""
        while len(self._ends) <= task + 1:
            self._draw()
        if not self._similar:
            return list(self._drawn[self._ends[task] : self._ends[task + 1]])
        while self._blocks[-1] <= task:
            self._draw()
        block = bisect_right(self._blocks, task) - 1
        start = self._blocks[block]
        if block not in self._dealt:
            if len(self._dealt) >= KEPT:
                self._dealt.pop(next(iter(self._dealt)))
            self._dealt[block] = self._deal(start, self._blocks[block + 1])
        return self._dealt[block][task - start]

    def _draw(self) -> None:
        """Draw the personas for the next task; no persona is drawn twice for a group that spans two
        passes."""
        size = self._sizes.randint(*self._participants)
        if len(self._order) - self._cursor >= size:
            self._take(self._order[self._cursor : self._cursor + size])
            return
        leftover = self._order[self._cursor :]
        self._new_pass()
        task, waiting = len(self._ends) - 1, set(leftover)
        if self._blocks[-1] < task:
            self._blocks.append(task)
        first = [index for index in self._order if index not in waiting][: size - len(leftover)]
        taken = set(first)
        self._order = array("Q", [*first, *(index for index in self._order if index not in taken)])
        self._cursor = -len(leftover)
        self._take(leftover + array("Q", first))
        if leftover:
            self._blocks.append(task + 1)

    def _take(self, people: array[int]) -> None:
        """Assign personas to the next task, and end the current block after 128 tasks."""
        self._cursor += len(people)
        self._drawn.extend(people)
        self._ends.append(len(self._drawn))
        if len(self._ends) - 1 - self._blocks[-1] == DEALT:
            self._blocks.append(len(self._ends) - 1)

    def _new_pass(self) -> None:
        self._order = array("Q", range(len(self._hub)))
        random.Random(f"{self._seed}/{self._passes}").shuffle(self._order)
        self._passes += 1

    def _deal(self, start: int, end: int) -> list[list[int]]:
        """Return the personas for the tasks in `range(start, end)`, regrouped by similarity."""
        people = list(self._drawn[self._ends[start] : self._ends[end]])
        words = [_words(self._hub[at][0]) for at in people]
        scores = cdist(words, words, scorer=fuzz.token_set_ratio)
        free = list(range(len(people)))
        groups: list[list[int]] = []
        for task in range(start, end):
            group = [free.pop(0)]
            while len(group) < self._ends[task + 1] - self._ends[task]:
                alike = scores[:, group].sum(axis=1)
                group.append(free.pop(int(alike[free].argmax())))
            groups.append([people[one] for one in group])
        return groups


def _words(profile: Profile) -> str:
    """Return the words of a profile that have four or more letters."""
    text = profile.text or card_text(profile)
    return " ".join(word for word in re.findall(r"\w+", text.casefold()) if len(word) > 3)


def _distinct_names(group: Sequence[Profile]) -> list[Profile]:
    """Return the group without repeated names; profiles whose name is missing or was removed are
    named later."""
    seen: set[str] = set()
    result: list[Profile] = []
    for profile in group:
        name = (profile.name or "").casefold()
        result.append(profile.model_copy(update={"name": None}) if name in seen else profile)
        seen |= {name} if name else set[str]()
    return result
