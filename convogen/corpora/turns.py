"""Functions shared by all formats: typed values, labels, and conversations made from turns."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, datetime
from typing import Any, cast

from pydantic import ValidationError

from convogen.corpora.rows import RowError
from convogen.inputs.keys import first_fault
from convogen.records import Conversation, Turn

__all__ = [
    "MAX_TURNS",
    "alternating",
    "as_dict",
    "as_list",
    "conversation",
    "counting",
    "field",
    "has",
    "labels",
    "leave_out",
    "row_id",
    "text_of",
    "texts",
]

MAX_TURNS = 10_000
"""Maximum number of turns per conversation; a longer conversation is a bad row."""

_left_out: ContextVar[Counter[str] | None] = ContextVar("left_out", default=None)

_MAX_LABEL_DEPTH = 8


@contextlib.contextmanager
def counting() -> Generator[Counter[str]]:
    """Count, for each kind, the items that the block leaves out, such as messages that are not
    speech."""
    counts = Counter[str]()
    token = _left_out.set(counts)
    try:
        yield counts
    finally:
        _left_out.reset(token)


def leave_out(counts: Mapping[str, int]) -> None:
    """Add counts of left-out items to the counts of the enclosing `counting` block, if any."""
    total = _left_out.get()
    if total is not None:
        total.update({kind: count for kind, count in counts.items() if count})


def field(value: Any, key: str) -> Any:
    """Return the value under a key; None if `value` is not an object or lacks the key."""
    return cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None


def has(value: Any, *keys: str, **types: type) -> bool:
    """Return whether `value` is an object with these keys, and with values of these types."""
    if not isinstance(value, dict):
        return False
    row = cast("dict[str, Any]", value)
    named = all(isinstance(row.get(key), kind) for key, kind in types.items())
    return named and all(key in row for key in keys)


def texts(value: Any) -> bool:
    """Return whether `value` is a non-empty list of strings."""
    if not isinstance(value, list):
        return False
    items = cast("list[Any]", value)
    return bool(items) and all(isinstance(item, str) for item in items)


def row_id(row: Mapping[str, Any], key: str, fallback: str) -> str:
    """Return the id (a string or integer) under `key` as a string, or else `fallback`."""
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else fallback


def as_list(value: Any, what: str) -> list[Any]:
    """Return `value` if it is a list; otherwise raise a `RowError` that names `what`."""
    if not isinstance(value, list):
        raise RowError(f"{what} must be a list, not {type(value).__name__}")
    return cast("list[Any]", value)


def as_dict(value: Any, what: str) -> dict[str, Any]:
    """Return `value` if it is an object; otherwise raise a `RowError` that names `what`."""
    if not isinstance(value, dict):
        raise RowError(f"{what} must be an object, not {type(value).__name__}")
    return cast("dict[str, Any]", value)


def text_of(value: Any, what: str) -> str:
    """Return `value` if it is a string; otherwise raise a `RowError` that names `what`."""
    if not isinstance(value, str):
        raise RowError(f"{what} must be a string, not {type(value).__name__}")
    return value


def alternating(texts: Iterable[Any], speakers: Sequence[str] = ("user1", "user2")) -> list[Turn]:
    """Return turns by two alternating speakers, for a corpus without speaker names."""
    return [
        Turn(speaker=speakers[index % 2], text=text_of(text, f"utterance {index + 1}"))
        for index, text in enumerate(texts)
    ]


def labels(row: Mapping[str, Any], used: Iterable[str]) -> dict[str, Any]:
    """Return a row's columns that are not in `used`, as plain JSON values without None or bytes."""
    skip = set(used)
    plain = {str(key): _plain(value) for key, value in row.items() if key not in skip}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if depth >= _MAX_LABEL_DEPTH:
        return None
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {str(_plain(str(key))): _plain(item, depth + 1) for key, item in items}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    return None


def conversation(
    id: str,  # noqa: A002 - the record's own word
    turns: Sequence[Turn],
    context: Mapping[str, Any],
    participants: Sequence[str] | None = None,
    left_out: Counter[str] | None = None,
) -> Conversation:
    """Return a conversation with these turns, and add `left_out` to the counts of the enclosing
    `counting` block.

    The participants are `participants`, followed by other speakers in the order of their first
    turns.

    Raises:
        RowError: if there are no turns, more than `MAX_TURNS` turns, or a turn without a speaker.
    """
    if not turns:
        counts = ", ".join(f"{count} {kind}" for kind, count in (left_out or {}).items())
        raise RowError(
            "the conversation has no turns" + (f" (messages left out: {counts})" if counts else "")
        )
    if len(turns) > MAX_TURNS:
        raise RowError(f"the conversation has {len(turns)} turns; the maximum is {MAX_TURNS}")
    nameless = next((at for at, turn in enumerate(turns, 1) if not turn.speaker.strip()), None)
    if nameless is not None:
        raise RowError(f"turn {nameless} has no speaker")
    named = [*(participants or []), *(turn.speaker for turn in turns)]
    people = list(dict.fromkeys(named))
    leave_out(left_out or {})
    try:
        return Conversation(id=id, participants=people, context=dict(context), turns=list(turns))
    except ValidationError as error:
        raise RowError(first_fault(error)) from None
