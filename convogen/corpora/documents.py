"""The rows of a JSON document that is a single object.

The object may be a conversation, or it may contain conversations that are keyed by id or by split,
stored in columns, or listed under one key next to metadata.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from convogen.corpora.formats import recognise
from convogen.corpora.keys import are_messages

__all__ = ["document_rows"]

_DEPTH = 4


def document_rows(document: Any) -> Iterator[Any]:
    """Yield the rows in a document, or the document itself if it contains no rows."""
    rows = False
    for value in _rows(document, _DEPTH):
        rows = True
        yield value
    if not rows:
        yield document


def _rows(value: Any, depth: int) -> Iterator[Any]:
    reader = recognise([value])
    if reader is not None and (reader.name != "nested" or not depth):
        yield value
    elif isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        columns = _columns(members)
        if are_messages(list(members.values())):
            yield list(members.values())
        elif columns is not None:
            yield from columns
        elif depth:
            texts = len(members) > 1 and all(_texts(member) for member in members.values())
            for key, member in members.items():
                if isinstance(member, dict):
                    named = cast("dict[str, Any]", member)
                    yield from _rows(
                        {"id": key, **named} if _recognised(named) else named, depth - 1
                    )
                elif isinstance(member, list) and member and (texts or not _texts(member)):
                    yield from _elements(cast("list[Any]", member))


def _recognised(value: Any) -> bool:
    return recognise([value]) is not None


def _elements(items: list[Any]) -> Iterator[Any]:
    """Yield the rows in a list, or the list itself if it is a row."""
    if all(isinstance(item, str) for item in items):
        yield items
    elif any(isinstance(item, dict | list) for item in items):
        yield from items


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, str) for item in cast("list[Any]", value)
    )


def _columns(members: Mapping[str, Any]) -> list[Any] | None:
    """Return the rows of a table that is stored column by column, as in pandas output; None for
    other objects."""
    names = list(members)
    values: list[Any] = list(members.values())
    rows: list[Any] = []
    if _list(members.get("columns")) and _list(members.get("data")):
        header = [str(name) for name in members["columns"]]
        rows = [dict(zip(header, row, strict=False)) for row in members["data"] if _list(row)]
    elif values and all(isinstance(value, dict) for value in values):
        columns = [cast("dict[str, Any]", value) for value in values]
        keys = list(columns[0])
        if all(set(keys) == set(column) for column in columns):
            rows = [{name: members[name][key] for name in names} for key in keys]
    elif values and all(map(_list, values)) and len({len(value) for value in values}) == 1:
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return rows if rows and _recognised(rows[0]) else None


def _list(value: Any) -> bool:
    return isinstance(value, list)
