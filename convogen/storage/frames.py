"""The tables of a run as pandas data frames, with their columns and the rows that fill them.

Columns and dtypes are the same for every run, including empty runs and runs in earlier data
formats. Rows are read in blocks, so that only the frame is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

from convogen.errors import RunFolderError, UserError
from convogen.text.identify import identify
from convogen.text.segmentation import count_words

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["COLUMNS", "RunTable", "columns_of", "frame", "run_frame"]

RunTable = Literal[
    "conversations", "turns", "scores", "ledger", "experiences", "failures", "rejected"
]

LIST = "list"
"""Marks a column of lists (dtype object), with an empty list if a row has no value."""

_BLOCK = 4_096
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOKENS = " prompt_tokens completion_tokens cached_tokens"
_DTYPES = {
    name: dtype
    for dtype, names in {
        "Int64": "task turn n_turns n_words target_words capped_at left_out index place attempts"
        " selection_left_out lost_attempts lost_prompt_tokens lost_completion_tokens" + _TOKENS,
        "float64": "value mass similarity seconds",
        "boolean": "acquainted admitted",
        "datetime64[ms, UTC]": "at",
        "object": "context labels distribution counts turn_labels",
        LIST: "participants personas shots repairs plan refused reasks tidied faults candidates"
        " selection_candidates",
    }.items()
    for name in names.split()
}
"""Maps column names to dtypes; all other columns contain text."""


def _columns(names: str, **dtypes: str) -> dict[str, str]:
    return {
        name: dtypes.get(name) or _DTYPES.get(name, "string[pyarrow]") for name in names.split()
    }


COLUMNS: dict[RunTable, dict[str, str]] = {
    "conversations": _columns(
        "id task method experience participants n_turns n_words context labels ended refused"
        + _TOKENS
    ),
    "turns": _columns(
        "conversation task turn speaker addressee text n_words target_words origin model request"
        " reasks tidied faults lapse candidates capped_at left_out selection_candidates"
        " selection_reply selection_repair selection_left_out" + _TOKENS
    ),
    "scores": _columns(
        "conversation judge aspect value method distribution mass choice index place turn_labels"
        " explanation reason"
    ),
    "ledger": _columns(
        "judge task role model attempts seconds at lost_attempts lost_prompt_tokens"
        " lost_completion_tokens" + _TOKENS
    ),
    "experiences": _columns(
        "id task participants personas relations situation topic starter_speaker starter_text"
        " acquainted shots admitted similarity repairs reasks plan model" + _TOKENS
    ),
    "failures": _columns("id task stage kind message evidence counts" + _TOKENS),
    "rejected": _columns("id task experience gate reason value n_turns n_words", value="object"),
}
"""Maps each table to its columns and their dtypes."""

Row = Mapping[str, Any]


def columns_of(table: RunTable, wanted: Sequence[str] | None = None) -> dict[str, str]:
    """Return the wanted columns of a table with their dtypes; all columns if `wanted` is None.

    Raises `UserError` for an unknown table or column.
    """
    if table not in get_args(RunTable):
        known = ", ".join(get_args(RunTable))
        raise UserError(f"to_pandas: unknown table {table!r}; known tables: {known}")
    known = COLUMNS[table]
    if unknown := [name for name in wanted or () if name not in known]:
        raise UserError(
            f"to_pandas: the table {table!r} has no column {unknown[0]!r}; its columns are: "
            f"{', '.join(known)}"
        )
    return {name: known[name] for name in (known if wanted is None else wanted)}


def run_frame(
    table: RunTable, columns: Mapping[str, str], rows: Iterable[Row], where: object
) -> DataFrame:
    """Return columns of a run's table as a data frame, built from the rows of the table's file.

    Raises `RunFolderError`, beginning with `where`, if a row does not fit the table.
    """
    try:
        return frame(columns, (cells for row in rows for cells in _CELLS[table](row)))
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise RunFolderError(
            f"{where}: the table {table!r} cannot be built, because a row does not fit: "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error


def frame(columns: Mapping[str, str], rows: Iterable[Row]) -> DataFrame:
    """Return a data frame with these columns in this order; `columns` maps names to dtypes.

    Missing values become NA, NaN, NaT or None, or an empty list in a column of lists. Raises
    `ValueError` for a value that does not fit the dtype of its column.
    """
    pd: Any = import_module("pandas")
    cells = ([row.get(name) for name in columns] for row in rows)  # frees the rest of the row
    blocks: list[Any] = []
    while (block := list(islice(cells, _BLOCK))) or not blocks:
        values = zip(*block, strict=True) if block else [()] * len(columns)
        series = map(partial(_series, pd), columns.items(), values)
        blocks.append(pd.DataFrame(dict(zip(columns, series, strict=True))))
    return pd.concat(blocks, ignore_index=True)


def _series(pd: Any, column: tuple[str, str], values: Iterable[Any]) -> Any:
    name, dtype = column
    if dtype == LIST:
        return pd.Series([value or [] for value in values], dtype=object)
    try:
        with import_module("numpy").errstate(invalid="ignore"):  # no warning before the error
            given = [
                None if value == {} else value for value in values
            ]  # Parquet cannot store empty objects
            return pd.Series(given, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"column {name!r}: {error}") from error


def _conversation(row: Row) -> Iterator[Row]:
    labelled: Mapping[str, Row] = row.get("labelled") or {}
    labels = {kind: label["value"] for kind, label in labelled.items()}
    yield {**row, **_size(row), **_tokens(row), "labels": labels}


def _turns(row: Row) -> Iterator[Row]:
    of = {"conversation": row["id"], "task": row.get("task")}
    language = _language(row)
    for number, turn in enumerate(row["turns"], 1):
        chosen: Row = turn.get("selection") or {}
        selection = {f"selection_{key}": value for key, value in chosen.items()}
        words = count_words(turn["text"], language)
        yield {**turn, **of, **selection, **_tokens(turn), "turn": number, "n_words": words}


def _call(row: Row) -> Iterator[Row]:
    at = row.get("at")
    yield {**row, "at": None if at is None else _EPOCH + timedelta(seconds=at)}


def _experience(row: Row) -> Iterator[Row]:
    starter, people = row["starter"], [persona["name"] for persona in row["personas"]]
    said = {"starter_speaker": starter["speaker"], "starter_text": starter["text"]}
    yield {**row, **said, **_tokens(row), "participants": people}


def _failure(row: Row) -> Iterator[Row]:
    yield {**row, **_tokens(row)}


def _rejected(row: Row) -> Iterator[Row]:
    conversation: Row = row["conversation"]
    yield {**row, **_size(conversation), "experience": conversation.get("experience")}


def _as_written(row: Row) -> Iterator[Row]:
    yield row


def _size(conversation: Row) -> Row:
    turns: list[Row] = conversation["turns"]
    language = _language(conversation)
    counts = [count_words(turn["text"], language) for turn in turns]
    known = [count for count in counts if count is not None]
    return {"n_turns": len(turns), "n_words": sum(known) if len(known) == len(counts) else None}


def _language(conversation: Row) -> str | None:
    """Return the language recorded for a conversation, or else the language detected from the
    text."""
    return conversation.get("language") or identify(turn["text"] for turn in conversation["turns"])


def _tokens(row: Row) -> Row:
    return row.get("usage") or {}


_CELLS: dict[RunTable, Callable[[Row], Iterator[Row]]] = {
    "conversations": _conversation,
    "turns": _turns,
    "scores": _as_written,
    "ledger": _call,
    "experiences": _experience,
    "failures": _failure,
    "rejected": _rejected,
}
"""Maps each table to a function that converts a row of its file to rows of the table."""
