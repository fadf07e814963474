"""Queries for the list page, and the SQL that runs them."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from convogen.web.viewer.text import MOST_CHARS, match_expression, terms_of

__all__ = ["PER_PAGE", "SORTS", "STATUSES", "Found", "Query", "count", "find", "last_page"]

PER_PAGE = 50
STATUSES = ("accepted", "broken", "rejected", "failed")
SORTS = {
    "plan": "Plan order",
    "last": "Latest first",
    "long": "Most turns first",
    "short": "Fewest turns first",
    "words": "Most words first",
    "best": "Best score first",
    "worst": "Worst score first",
}
_ORDERS = {
    "plan": "task, number",
    "last": "task desc, number desc",
    "long": "n_turns desc, task",
    "short": "n_turns, task",
    "words": "n_words desc, task",
    "best": "value is null, value desc, task",
    "worst": "value is null, value, task",
}
_EXACT = ("language", "status", "why")
_KEPT = "i.status in ('accepted', 'broken')"
_NAMES = (
    "number status why id task file offset length topic people n_turns n_words language preview"
)
_COLUMNS = ", ".join(f"i.{name} as {name}" for name in _NAMES.split())


@dataclass(frozen=True, slots=True)
class Query:
    """A search with filters; an empty string or None means no filter.

    Attributes:
        text: Words and quoted phrases, all of which must occur in the scene, names or turns.
        topic, speaker: Text that the topic or a speaker's name contains; case is ignored.
        status: One of `STATUSES`, or `kept` for accepted and broken conversations.
        why: Why the status was given: a fault, a gate, or a failure's stage and kind.
        check: Turn event and its fault, for example `asked_again/echo`.
        scale: Judge and aspect whose scores are shown, for example `geval/overall`.
        low, high: Minimum and maximum score on `scale`.
        least, most: Minimum and maximum number of turns.
        sort: One of `SORTS`.
        page: Number of the list page, counted from 1.
    """

    text: str = ""
    topic: str = ""
    speaker: str = ""
    language: str = ""
    status: str = ""
    why: str = ""
    check: str = ""
    scale: str = ""
    low: float | None = None
    high: float | None = None
    least: int | None = None
    most: int | None = None
    sort: str = "plan"
    page: int = 1

    @classmethod
    def of(cls, values: Mapping[str, str]) -> Query:
        """Return the query that an address's parameters describe; invalid values are ignored."""

        def text(name: str) -> str:
            return values.get(name, "").strip()[:MOST_CHARS]

        sort, status, why = text("sort"), text("status"), text("why")
        chosen, colon, rest = why.partition(":")
        if colon and chosen in STATUSES:  # the format of the options in the `why` filter
            status, why = chosen, rest
        return cls(
            text=text("q"),
            topic=text("topic"),
            speaker=text("speaker"),
            language=text("language"),
            status=status if status in STATUSES else "",
            why=why,
            check=text("check"),
            scale=text("scale"),
            low=_number(text("low")),
            high=_number(text("high")),
            least=_whole(text("least")),
            most=_whole(text("most")),
            sort=sort if sort in SORTS else "plan",
            page=max(1, _whole(text("page")) or 1),
        )

    def address(self, **changes: Any) -> str:
        """Return the changed query as address parameters, for page 1 unless `page` is given."""
        asked = replace(self, **{"page": 1, **changes})
        names = {"text": "q"}
        values = {
            names.get(name, name): getattr(asked, name)
            for name in self.__dataclass_fields__
            if getattr(asked, name) not in ("", None)
        }
        if values["sort"] == "plan":
            del values["sort"]
        if values["page"] == 1:
            del values["page"]
        return urlencode(values)

    @property
    def narrowed(self) -> bool:
        """Whether any filter other than `text` and `status` is set."""
        others = (self.topic, self.speaker, self.language, self.why, self.check)
        bounds = (self.low, self.high, self.least, self.most)
        return any(others) or any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True)
class Found:
    """A row of the list; `run` is the index of the row's run among the searched runs."""

    run: int
    number: int
    status: str
    why: str
    id: str
    task: int | None
    file: str
    offset: int
    length: int
    topic: str
    people: list[str]
    n_turns: int
    n_words: int | None
    language: str | None
    preview: str
    value: float | None


def find(
    connection: sqlite3.Connection, runs: Sequence[int], query: Query, most: int = PER_PAGE
) -> list[Found]:
    """Return a page of a query's rows; `runs` contains the numbers in the index names `r0`, `r1`,
    …"""
    selects, values = _selects(runs, query, f"{{run}} as run, {_COLUMNS}, s.value as value")
    order = _ORDERS[query.sort]
    if len(runs) > 1 and query.sort in ("plan", "last"):
        order = f"run, {order}"
    statement = f"select * from ({selects}) order by {order} limit ? offset ?"
    rows = connection.execute(statement, (*values, most, (query.page - 1) * most))
    return [_found(row) for row in rows]


def count(connection: sqlite3.Connection, runs: Sequence[int], query: Query) -> dict[str, int]:
    """Return the number of rows that a query finds for each status."""
    columns = "i.status as status, count(*) as n"
    bounded = query.low is not None or query.high is not None
    selects, values = _selects(runs, query, columns, scored=bounded, after=" group by 1")
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    for row in connection.execute(selects, values):
        counts[row["status"]] += row["n"]
    return counts


def last_page(total: int) -> int:
    """Return the number of the last page in a list of `total` rows, at least 1."""
    return max(1, -(-total // PER_PAGE))


def _selects(
    runs: Sequence[int], query: Query, columns: str, *, scored: bool = True, after: str = ""
) -> tuple[str, list[object]]:
    """Return a SELECT statement over the runs, and its parameters; if `scored`, the rows include
    scores on the query's scale."""
    parts: list[str] = []
    values: list[object] = []
    for run in runs:
        where, given = _conditions(f"r{run}", query)
        source = f"r{run}.item i"
        if scored:
            values += _scale_of(query)
            source += (
                f" left join r{run}.score s on s.conversation = i.id and s.scale = "
                f"(select number from r{run}.scale where judge = ? and aspect = ?)"
            )
        parts.append(f"select {columns.format(run=run)} from {source} where {where}{after}")
        values += given
    return " union all ".join(parts), values


def _scale_of(query: Query) -> list[object]:
    judge, _, aspect = query.scale.rpartition("/")
    return [judge, aspect]


def _conditions(run: str, query: Query) -> tuple[str, list[object]]:
    """Return a query's SQL condition for the rows of a run, and the condition's parameters."""
    wanted: list[tuple[str, list[object]]] = []
    if terms := terms_of(query.text):
        matching = f"i.number in (select rowid from {run}.words where words match ?)"
        wanted.append((matching, [match_expression(terms)]))
    elif query.text:
        wanted.append(("0", []))
    for column in ("topic", "speaker"):
        if part := getattr(query, column):
            name = "people" if column == "speaker" else column
            wanted.append((f"i.{name} like ? escape '\\'", [_like(part)]))
    exact: dict[str, object] = {name: getattr(query, name) for name in _EXACT}
    if exact["status"] == "kept":
        wanted.append((_KEPT, []))
        del exact["status"]
    wanted += [(f"i.{column} = ?", [value]) for column, value in exact.items() if value]
    for column, bound, sign in (
        ("s.value", query.low, ">="),
        ("s.value", query.high, "<="),
        ("i.n_turns", query.least, ">="),
        ("i.n_turns", query.most, "<="),
    ):
        if bound is not None:
            wanted.append((f"{column} {sign} ?", [bound]))
    if query.check:
        what, _, fault = query.check.partition("/")
        checked = f"i.number in (select item from {run}.turn_check where what = ? and fault = ?)"
        wanted.append((checked, [what, fault]))
    conditions = " and ".join(condition for condition, _ in wanted)
    return conditions or "1", [value for _, values in wanted for value in values]


def _like(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _found(row: sqlite3.Row) -> Found:
    values = dict(row)
    people = values.pop("people")
    return Found(**values, people=people.split("\n") if people else [])


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
