"""The few-shot hub: shots for the experience generator, fed by its own output.

A lane is one lineage. Within it rounds are sequential: all prompts of a round get the same
shots, drawn from what the earlier rounds left; what the round gives enters the hub in the order
of the plan, so the hub never depends on which call came back first. Source: ConvoGen, sections
II-C-1 and III (eight experiences a round from the same shot).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
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
    """The experiences of one round by place; complete once every place is filled."""

    given: dict[int, Experience | None] = field(default_factory=dict[int, "Experience | None"])
    complete: asyncio.Event = field(default_factory=asyncio.Event)


class FewShotHub:
    """The hub of one run.

    `policy` names how shots are drawn: `uniform` over the lane's hub, or the `newest`. With
    `iterative` off every prompt gets the same shots, and nothing enters the hub. An experience
    whose similarity to one of its shots is `near_copy` or more does not enter.
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
    ) -> None:
        self._seeds = list(seeds)
        self._seed = seed
        self._iterative = iterative
        self._lanes = lanes
        self._per_round = per_round
        self._shots = shots
        self._policy = policy
        self._near_copy = near_copy
        self._members: list[list[Experience]] = [[] for _ in range(lanes)]
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
            return self._draw(self._seeds, f"{self._seed}/fixed", "uniform")
        key = (place.lane, place.round)
        if place.round > 0 and key not in self._drawn:
            await self._round(place.lane, place.round - 1).complete.wait()
        if key not in self._drawn:
            hub = self._seeds + self._members[place.lane]
            self._drawn[key] = self._draw(hub, f"{self._seed}/{place.lane}/{place.round}")
            self._drawn.pop((place.lane, place.round - 2), None)
        return self._drawn[key]

    def _draw(
        self, hub: list[Experience], seed: str, policy: Policy | None = None
    ) -> list[Experience]:
        n = min(self._shots, len(hub))
        if (policy or self._policy) == "newest":
            return hub[len(hub) - n :]
        return random.Random(seed).sample(hub, n)

    def judge(self, experience: Experience, shots: Sequence[Experience]) -> Admission:
        """Whether an experience is different enough from its shots to enter the hub."""
        nearest = max((similarity(experience, shot) for shot in shots), default=0.0)
        admitted = nearest < self._near_copy if self._iterative else None
        return Admission(admitted, round(nearest, 4))

    def add(self, task: int, experience: Experience | None) -> None:
        """Say what a task gave: an experience, or None where it failed or was not admitted."""
        if not self._iterative:
            return
        place = self.place(task)
        current = self._round(place.lane, place.round)
        current.given[place.index] = experience
        if len(current.given) == self._per_round:
            in_order = [current.given[index] for index in range(self._per_round)]
            self._members[place.lane] += [given for given in in_order if given is not None]
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
