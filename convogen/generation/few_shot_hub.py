"""The few-shot hub, which provides shots for the experience generator and to which generated
experiences are added.

A lane is one lineage of the hub. Rounds within a lane are sequential. All prompts in a round get
the same shots, which are drawn from the hub's state after the earlier rounds. Source: ConvoGen,
sections II-C-1 and III (eight experiences per round from the same shot).

A draw considers only seeds and members in the task's language.

Within a lane, tasks report in plan order. Before an experience may enter the hub, it is compared
with the seeds, the members and the earlier experiences of its own round. Therefore, neither the hub
nor any record depends on the order in which model calls return.

The hub keeps 80 bytes per member in memory: the task number and a MinHash signature. The experience
itself is kept only until it is committed; afterwards, it is read from the run folder.
"""

from __future__ import annotations

import asyncio
import random
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from rapidfuzz import fuzz

from convogen.generation.coverage import Coverage, Target
from convogen.records import Experience
from convogen.text.language_tags import language_and_script
from convogen.text.near_duplicates import NearCopyIndex

__all__ = ["FewShotHub", "RoundSlot", "round_slot", "similarity"]

Policy = Literal["uniform", "newest", "coverage"]

_COMPARED = 3
"""Maximum number of seeds, and of members, with which an experience is compared."""


@dataclass(frozen=True, slots=True)
class RoundSlot:
    """The position of a task: its lane, its round in the lane, and its index in the round."""

    lane: int
    round: int
    index: int


def round_slot(task: int, lanes: int, per_round: int) -> RoundSlot:
    """Return a task's position. Lanes alternate; each lane gets `per_round` consecutive tasks at a
    time."""
    in_round = task // per_round
    return RoundSlot(in_round % lanes, in_round // lanes, task % per_round)


class FewShotHub:
    """The hub of one run.

    `iterative` determines the source of the shots:

    - True: the lane's hub, to which experiences are added. With the `uniform` policy, shots are
      drawn at random; with `newest`, they are the latest members; with `coverage`, each task gets
      shots from a rare topic (see `Coverage`).
    - False: the same seeds for the whole run.
    - `rotate`: the seeds in turn, with different shots in each round.

    Round 0 of lane 0 has the same shots in all three cases.

    An experience does not enter the hub if its similarity to a shot, a seed or a member of its lane
    is at least `near_copy`. `recall` returns the committed experience of a task.
    """

    def __init__(
        self,
        seeds: Sequence[Experience],
        *,
        seed: int,
        iterative: bool | Literal["rotate"],
        lanes: int,
        per_round: int,
        shots: int,
        policy: Policy,
        near_copy: float,
        recall: Callable[[int], Experience],
        clusters: int = 8,
    ) -> None:
        self._seeds = list(seeds)
        self._seed = seed
        self._iterative = iterative
        self._per_round = per_round
        self._shots = shots
        self._policy = policy
        self._near_copy = near_copy
        self._recall = recall
        self._clusters = clusters
        self._lanes = [_Lane(per_round, near_copy, self._coverage(at)) for at in range(lanes)]
        self._uncommitted: dict[int, Experience] = {}
        self._seed_index = NearCopyIndex(near_copy)
        for at, own in enumerate(self._seeds):
            self._seed_index.add(at, _words(own))

    def place(self, task: int) -> RoundSlot:
        """Return a task's position."""
        return round_slot(task, len(self._lanes), self._per_round)

    async def shots(self, task: int, language: str | None = None) -> list[Experience]:
        """Wait until all earlier rounds of a task's lane have reported, then return the task's
        shots.

        All shots are in `language`, a BCP 47 tag; None stands for English. The list is empty if the
        hub contains no experience in that language.
        """
        place, wanted = self.place(task), language_and_script(language)
        seeds = [seed for seed in self._seeds if language_and_script(seed.language) == wanted]
        if self._iterative == "rotate":
            return self._in_turn(seeds, place.lane, place.round)
        if not self._iterative:
            return self._in_turn(seeds, 0, 0)
        lane = self._lanes[place.lane]
        await lane.turn(place.round * self._per_round)
        if target := lane.target(wanted, place.index):
            return self._of_cluster(place, target)
        if wanted not in lane.drawn:
            lane.drawn[wanted] = self._draw(seeds, *lane.members(wanted), place)
        return lane.drawn[wanted]

    def topic(self, task: int, language: str | None = None) -> str:
        """Return a phrase that says what a task's topic should be near and far from.

        Call this method after `shots`. The phrase is empty if the policy is not `coverage`, and
        while the lane has too few experiences.
        """
        place = self.place(task)
        target = self._lanes[place.lane].target(language_and_script(language), place.index)
        return target.topic if target else ""

    async def admit(
        self, task: int, experience: Experience, shots: Sequence[Experience]
    ) -> Experience:
        """Report a task's experience, and return the experience with `admitted` and `similarity`
        set.

        If the hub grows, the method first waits until all earlier tasks of the lane have reported.
        `similarity` (0 to 1) is the experience's highest similarity to any of the task's shots and
        to any candidate that MinHash finds among the seeds and the lane's members (for the recall,
        see `NearCopyIndex`). `admitted` is None if the hub does not grow.
        """
        lane = await self._turn(task)
        words = _words(experience)
        near = [self._seeds[at] for at in self._seed_index.candidates(words, _COMPARED)]
        near += map(self._member, lane.index.candidates(words, _COMPARED))
        nearest = max((_alike(words, _words(other)) for other in (*shots, *near)), default=0.0)
        admitted = nearest < self._near_copy if self._iterative is True else None
        update = {"admitted": admitted, "similarity": round(nearest, 4)}
        experience = experience.model_copy(update=update)
        if admitted is not None:
            if admitted or self._policy == "coverage":
                self._uncommitted[task] = experience
            lane.report(task, experience, words if admitted else None)
        return experience

    async def skip(self, task: int) -> None:
        """Report that a task has no experience, after waiting in the same way as `admit`."""
        lane = await self._turn(task)
        if self._iterative is True:
            lane.report(task, None, None)

    def committed(self, task: int) -> None:
        """Record that a task's rows are on disk, so that the task's experience is read from disk
        from then on."""
        self._uncommitted.pop(task, None)

    def restore(self, committed: int, experiences: Iterable[Experience]) -> None:
        """Restore the reports of the first `committed` tasks.

        `experiences` yields the committed experiences in plan order. The experiences are not kept
        in memory.
        """
        if self._iterative is not True:
            return
        reported = iter(experiences)
        experience = next(reported, None)
        for task in range(committed):
            lane = self._lanes[self.place(task).lane]
            if experience is not None and experience.task == task:
                lane.report(task, experience, _words(experience) if experience.admitted else None)
                experience = next(reported, None)
            else:
                lane.report(task, None, None)

    def stop(self) -> None:
        """Cancel all tasks that wait for their turn, because a task has raised an exception and the
        run ends."""
        for lane in self._lanes:
            lane.stop()

    async def _turn(self, task: int) -> _Lane:
        """Return a task's lane; if the hub grows, wait until all earlier tasks of the lane have
        reported."""
        place = self.place(task)
        lane = self._lanes[place.lane]
        if self._iterative is True:
            await lane.turn(place.round * self._per_round + place.index)
        return lane

    def _draw(
        self, seeds: Sequence[Experience], members: Sequence[int], n_shown: int, place: RoundSlot
    ) -> list[Experience]:
        """Return a round's shots from the seeds and the first `n_shown` members: the latest
        experiences with the `newest` policy, otherwise a random sample."""
        if place.round == 0:
            return self._in_turn(seeds, place.lane, 0)
        hub = range(len(seeds) + n_shown)
        n = min(self._shots, len(hub))
        if self._policy == "newest":
            chosen = list(hub[len(hub) - n :])
        else:
            draws = random.Random(f"{self._seed}/hub/{place.lane}/{place.round}")
            chosen = draws.sample(hub, n)
        return [
            seeds[at] if at < len(seeds) else self._member(members[at - len(seeds)])
            for at in chosen
        ]

    def _coverage(self, lane: int) -> dict[str, Coverage] | None:
        """Return the coverage of a lane's initial hub, keyed by language; None unless the policy is
        `coverage`."""
        if self._policy != "coverage" or self._iterative is not True:
            return None
        by_language: dict[str, list[Experience]] = {}
        for seed in self._seeds:
            by_language.setdefault(language_and_script(seed.language), []).append(seed)
        return {
            written: Coverage(seeds, self._clusters, f"{self._seed}/coverage/{lane}/{written}")
            for written, seeds in by_language.items()
        }

    def _of_cluster(self, place: RoundSlot, target: Target) -> list[Experience]:
        """Return a task's shots, drawn at random from the cluster with the desired topic."""
        draws = random.Random(f"{self._seed}/hub/{place.lane}/{place.round}/{place.index}")
        chosen = draws.sample(target.members, min(self._shots, len(target.members)))
        return [self._member(at) if isinstance(at, int) else at for at in chosen]

    def _in_turn(self, seeds: Sequence[Experience], lane: int, number: int) -> list[Experience]:
        """Return the shots for a round if the seeds rotate.

        The seeds form a shuffled circle. After as many rounds as there are seeds, each seed has
        been shown equally often, and the circle is reshuffled. Consecutive rounds never have the
        same shots, unless each round shows all seeds.
        """
        size = len(seeds)
        if not size:
            return []
        n = min(self._shots, size)
        cycle, position = divmod(number, size)
        if size <= 2 * n:  # too few to guarantee different shots in a new order
            cycle = 0
        order = self._shuffled(size, lane, cycle)
        if cycle and set(order[:n]) == set(self._shuffled(size, lane, cycle - 1)[-n:]):
            order[0], order[n] = order[n], order[0]
        return [seeds[order[(position * n + nth) % size]] for nth in range(n)]

    def _shuffled(self, size: int, lane: int, cycle: int) -> list[int]:
        return random.Random(f"{self._seed}/seeds/{lane}/{cycle}").sample(range(size), size)

    def _member(self, task: int) -> Experience:
        return self._uncommitted.get(task) or self._recall(task)


class _Lane:
    """One lineage of the hub: its members, and the number of its tasks that have reported.

    `drawn` maps each language to the shots that have been drawn for it in the current round.
    `coverage` maps each language to its topic coverage; None unless the policy is `coverage`.
    """

    def __init__(
        self, per_round: int, near_copy: float, coverage: dict[str, Coverage] | None
    ) -> None:
        self._per_round = per_round
        self._coverage = coverage
        self._members: dict[str, array[int]] = {}
        self._n_shown: dict[str, int] = {}
        self.index = NearCopyIndex(near_copy)
        self.drawn: dict[str, list[Experience]] = {}
        self._reported = 0
        self._turns: dict[int, asyncio.Event] = {}
        self._stopped = False

    async def turn(self, position: int) -> None:
        """Wait until the first `position` tasks of the lane have reported."""
        if self._reported < position and not self._stopped:
            await self._turns.setdefault(position, asyncio.Event()).wait()
        if self._reported < position:
            raise asyncio.CancelledError

    def members(self, written: str) -> tuple[Sequence[int], int]:
        """Return the task numbers of the members in a language, and how many of these members may
        be shown.

        Only members that existed when the current round began may be shown.
        """
        return self._members.get(written, ()), self._n_shown.get(written, 0)

    def target(self, written: str, index: int) -> Target | None:
        """Return the desired topic region for a task in the current round; None if there are no
        clusters."""
        coverage = (self._coverage or {}).get(written)
        return coverage.target(index, self._per_round) if coverage else None

    def report(self, task: int, experience: Experience | None, words: str | None) -> None:
        """Record the outcome of the lane's next task: its experience, if any, and the experience's
        words if the experience entered the hub."""
        if experience is not None:
            written = language_and_script(experience.language)
            if words is not None:
                self._members.setdefault(written, array("Q")).append(task)
                self.index.add(task, words)
            if self._coverage is not None and written in self._coverage:
                self._coverage[written].add(task, experience)
        self._reported += 1
        if self._reported % self._per_round == 0:
            for coverage in (self._coverage or {}).values():
                coverage.next_round()
            self._n_shown = {tag: len(members) for tag, members in self._members.items()}
            self.drawn = {}
        if turn := self._turns.pop(self._reported, None):
            turn.set()

    def stop(self) -> None:
        self._stopped = True
        for turn in self._turns.values():
            turn.set()


def similarity(experience: Experience, other: Experience) -> float:
    """Return the similarity (0 to 1) of two experiences, measured as the token-sort ratio of their
    words.

    The names and the free text of personas do not count.
    """
    return _alike(_words(experience), _words(other))


def _alike(words: str, others: str) -> float:
    return fuzz.ratio(words, others) / 100


def _words(experience: Experience) -> str:
    """Return the words of an experience that are used in comparisons, in sorted order."""
    parts = [experience.relations, experience.situation, experience.topic, experience.starter.text]
    for card in (persona.card for persona in experience.personas if persona.card):
        parts += map(str, vars(card).values())
    return " ".join(sorted(" ".join(parts).casefold().split()))
