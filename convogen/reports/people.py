"""A report's table of the personas in runs: ages, genders and origins of names."""

from __future__ import annotations

from collections.abc import Mapping

from convogen.metrics.people import People
from convogen.reports.cells import Cell, Row, Table, number_cell, share_cell
from convogen.reports.report import ReportedRun

__all__ = ["people_table"]

KINDS = {"ages": "Age", "genders": "Gender", "origins": "Name"}
"""Maps each field of `People` to the prefix of its row labels."""

NOTE = (
    "Shares of the personas in all experiences. Age and gender come from the persona cards or "
    "descriptions. The origin of a name is looked up in an incomplete list, by the last name or, "
    "if the last name is not listed, by the first name. Models invent some kinds of people more "
    "often than others; any imbalance shown here is also in the data."
)

MOST_NAMES = 5


def people_table(runs: Mapping[str, ReportedRun]) -> Table:
    """Return a table with one column per run, or without rows if no run has personas."""
    found = {name: run.people for name, run in runs.items() if run.people}
    rows = [Row("ours", "People", [number_cell(one.people) for one in found.values()])]
    for kind, label in KINDS.items():
        counts: list[dict[str, int]] = [getattr(one, kind) for one in found.values()]
        for key in dict.fromkeys(key for of in counts for key in of):
            cells = [
                share_cell(of.get(key, 0) / one.people)
                for of, one in zip(counts, found.values(), strict=True)
            ]
            rows.append(Row("ours", f"{label}: {key}", cells))
    rows.append(Row("ours", "Most common first names", [_names(one) for one in found.values()]))
    title = "Ages, genders and origins of names"
    return Table(title, NOTE, ["Share", *found], rows if found else [])


def _names(found: People) -> Cell:
    names = [*found.first_names.items()][:MOST_NAMES]
    return Cell(", ".join(f"{name} {n / found.people:.0%}" for name, n in names) or "–")
