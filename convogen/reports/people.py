"""The people of runs as a table of a report: ages, genders, origins of names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convogen.reports.cells import Cell, Row, Table, number_cell, share_cell

__all__ = ["people_table"]

KINDS = {"ages": "Age", "genders": "Gender", "origins": "Name"}

NOTE = (
    "Shares of the people of all experiences. Age and gender are those of their cards, or what "
    "their description says of them; where a name is at home is looked up by the last name, else "
    "the first, in a list that does not have all. Models invent some people more often than "
    "others: an uneven spread here is one in the data."
)

MOST_NAMES = 5


def people_table(numbers: Mapping[str, Any]) -> Table:
    """A run a column; without rows where no run has people."""
    found: dict[str, Mapping[str, Any]] = {
        name: run["people"] for name, run in numbers["runs"].items() if run.get("people")
    }
    rows = [Row("ours", "People", [number_cell(one["people"]) for one in found.values()])]
    for kind, label in KINDS.items():
        for key in dict.fromkeys(key for one in found.values() for key in one[kind]):
            cells = [share_cell(one[kind].get(key, 0) / one["people"]) for one in found.values()]
            rows.append(Row("ours", f"{label}: {key}", cells))
    rows.append(Row("ours", "Commonest first names", [_names(one) for one in found.values()]))
    title = "Ages, genders and origins of names"
    return Table(title, NOTE, ["Share", *found], rows if found else [])


def _names(found: Mapping[str, Any]) -> Cell:
    names = [*found["first_names"].items()][:MOST_NAMES]
    return Cell(", ".join(f"{name} {n / found['people']:.0%}" for name, n in names) or "–")
