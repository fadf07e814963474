"""Numbers reported in papers, as data for comparison.

>>> convogen = published("convogen")
>>> convogen["III"].rows["PERSONA-CHAT"]["nW"]
198.46

The data contains only numbers and the names of rows and columns, with the paper and table that they
come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, cast

from convogen.errors import SourceError
from convogen.inputs.yaml12 import parse_yaml

__all__ = ["Cell", "PublishedTable", "published"]

Cell = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """One table of a paper.

    `rows[row][column]` is a cell, and `columns` describes each column. `source` says where the
    numbers come from if the paper does not print them; otherwise it is None.
    """

    paper: str
    table: str
    about: str
    columns: dict[str, str]
    rows: dict[str, dict[str, Cell]]
    source: str | None = None


@lru_cache(maxsize=8)
def published(paper: str) -> dict[str, PublishedTable]:
    """Return a mapping from table numbers to a paper's tables; raises `SourceError` if the paper is
    unknown."""
    folder = files("convogen.published")
    file = folder / f"{paper}.yaml"
    if not paper.isidentifier() or not file.is_file():
        known = sorted(
            item.name.removesuffix(".yaml")
            for item in folder.iterdir()
            if item.name.endswith(".yaml")
        )
        raise SourceError(f"no published numbers for '{paper}'; known papers: {', '.join(known)}")
    data = cast("dict[str, Any]", parse_yaml(file.read_text(encoding="utf-8"), str(file)))
    return {name: _table(data["paper"], name, table) for name, table in data["tables"].items()}


def _table(paper: str, name: str, table: dict[str, Any]) -> PublishedTable:
    columns: dict[str, str] = table["columns"]
    rows = {row: dict(zip(columns, cells, strict=True)) for row, cells in table["rows"].items()}
    return PublishedTable(
        paper=paper,
        table=name,
        about=table["about"],
        columns=columns,
        rows=rows,
        source=table.get("source"),
    )
