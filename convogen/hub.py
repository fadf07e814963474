"""The few-shot hub: shots for the experience generator, fed by its own output.

A lane is one lineage. Within it rounds are sequential: all prompts of a round get the same
shots, drawn from what the earlier rounds left; what the round gives enters the hub in the order
of the plan, so the hub never depends on which call came back first. Source: ConvoGen, sections
II-C-1 and III (eight experiences a round from the same shot).

Of a member the hub holds the number of its task, 8 bytes; the experience itself only until it is
committed. After that it is read from the run folder when it is drawn.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rapidfuzz import fuzz

from convogen.types import Experience

__all__ = ["Admission", "FewShotHub", "similarity"]

Policy = Literal["uniform", "newest"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task stands: which lane, which round of it, which place in the round."""

    lane: int
    round: int
    index: int


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether an experience enters the hub (None: nothing does), and its similarity, 0 to 1, to
    the nearest of its shots."""

    admitted: bool | None
    similarity: float


@dataclass
class _Round:
    """Which tasks of a round gave a member, by place; complete once every place is filled."""

    given: dict[int, bool] = field(default_factory=dict[int, bool])
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class FewShotHub:
    """The hub of one run.

    `policy` names how shots are drawn: `uniform` over the lane's hub, or the `newest`. With
    `iterative` off every prompt gets the same shots, and nothing enters the hub. An experience
    whose similarity to one of its shots is `near_copy` or more does not enter. `recall` gives the
    committed experience of a task.
    """

    def __init__(
        self,
        seeds: Sequence[Experience],
        *,
        seed: int,
        iterative: bool,
        lanes: int,
        per_round: int,
        shots: int,
        policy: Policy,
        near_copy: float,
        recall: Callable[[int], Experience],
    ) -> None:
        self._seeds = list(seeds)
        self._seed = seed
        self._iterative = iterative
        self._lanes = lanes
        self._per_round = per_round
        self._shots = shots
        self._policy = policy
        self._near_copy = near_copy
        self._recall = recall
        self._members = [array("Q") for _ in range(lanes)]
        self._uncommitted: dict[int, Experience] = {}
        self._rounds: dict[tuple[int, int], _Round] = {}
        self._drawn: dict[tuple[int, int], list[Experience]] = {}

    def place(self, task: int) -> Place:
        """Tasks go round by round over all lanes, `per_round` a lane."""
        in_round = task // self._per_round
        return Place(in_round % self._lanes, in_round // self._lanes, task % self._per_round)

    async def shots(self, task: int) -> list[Experience]:
        """The shots for a task's prompt, once the rounds before it in its lane are complete."""
        place = self.place(task)
        if not self._iterative:
            n = min(self._shots, len(self._seeds))
            return random.Random(f"{self._seed}/fixed").sample(self._seeds, n)
        key = (place.lane, place.round)
        if place.round > 0 and key not in self._drawn:
            await self._round(place.lane, place.round - 1).complete.wait()
        if key not in self._drawn:
            self._drawn[key] = self._draw(place.lane, place.round)
            self._drawn.pop((place.lane, place.round - 2), None)
        return self._drawn[key]

    def _draw(self, lane: int, number: int) -> list[Experience]:
        """Shots from a lane's hub: the seeds, then its members."""
        seeds, members = self._seeds, self._members[lane]
        hub = range(len(seeds) + len(members))
        n = min(self._shots, len(hub))
        if self._policy == "newest":
            chosen = list(hub[len(hub) - n :])
        else:
            chosen = random.Random(f"{self._seed}/{lane}/{number}").sample(hub, n)
        return [
            seeds[at] if at < len(seeds) else self._member(members[at - len(seeds)])
            for at in chosen
        ]

    def _member(self, task: int) -> Experience:
        return self._uncommitted.get(task) or self._recall(task)

    def judge(self, experience: Experience, shots: Sequence[Experience]) -> Admission:
        """Whether an experience is different enough from its shots to enter the hub."""
        nearest = max((similarity(experience, shot) for shot in shots), default=0.0)
        admitted = nearest < self._near_copy if self._iterative else None
        return Admission(admitted, round(nearest, 4))

    def add(self, task: int, experience: Experience | None) -> None:
        """Say what a task gave: an experience, or None where it failed or was not admitted."""
        if self._iterative:
            if experience is not None:
                self._uncommitted[task] = experience
            self._fill(task, experience is not None)

    def committed(self, task: int) -> None:
        """Say that what a task gave is on disk: from now on it is read from there."""
        self._uncommitted.pop(task, None)

    def restore(self, task: int, member: bool) -> None:
        """Take up a committed task; `member` says whether its experience entered the hub."""
        if self._iterative:
            self._fill(task, member)

    def _fill(self, task: int, member: bool) -> None:
        place = self.place(task)
        current = self._round(place.lane, place.round)
        current.given[place.index] = member
        if len(current.given) == self._per_round:
            first = task - place.index
            entered = (first + at for at in range(self._per_round) if current.given[at])
            self._members[place.lane].extend(entered)
            current.given.clear()
            current.complete.set()
            self._rounds.pop((place.lane, place.round - 1), None)

    def _round(self, lane: int, number: int) -> _Round:
        return self._rounds.setdefault((lane, number), _Round())


def similarity(one: Experience, other: Experience) -> float:
    """How close two experiences are, 0 to 1: token-sort ratio of their words.

    Names do not count, nor the free text of personas: that was given, not invented.
    """
    return fuzz.token_sort_ratio(_words(one), _words(other)) / 100


def _words(experience: Experience) -> str:
    parts = [experience.relations, experience.situation, experience.topic, experience.starter.text]
    for card in (persona.card for persona in experience.personas if persona.card):
        parts += [str(value) for value in card.model_dump().values()]
    return " ".join(parts).casefold()
