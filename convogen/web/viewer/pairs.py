"""The data for comparing two runs, or two judges' scores for one run."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from convogen.web.viewer.conversation import ConversationPage, ShownTurn
from convogen.web.viewer.index import reading
from convogen.web.viewer.opened import Opened
from convogen.web.viewer.query import PER_PAGE

__all__ = [
    "JudgePair",
    "Pair",
    "Pairs",
    "Side",
    "TurnPair",
    "counterparts",
    "judges_beside",
    "other_judge",
    "pairs_of",
    "turns_beside",
]


@dataclass(frozen=True, slots=True)
class Side:
    """One conversation of a pair."""

    id: str
    status: str
    why: str
    topic: str
    n_turns: int
    n_words: int | None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two corresponding conversations from different runs."""

    first: Side
    second: Side


@dataclass(frozen=True, slots=True)
class Pairs:
    """A page of pairs of corresponding conversations from two runs.

    Attributes:
        by: What the conversations in each pair have in common: `experience`, `seed` (the seed, or
            the person and goal), or `place` (the position in the plan, which means little if the
            experiments differ).
        total: Number of pairs on all pages.
    """

    by: str
    total: int
    rows: list[Pair]


@dataclass(frozen=True, slots=True)
class TurnPair:
    """The turns of two conversations at the same position; `same` tells whether they are equal."""

    first: ShownTurn | None
    second: ShownTurn | None
    same: bool


@dataclass(frozen=True, slots=True)
class JudgePair:
    """A conversation with its scores on two scales."""

    id: str
    topic: str
    first: float
    second: float

    @property
    def difference(self) -> float:
        """The second score minus the first."""
        return self.second - self.first


_SIDE = "id status why topic n_turns n_words".split()
_BY = {
    "experience": "a.experience = b.experience",
    "seed": "a.pair = b.pair and a.pair glob '*[^0-9]*'",
    "place": "a.pair = b.pair",
}


def pairs_of(first: Opened, second: Opened, page: int) -> Pairs:
    """Return a page (counted from 1) of pairs of corresponding conversations.

    Conversations are matched by experience. If the runs have no experience in common, they are
    matched by seed, or by person and goal, and otherwise by their place in the plan.
    """
    with reading([first.index, second.index]) as connection:
        for by, same in _BY.items():
            joined = f"from r0.item a join r1.item b on {same}"
            (total,) = connection.execute(f"select count(*) {joined}").fetchone()
            if total:
                return Pairs(by, total, _pairs(connection, joined, page))
    return Pairs("place", 0, [])


def _pairs(connection: sqlite3.Connection, joined: str, page: int) -> list[Pair]:
    columns = ", ".join(f"{run}.{name}" for run in "ab" for name in _SIDE)
    rows = connection.execute(
        f"select {columns} {joined} order by a.task, a.number limit ? offset ?",
        (PER_PAGE, (page - 1) * PER_PAGE),
    )
    middle = len(_SIDE)
    return [Pair(Side(*row[:middle]), Side(*row[middle:])) for row in map(tuple, rows)]


def counterparts(opened: Opened, name: str, others: list[Opened]) -> list[tuple[str, str]]:
    """Return, for each other run with a conversation on the same experience, the run's key and the
    conversation's id.

    Experiences are the same if they have the same id, the same seed, or the same person and goal.
    """
    found: list[tuple[str, str]] = []
    for other in others:
        with reading([opened.index, other.index]) as connection:
            row = connection.execute(
                "select b.id from r0.item a join r1.item b on a.experience = b.experience or "
                f"({_BY['seed']}) where a.id = ? and b.status <> 'failed' limit 1",
                (name,),
            ).fetchone()
        if row is not None:
            found.append((other.key, row[0]))
    return found


def turns_beside(first: ConversationPage, second: ConversationPage) -> list[TurnPair]:
    """Return the turns of two conversations, paired by position."""
    return [TurnPair(one, other, _same(one, other)) for one, other in _zipped(first, second)]


def _zipped(
    first: ConversationPage, second: ConversationPage
) -> list[tuple[ShownTurn | None, ShownTurn | None]]:
    return list(zip_longest(first.turns, second.turns))


def _same(one: ShownTurn | None, other: ShownTurn | None) -> bool:
    if one is None or other is None:
        return False
    return (one.turn.speaker, one.turn.text) == (other.turn.speaker, other.turn.text)


def other_judge(scale: str, scales: Sequence[str]) -> str:
    """Return the scale (`judge/aspect`) that is best compared with a given scale: if possible, a
    scale from another judge, and preferably one for the same aspect."""
    judge, _, aspect = scale.rpartition("/")

    def nearness(other: str) -> tuple[bool, bool, bool]:
        its_judge, _, its_aspect = other.rpartition("/")
        return its_judge != judge, its_aspect == aspect, other != scale

    return max(scales, key=nearness, default="")


def judges_beside(
    opened: Opened, first: str, second: str, page: int
) -> tuple[int, list[JudgePair]]:
    """Return the number of conversations with scores on both scales (`judge/aspect`), and a page of
    these conversations, with the largest differences first."""
    joined = (
        "from r0.score a join r0.score b on a.conversation = b.conversation "
        "join r0.item i on i.id = a.conversation "
        "where a.scale = (select number from r0.scale where judge = ? and aspect = ?) "
        "and b.scale = (select number from r0.scale where judge = ? and aspect = ?) "
        "and a.value is not null and b.value is not null"
    )
    scales = [part for scale in (first, second) for part in scale.rpartition("/")[::2]]
    with reading([opened.index]) as connection:
        (total,) = connection.execute(f"select count(*) {joined}", scales).fetchone()
        rows = connection.execute(
            f"select i.id, i.topic, a.value, b.value {joined} "
            "order by abs(a.value - b.value) desc, i.task limit ? offset ?",
            (*scales, PER_PAGE, (page - 1) * PER_PAGE),
        )
        return total, [JudgePair(*row) for row in rows]
