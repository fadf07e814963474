"""Streaming of rows from JSON: lines, arrays, objects with arrays, and concatenated values."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Generator, Iterator
from typing import IO, Any

from convogen.corpora.rows import MAX_ROW_BYTES, Broken, Row, RowError, checked_text

__all__ = ["json_lines", "json_values", "lines"]

_READ = 2**20

Documents = Callable[[Any], Iterator[Any]]
"""A function that yields the rows in a JSON object that forms a whole document."""


def lines(file: IO[bytes]) -> Iterator[Row]:
    """Yield lines as bytes; a line longer than `MAX_ROW_BYTES` is yielded as `Broken`."""
    number = 0
    while piece := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(piece) > MAX_ROW_BYTES:
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(_READ)
            yield Row(
                number, Broken(f"the row is longer than the maximum of {MAX_ROW_BYTES} bytes")
            )
        else:
            yield Row(number, piece.removeprefix(codecs.BOM_UTF8) if number == 1 else piece)


def json_lines(file: IO[bytes]) -> Generator[Row]:
    """Yield the non-blank lines, undecoded."""
    yield from (row for row in lines(file) if isinstance(row.value, Broken) or row.value.strip())


class _Text:
    """A sliding window over a stream of JSON text that tracks the line number."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self.buffer = ""
        self.position = 0
        self.line = 1

    def more(self, size: int = _READ) -> bool:
        piece = self._file.read(size)
        self.buffer = self.buffer[self.position :] + self._decoder.decode(piece, not piece)
        self.position = 0
        return bool(piece)

    def advance(self, to: int) -> None:
        self.line += self.buffer.count("\n", self.position, to)
        self.position = to

    def peek(self) -> str:
        """Return the next non-blank character, or an empty string at the end of the stream."""
        while True:
            rest = self.position
            while rest < len(self.buffer) and self.buffer[rest] in " \t\r\n\x1e":
                rest += 1
            self.advance(rest)
            if rest < len(self.buffer):
                return self.buffer[rest]
            if not self.more():
                return ""

    def skip(self, expected: str) -> bool:
        """Skip the next non-blank character if it is `expected`; return whether it was skipped."""
        if self.peek() != expected:
            return False
        self.advance(self.position + 1)
        return True

    def value(self) -> Any:
        """Return the next JSON value; if it is invalid, raise `RowError` without advancing."""
        self.peek()
        size = _READ
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self.buffer, self.position)
            except RecursionError:
                raise RowError("the JSON is nested too deeply") from None
            except ValueError as error:
                if len(self.buffer) - self.position > MAX_ROW_BYTES:
                    raise RowError(
                        f"the row is longer than the maximum of {MAX_ROW_BYTES} bytes, or is "
                        f"not JSON: {_reason(error)}"
                    ) from None
                if not self.more(size):
                    raise RowError(f"the row is not JSON: {_reason(error)}") from None
                size *= 2
                continue
            if isinstance(value, int | float) and end == len(self.buffer) and self.more():
                continue  # the number may have more digits
            escapes = self.buffer.find("\\u", self.position, end) >= 0
            self.advance(end)
            try:
                return checked_text(value, escapes=escapes)
            except RowError as error:
                return Broken(str(error))


def _reason(error: ValueError) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def json_values(file: IO[bytes], documents: Documents) -> Generator[Row]:
    """Yield the elements of arrays, and the rows that `documents` finds in objects, one at a time.

    An array of strings is one row. If an object cannot be read as a whole, for example because it
    is too large, the elements of its arrays and its member objects (with their keys as `id`) are
    yielded instead.
    """
    text = _Text(file)
    part = 0
    try:
        while character := text.peek():
            part += 1
            if character == "[":
                yield from _elements(text, part)
                continue
            line = text.line
            try:
                value = text.value()
            except RowError:
                if character != "{":
                    raise
                yield from _members(text, part)
                continue
            yield from (Row(line, found, part) for found in documents(value))
    except RowError as error:
        yield Row(text.line, Broken(f"{error}; the rest of the file is not read"))


def _members(text: _Text, part: int) -> Iterator[Row]:
    text.advance(text.position + 1)
    while text.peek() == '"':
        key = text.value()
        if not text.skip(":"):
            raise RowError("expected ':' after the key")
        part += 1
        line = text.line
        if text.peek() == "[":
            yield from _elements(text, part)
        elif isinstance(value := text.value(), dict):
            yield Row(line, {"id": key, **value}, part)
        if not text.skip(",") and text.peek() != "}":
            raise RowError("expected ',' or '}' after a value")
    if not text.skip("}"):
        raise RowError("expected '}' at the end of the object")


def _elements(text: _Text, part: int) -> Iterator[Row]:
    """Yield the elements of an array; an array of strings is a single row."""
    line = text.line
    text.advance(text.position + 1)
    if text.peek() == '"':
        yield Row(line, _texts(text), part)
        return
    while (character := text.peek()) != "]":
        if character not in '{["' or not character:
            raise RowError(f"expected an object, array or string, found {character!r}")
        line = text.line
        yield Row(line, text.value(), part)
        if not text.skip(",") and text.peek() != "]":
            raise RowError("expected ',' or ']' after an element")
    text.advance(text.position + 1)


def _texts(text: _Text) -> Any:
    items: list[Any] = []
    size = 0
    while text.peek() != "]":
        items.append(text.value())
        size += len(items[-1]) if isinstance(items[-1], str) else 1
        if size > MAX_ROW_BYTES:
            raise RowError(f"the row is longer than the maximum of {MAX_ROW_BYTES} bytes")
        if not text.skip(",") and text.peek() != "]":
            raise RowError("expected ',' or ']' after an element")
    text.advance(text.position + 1)
    return items
