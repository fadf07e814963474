"""Streaming of rows in groups, one group per conversation."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import blake2b
from typing import Any

from convogen.corpora.base import KeyedReader, Reader
from convogen.corpora.rows import Broken, Row, RowError, decode

__all__ = ["groups_of"]

_MAX_GROUP = 10_000


def groups_of(
    rows: Callable[[], Iterator[Row]], reader: Reader, *, local: bool
) -> Iterator[list[Row]]:
    """Yield the rows of a source in groups, in the order in which the conversations begin.

    If the rows of any conversation are not adjacent, all rows are collected in a temporary file. A
    first pass, which keeps 8 bytes per conversation, detects such rows. If the source is expensive
    to read twice (`local` is false), this pass is omitted and the temporary file is always used.
    """
    if not reader.groups:
        for row in rows():
            yield [row]
    elif isinstance(reader, KeyedReader) and (not local or _stand_apart(rows(), reader)):
        yield from _put_together(rows(), reader)
    else:
        yield from _neighbours(rows(), reader)


def _decoded(rows: Iterator[Row]) -> Iterator[Row]:
    for line, value, part in rows:
        try:
            yield Row(line, decode(value), part)
        except RowError as error:
            yield Row(line, Broken(str(error)), part)


def _neighbours(rows: Iterator[Row], reader: Reader) -> Iterator[list[Row]]:
    group: list[Row] = []
    for row in _decoded(rows):
        if isinstance(row.value, Broken):
            yield [row]
            continue
        if group and (
            (reader.parts and row.part != group[-1].part)
            or reader.breaks(group[-1].value, row.value)
        ):
            yield _bounded(group)
            group = []
        if len(group) <= _MAX_GROUP:
            group.append(row)
        else:
            group[-1] = row
    if group:
        yield _bounded(group)


def _bounded(group: list[Row]) -> list[Row]:
    if len(group) <= _MAX_GROUP:
        return group
    message = (
        f"more than {_MAX_GROUP:,} rows in one conversation; if the rows are from several "
        f"conversations, add a column such as conversation_id that identifies each conversation"
    )
    return [Row(group[0].line, Broken(message), group[0].part)]


def _key(reader: KeyedReader, row: Row) -> str:
    return json.dumps([row.part, reader.key(row.value)])


def _stand_apart(rows: Iterator[Row], reader: KeyedReader) -> bool:
    """Return whether any conversation continues after another conversation has begun."""
    seen: set[int] = set()
    latest = ""
    for row in _decoded(rows):
        if isinstance(row.value, Broken):
            continue
        key = _key(reader, row)
        if key == latest:
            continue
        latest = key
        digest = int.from_bytes(blake2b(key.encode(errors="replace"), digest_size=8).digest())
        if digest in seen:
            return True
        seen.add(digest)
    return False


def _put_together(rows: Iterator[Row], reader: KeyedReader) -> Iterator[list[Row]]:
    with closing(sqlite3.connect("")) as file:  # a temporary file, deleted when closed
        file.execute("create table keys (place integer primary key, key text unique)")
        file.execute("create table rows (place integer, line integer, part integer, value text)")
        for row in _decoded(rows):
            if isinstance(row.value, Broken):
                yield [row]
                continue
            key = _key(reader, row)
            file.execute("insert or ignore into keys (key) values (?)", (key,))
            ((place,),) = file.execute("select place from keys where key = ?", (key,))
            value = json.dumps(row.value, default=_plain)
            file.execute("insert into rows values (?, ?, ?, ?)", (place, row.line, row.part, value))
        file.execute("create index places on rows (place)")
        group: list[Row] = []
        latest: int | None = None
        found = file.execute("select place, line, part, value from rows order by place, rowid")
        for place, line, part, value in found:
            if group and place != latest:
                yield _bounded(group)
                group = []
            latest = place
            if len(group) <= _MAX_GROUP:
                group.append(Row(line, json.loads(value), part))
        if group:
            yield _bounded(group)


def _plain(value: Any) -> Any:
    """Return None for bytes, which no reader uses, and a string for other values that JSON cannot
    represent."""
    return None if isinstance(value, bytes) else str(value)
