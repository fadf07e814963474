"""The tables of a report, with cells that contain a number and its text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypedDict

from convogen.storage.frames import frame

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = [
    "COLUMNS",
    "Bounded",
    "Cell",
    "FlatCell",
    "Row",
    "Table",
    "interval_cell",
    "number_cell",
    "number_text",
    "printed_cell",
    "share_cell",
]

_TEXT, _NUMBER = "string[pyarrow]", "float64"
COLUMNS = {
    **dict.fromkeys(("table", "row", "column", "kind"), _TEXT),
    **dict.fromkeys(("value", "low", "high"), _NUMBER),
    "text": _TEXT,
}
"""Maps each column to its dtype, for a frame with one row per table cell."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a table cell and, if there is one, the 95% interval of the cell's number.

    `value`, `low` and `high` are the displayed numbers; None for cells without a number.
    """

    text: str
    interval: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None


class FlatCell(TypedDict):
    """A cell as a row of a frame, whose keys are the columns in `COLUMNS`."""

    table: str
    row: str
    column: str
    kind: str
    text: str
    value: float | None
    low: float | None
    high: float | None


class Bounded(Protocol):
    """A number with its 95% interval; a missing number or end is None."""

    @property
    def value(self) -> float | None: ...

    @property
    def low(self) -> float | None: ...

    @property
    def high(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table; `kind` is `ours` (generated), `human` or `published`."""

    kind: str
    label: str
    cells: list[Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `head` contains the labels of all columns, including the column of row labels."""

    title: str
    note: str
    head: list[str]
    rows: list[Row]

    def to_pandas(self) -> DataFrame:
        """Return a frame with one row per cell and unrounded numbers.

        Columns: `table` (the title), `row` and `column` (the labels of the row and column), `kind`
        (ours, human or published), `value`, `low` and `high` (the 95% interval), and `text` (the
        cell as shown). `frame.pivot(index="row", columns="column", values="value")` restores the
        table.
        """
        return frame(COLUMNS, self.flat())

    def flat(self) -> Iterator[FlatCell]:
        """Yield each cell with the labels of its row and column."""
        for row in self.rows:
            for name, cell in zip(self.head[1:], row.cells, strict=True):
                yield FlatCell(
                    table=self.title,
                    row=row.label,
                    column=name,
                    kind=row.kind,
                    text=cell.text,
                    value=cell.value,
                    low=cell.low,
                    high=cell.high,
                )


def number_text(value: float | int | None, digits: int = 2) -> str:
    """Return a number as shown in tables, with thousands separators; `–` for None."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def interval_cell(found: Bounded | None, digits: int = 2) -> Cell:
    """Return a cell with a number and the ends of its interval."""
    if found is None or found.value is None:
        return Cell("–")
    if found.low is None:
        return number_cell(found.value, digits)
    ends = f"{number_text(found.low, digits)} to {number_text(found.high, digits)}"
    return Cell(number_text(found.value, digits), ends, found.value, found.low, found.high)


def number_cell(value: float | int | None, digits: int = 2) -> Cell:
    return Cell(number_text(value, digits), value=value)


def share_cell(value: float, digits: int = 1, interval: str = "", sign: str = "") -> Cell:
    """Return a cell with a share, shown in percent."""
    return Cell(f"{value:{sign}.{digits}%}", interval, value)


def printed_cell(value: float) -> Cell:
    """Return a cell with a published number."""
    return Cell(f"{value:.2f}", value=value)
