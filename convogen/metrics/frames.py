"""Measures as pandas frames: one row per corpus or per conversation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from convogen.metrics.labels import TURN_CHECKS
from convogen.metrics.turn_checks import CheckCounts
from convogen.storage.frames import frame

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

    from convogen.metrics.statistics import Statistics
    from convogen.metrics.tally import CorpusTally

__all__ = ["statistics_frame", "tally_frame"]

_DTYPES: Mapping[Any, str] = {
    int: "Int64",
    float: "float64",
    bool: "boolean",
    str: "string[pyarrow]",
}
_REPETITION = ("experiences", "topics", "names", "starters")
_PER_CONVERSATION = {
    "words": "Int64",
    "turns": "Int64",
    "speakers": "Int64",
    "mtld": "float64",
    "ttr": "float64",
    "balance": "float64",
    "longest_absence": "Int64",
}


def statistics_frame(found: Statistics) -> DataFrame:
    """Return a frame with one row, which has the same columns for every corpus."""
    cells = list(_cells(type(found), found))
    for kind in _REPETITION:
        view = found.repetition.get(kind)
        cells.append((f"repetition_{kind}", "float64", view.share if view else None))
    for name in TURN_CHECKS:
        counts: dict[str, int] = getattr(found.turn_checks, name)
        cells.append((f"turn_checks_{name}", "Int64", sum(counts.values())))
    columns = {name: dtype for name, dtype, _ in cells}
    return frame(columns, [{name: value for name, _, value in cells}])


def tally_frame(tally: CorpusTally) -> DataFrame:
    """Return a frame with one row per conversation, in corpus order; missing values are NaN."""
    values = [getattr(tally, name) for name in ("words", "turns", "speakers", "mtld", "ttr")]
    rows = zip(*values, tally.balance, tally.absence, strict=True)
    return frame(
        _PER_CONVERSATION, (dict(zip(_PER_CONVERSATION, row, strict=True)) for row in rows)
    )


def _cells(kind: Any, found: Any, prefix: str = "") -> Iterator[tuple[str, str, Any]]:
    """Yield the name, dtype and value of each scalar field, including fields of nested
    dataclasses."""
    for name, hint in get_type_hints(kind).items():
        of = next(one for one in (*get_args(hint), hint) if one is not NoneType)
        value = None if found is None else getattr(found, name)
        if of is CheckCounts:
            continue
        if is_dataclass(of):
            yield from _cells(of, value, f"{name}_")
        elif get_origin(hint) is not dict:
            yield prefix + name, _DTYPES[of], value
