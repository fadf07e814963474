"""Pictures that show which shots experiences were generated from.

A picture covers either part of the plan or the lineage of one experience; large runs are never
drawn as a whole. Each experience is to the right of its shots.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from convogen.web.viewer.index import reading
from convogen.web.viewer.opened import Opened

__all__ = ["MOST", "Edge", "Lineage", "Node", "around", "places_of", "window"]

MOST = 80
"""Maximum number of experiences in a picture."""

WIDTH, HEIGHT = 176, 34
ACROSS, DOWN = 226, 46
LABEL = 21
"""Maximum length of a topic in its box, in characters."""

GLYPHS = {"accepted": "✓", "broken": "≈", "rejected": "⊘", "failed": "✕"}
"""Symbols for the outcome of an experience's conversation; pages also state it in words."""


@dataclass(frozen=True, slots=True)
class Node:
    """An experience in a picture.

    `kind` is `seed`, `earlier` (before the part of the plan shown), `hub` or `near_copy`.
    """

    id: str
    topic: str
    kind: str
    status: str
    conversation: str | None
    x: int
    y: int

    @property
    def label(self) -> str:
        """The text in the experience's box."""
        topic = self.topic or self.id
        short = topic if len(topic) <= LABEL else f"{topic[: LABEL - 1].rstrip()}…"
        return f"{GLYPHS[self.status]} {short}" if self.status in GLYPHS else short


@dataclass(frozen=True, slots=True)
class Edge:
    """A line from a shot to an experience that was generated from the shot."""

    x1: int
    y1: int
    x2: int
    y2: int

    @property
    def path(self) -> str:
        """The SVG path of the line."""
        middle = (self.x1 + self.x2) // 2
        return f"M{self.x1} {self.y1}C{middle} {self.y1} {middle} {self.y2} {self.x2} {self.y2}"


@dataclass(frozen=True, slots=True)
class Lineage:
    """A picture of experiences and their shots; `total` is the number of experiences in the run."""

    nodes: list[Node]
    edges: list[Edge]
    parents: dict[str, list[str]]
    total: int
    width: int
    height: int


@dataclass(slots=True)
class _Known:
    """The indexed values of the experiences in a picture."""

    topics: dict[str, str] = field(default_factory=dict[str, str])
    admitted: dict[str, bool | None] = field(default_factory=dict[str, "bool | None"])
    parents: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])


def window(opened: Opened, first: int = 0) -> Lineage:
    """Return the picture of up to `MOST` experiences, starting at index `first` in the plan."""
    with reading([opened.index]) as connection:
        rows = connection.execute(
            "select id from r0.experience order by task limit ? offset ?", (MOST, first)
        )
        return _drawn(connection, [row["id"] for row in rows])


def around(opened: Opened, name: str) -> Lineage:
    """Return the picture of an experience with its ancestors and descendants."""
    with reading([opened.index]) as connection:
        up = _reached(connection, name, "parent", "child", MOST // 2)
        down = _reached(connection, name, "child", "parent", MOST - len(up))
        rows = _some(
            connection,
            "select id from r0.experience where id in ({}) order by task",
            [*{*up, name, *down}],
        )
        return _drawn(connection, [row["id"] for row in rows])


def _reached(
    connection: sqlite3.Connection, name: str, wanted: str, given: str, most: int
) -> list[str]:
    """Return an experience's ancestors (if `wanted` is `parent`) or descendants, nearest first."""
    rows = connection.execute(
        f"with recursive reached(id, depth) as (values(?, 0) union select s.{wanted}, depth + 1 "
        f"from r0.shot s join reached r on s.{given} = r.id where depth < 30 limit 2000) "
        "select id from reached where id <> ? group by id order by min(depth) limit ?",
        (name, name, most),
    )
    return [row["id"] for row in rows]


def _some(
    connection: sqlite3.Connection, statement: str, names: Sequence[str]
) -> list[sqlite3.Row]:
    return connection.execute(statement.format(", ".join("?" * len(names))), names).fetchall()


def _drawn(connection: sqlite3.Connection, names: Sequence[str]) -> Lineage:
    known = _known(connection, names)
    (total,) = connection.execute("select count(*) from r0.experience").fetchone()
    places = places_of(names, known.parents)
    drawn = set(names)
    nodes = [_node(name, place, known, name in drawn) for name, place in places.items()]
    edges = [
        Edge(
            places[parent][0] + WIDTH,
            places[parent][1] + HEIGHT // 2,
            places[child][0],
            places[child][1] + HEIGHT // 2,
        )
        for child, parents in known.parents.items()
        for parent in parents
    ]
    wide = max((x for x, _ in places.values()), default=0) + WIDTH + 8
    high = max((y for _, y in places.values()), default=0) + HEIGHT + 8
    return Lineage(nodes, edges, known.parents, total, wide, high)


def _known(connection: sqlite3.Connection, names: Sequence[str]) -> _Known:
    known = _Known(parents={name: [] for name in names})
    for row in _some(connection, "select child, parent from r0.shot where child in ({})", names):
        known.parents[row["child"]].append(row["parent"])
    everybody = [*{*names, *(one for parents in known.parents.values() for one in parents)}]
    for row in _some(
        connection, "select id, topic, admitted from r0.experience where id in ({})", everybody
    ):
        known.topics[row["id"]] = row["topic"]
        known.admitted[row["id"]] = None if row["admitted"] is None else bool(row["admitted"])
    for row in _some(
        connection, "select experience, status, id from r0.item where experience in ({})", everybody
    ):
        known.outcomes[row["experience"]] = (row["status"], row["id"])
    return known


def _depths(names: Iterable[str], parents: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the column for each experience and shot; `names` are in the order of the plan.

    A shot that comes later in the plan, as in a run edited by hand, is treated as if it came
    earlier.
    """
    depths: dict[str, int] = {}
    for name in names:
        for parent in parents[name]:
            depths.setdefault(parent, 0)
        depths[name] = max((depths[parent] + 1 for parent in parents[name]), default=0)
    return depths


def places_of(
    names: Iterable[str], parents: Mapping[str, Sequence[str]]
) -> dict[str, tuple[int, int]]:
    """Return the position of the box for each experience and shot, with one column per depth.

    Args:
        names: Experiences in the order of the plan.
        parents: Experience -> its shots.
    """
    depths = _depths(names, parents)
    places: dict[str, tuple[int, int]] = {}
    for depth in range(max(depths.values(), default=-1) + 1):
        column = [name for name, own in depths.items() if own == depth]

        def height(name: str) -> float:
            heights = [places[one][1] for one in parents.get(name, ()) if one in places]
            return sum(heights) / len(heights) if heights else 0

        for row, name in enumerate(sorted(column, key=height)):
            places[name] = (4 + depth * ACROSS, 4 + row * DOWN)
    return places


def _node(name: str, place: tuple[int, int], known: _Known, drawn: bool) -> Node:
    status, conversation = known.outcomes.get(name, ("", None))
    if name not in known.topics:
        kind = "seed"
    elif not drawn:
        kind = "earlier"
    else:
        kind = "near_copy" if known.admitted[name] is False else "hub"
    return Node(name, known.topics.get(name, ""), kind, status, conversation, *place)
