"""The data for the list page: rows, counts, and filter choices."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from convogen.errors import RunFolderError
from convogen.records import Failure, Rejected
from convogen.web.viewer.facts import CHECKS
from convogen.web.viewer.index import reading
from convogen.web.viewer.live import RunState, state_of
from convogen.web.viewer.opened import Opened, Outcome
from convogen.web.viewer.people import Person, people_of
from convogen.web.viewer.query import SORTS, STATUSES, Found, Query, count, find, last_page
from convogen.web.viewer.text import Part, marked, terms_of

__all__ = ["Choices", "Listed", "Listing", "listing", "scales_of"]

MOST_CHOICES = 60
MOST_FACES = 6
"""Maximum number of people shown in a row."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A row of the list: its indexed values, people, and search hits."""

    run: str
    found: Found
    people: list[Person]
    parts: list[Part]


@dataclass(frozen=True, slots=True)
class Choices:
    """The choices that the filters offer: scales, and other values with their frequencies."""

    languages: list[tuple[str, int]]
    reasons: dict[str, list[tuple[str, int]]]
    checks: dict[str, list[tuple[str, int]]]
    scales: list[str]

    @property
    def scale(self) -> str:
        """The default scale: the first scale for the `overall` aspect, if any, otherwise the first
        scale; "" if there are no scales."""
        overall = (scale for scale in self.scales if scale.endswith("/overall"))
        return next(overall, self.scales[0] if self.scales else "")


@dataclass(frozen=True, slots=True)
class Listing:
    """The data for the list page.

    Attributes:
        counts: Number of rows for each status, with all filters applied except `status` and `why`.
        total: Number of rows found with all filters applied.
        damaged: Run, file, line number and error of some rows that cannot be read.
        nothing_searched: Whether the search text contains no words, but is not empty.
    """

    query: Query
    rows: list[Listed]
    counts: dict[str, int]
    total: int
    choices: Choices
    states: dict[str, RunState]
    damaged: list[tuple[str, str, int, str]]
    nothing_searched: bool

    @property
    def pages(self) -> int:
        """The number of pages, at least 1."""
        return last_page(self.total)

    @property
    def sorts(self) -> dict[str, str]:
        """The available sort orders, with the names shown on the page."""
        scored = bool(self.choices.scales)
        return {key: text for key, text in SORTS.items() if scored or key not in ("best", "worst")}

    @property
    def every(self) -> int:
        """The total number of rows, whatever their status."""
        return sum(self.counts.values())


def listing(runs: Sequence[Opened], query: Query) -> Listing:
    """Return the data for a list of the conversations in these runs that match a query."""
    numbers = range(len(runs))
    with reading([opened.index for opened in runs]) as connection:
        choices = _choices(connection, numbers)
        query = _with_scale(query, choices)
        counts = count(connection, numbers, replace(query, status="", why=""))
        exact = count(connection, numbers, query) if query.status or query.why else counts
        rows = find(connection, numbers, query)
        damaged = [
            (runs[number].key, *row)
            for number in numbers
            for row in connection.execute(f"select file, line, why from r{number}.damaged limit 5")
        ]
    terms = terms_of(query.text)
    return Listing(
        query=query,
        rows=[_listed(runs[row.run], row, terms) for row in rows],
        counts=counts,
        total=sum(exact.values()),
        choices=choices,
        states={opened.key: state_of(opened) for opened in runs},
        damaged=damaged,
        nothing_searched=bool(query.text) and not terms,
    )


def scales_of(opened: Opened) -> list[str]:
    """Return the scales of a run, in the form `judge/aspect`."""
    with reading([opened.index]) as connection:
        rows = connection.execute("select judge, aspect from r0.scale order by judge, number")
        return [f"{row['judge']}/{row['aspect']}" for row in rows]


def _with_scale(query: Query, choices: Choices) -> Query:
    """Return the query, with the default scale if the query's own scale does not exist."""
    if query.scale in choices.scales:
        return query
    return replace(query, scale=choices.scale)


def _choices(connection: sqlite3.Connection, numbers: range) -> Choices:
    def counted(columns: str, table: str) -> list[tuple[Any, ...]]:
        union = " union all ".join(f"select {columns} from r{number}.{table}" for number in numbers)
        rows = connection.execute(
            f"select *, count(*) as n from ({union}) group by {columns} order by n desc"
        )
        return [tuple(row) for row in rows]

    reasons: dict[str, list[tuple[str, int]]] = {status: [] for status in STATUSES}
    for status, why, n in counted("status, why", "item"):
        if why and len(reasons[status]) < MOST_CHOICES:
            reasons[status].append((why, int(n)))
    checks: dict[str, list[tuple[str, int]]] = {what: [] for what in CHECKS}
    for what, fault, n in counted("what, fault", "turn_check"):
        if len(checks[what]) < MOST_CHOICES:
            checks[what].append((fault, int(n)))
    languages = [(tag, int(n)) for tag, n in counted("language", "item") if tag is not None]
    scales = [f"{judge}/{aspect}" for judge, aspect, _ in counted("judge, aspect", "scale")]
    return Choices(languages[:MOST_CHOICES], reasons, checks, sorted(scales))


def _listed(opened: Opened, found: Found, terms: Sequence[str]) -> Listed:
    people = [*people_of(found.people[:MOST_FACES], (), ()).values()]
    return Listed(opened.key, found, people, _parts(opened, found, terms) if terms else [])


def _parts(opened: Opened, found: Found, terms: Sequence[str]) -> list[Part]:
    """Return an excerpt with search hits from a record's text, which is read from the run."""
    try:
        outcome = opened.at(found.file, found.offset, found.length)
    except RunFolderError:
        return []
    return marked(_texts(outcome), terms)


def _texts(outcome: Outcome) -> list[str]:
    if isinstance(outcome, Failure):
        return [outcome.message, outcome.evidence]
    conversation = outcome.conversation if isinstance(outcome, Rejected) else outcome
    context = [str(value) for value in conversation.context.values()]
    return [*(turn.text for turn in conversation.turns), *context]
