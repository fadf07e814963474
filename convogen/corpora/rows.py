"""Files into rows, streamed: JSON lines, JSON arrays, text lines, CSV, Parquet.

A row is a line (or record) number, counted from 1, and a value: `bytes` for a line of JSON not yet
decoded, `str` for a line of text, else what the container holds. `Broken` stands for a row that
could not be read, so that one bad row never ends a corpus.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

__all__ = ["MAX_ROW_BYTES", "Broken", "Row", "RowError", "decode", "read_rows"]

MAX_ROW_BYTES = 16 * 2**20
"""The longest row that is read; a longer one is a bad row, whatever it holds."""

_READ = 2**20


class RowError(Exception):
    """A row cannot be read as a conversation; `line` where it is not the first of its group."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Broken:
    """In place of a row that its container could not give."""

    message: str


class Row(NamedTuple):
    """One record of a source."""

    line: int
    value: Any


def decode(value: Any) -> Any:
    """A row's value as Python data. Raises `RowError` where it is no JSON, or `Broken`."""
    if isinstance(value, Broken):
        raise RowError(value.message)
    if not isinstance(value, bytes):
        return value
    try:
        return _encodable(json.loads(value), b"\\u" in value)
    except RecursionError:
        raise RowError("JSON nested too deeply") from None
    except UnicodeDecodeError as error:
        raise RowError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    except ValueError as error:
        raise RowError(f"not JSON: {error}") from None


def _encodable(value: Any, escapes: bool) -> Any:
    """`value`, unless an escape in its JSON made text that no UTF-8 can hold: `RowError`."""
    if escapes:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise RowError("half a surrogate pair: not Unicode text") from None
    return value


def open_bytes(path: Path) -> IO[bytes]:
    """The file's bytes, unpacked where its name ends in `.gz`."""
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


def read_rows(path: Path, container: str) -> Iterator[Row]:
    """The rows of a file in one of the containers `jsonl json text csv commas parquet`.

    A file that ends too early (gzip) or is no UTF-8 gives a `Broken` row there and stops.
    """
    readers: dict[str, Callable[[IO[bytes]], Generator[Row]]] = {
        "jsonl": _json_lines,
        "json": _json_array,
        "text": _text_lines,
        "csv": _csv_rows,
        "commas": _comma_rows,
    }
    if container == "parquet":
        yield from _parquet_rows(path)
        return
    line = 0
    with open_bytes(path) as file, closing(readers[container](file)) as rows:
        try:
            for row in rows:
                line = row.line
                yield row
        except (EOFError, gzip.BadGzipFile, UnicodeDecodeError) as error:
            yield Row(line + 1, Broken(f"unreadable from here on: {error}"))


def _lines(file: IO[bytes]) -> Iterator[Row]:
    """Lines as bytes; one longer than `MAX_ROW_BYTES` is skipped piece by piece."""
    number = 0
    while piece := file.readline(MAX_ROW_BYTES + 1):
        number += 1
        if len(piece) > MAX_ROW_BYTES:
            while piece and not piece.endswith(b"\n"):
                piece = file.readline(_READ)
            yield Row(number, Broken(f"longer than the {MAX_ROW_BYTES} bytes a row may have"))
        else:
            yield Row(number, piece.removeprefix(b"\xef\xbb\xbf") if number == 1 else piece)


def _json_lines(file: IO[bytes]) -> Generator[Row]:
    yield from (row for row in _lines(file) if isinstance(row.value, Broken) or row.value.strip())


def _text_lines(file: IO[bytes]) -> Generator[Row]:
    for line, value in _lines(file):
        if isinstance(value, Broken):
            yield Row(line, value)
            continue
        try:
            text = cast("bytes", value).decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield Row(line, Broken(f"not UTF-8: {error.reason} at byte {error.start}"))
            continue
        if text.strip():
            yield Row(line, text)


def _comma_rows(file: IO[bytes]) -> Generator[Row]:
    """Rows split at every comma, quotes meaning nothing: how EmpatheticDialogues is written."""
    header: list[str] | None = None
    for line, value in _text_lines(file):
        if isinstance(value, Broken):
            yield Row(line, value)
        elif header is None:
            header = value.split(",")
        else:
            fields = cast("str", value).split(",")
            yield Row(line, dict(zip(header, fields, strict=False)))


def _csv_rows(file: IO[bytes]) -> Generator[Row]:
    """Rows of a CSV file as dicts by its header; `line` is the line a row ends on."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    reader = csv.DictReader(text, restkey="", restval=None)
    try:
        while True:
            try:
                values: Any = next(reader)
            except csv.Error as error:
                values = Broken(f"not CSV: {error}")
            yield Row(reader.line_num, values)
    except StopIteration:
        return
    finally:
        text.detach()


def _parquet_rows(path: Path) -> Iterator[Row]:
    parquet: Any = import_module("pyarrow.parquet")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(number, value)
    except (OSError, ValueError) as error:
        yield Row(number + 1, Broken(f"not Parquet from here on: {error}"))


class _Text:
    """A window on a stream of JSON text that knows its line."""

    def __init__(self, file: IO[bytes]) -> None:
        self.stream = io.TextIOWrapper(file, encoding="utf-8-sig")
        self.buffer = ""
        self.at = 0
        self.line = 1

    def more(self, size: int = _READ) -> bool:
        piece = self.stream.read(size)
        self.buffer = self.buffer[self.at :] + piece
        self.at = 0
        return bool(piece)

    def advance(self, to: int) -> None:
        self.line += self.buffer.count("\n", self.at, to)
        self.at = to

    def peek(self) -> str:
        """The next character that is no white space; empty at the end."""
        while True:
            rest = self.at
            while rest < len(self.buffer) and self.buffer[rest] in " \t\r\n":
                rest += 1
            self.advance(rest)
            if rest < len(self.buffer):
                return self.buffer[rest]
            if not self.more():
                return ""

    def value(self) -> Any:
        """The next JSON value, an object, array or string; raises `RowError`."""
        size = _READ
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self.buffer, self.at)
            except RecursionError:
                raise RowError("JSON nested too deeply") from None
            except ValueError as error:
                if len(self.buffer) - self.at > MAX_ROW_BYTES or not self.more(size):
                    message = f"not JSON, or longer than {MAX_ROW_BYTES} bytes: {error}"
                    raise RowError(message) from None
                size *= 2
                continue
            escapes = self.buffer.find("\\u", self.at, end) >= 0
            self.advance(end)
            try:
                return _encodable(value, escapes)
            except RowError as error:
                return Broken(str(error))


def _json_array(file: IO[bytes]) -> Generator[Row]:
    """The elements of a JSON array, or of every array in an object of arrays, one at a time."""
    text = _Text(file)
    try:
        if text.peek() == "{":
            yield from _object_of_arrays(text)
        else:
            yield from _elements(text)
    except RowError as error:
        yield Row(text.line, Broken(f"{error}; the rest of the file is not read"))
    finally:
        text.stream.detach()


def _object_of_arrays(text: _Text) -> Iterator[Row]:
    text.advance(text.at + 1)
    while text.peek() == '"':
        text.value()
        if text.peek() != ":":
            raise RowError("':' expected after the key")
        text.advance(text.at + 1)
        if text.peek() != "[":
            raise RowError("an object of arrays of conversations expected")
        yield from _elements(text)
        if text.peek() == ",":
            text.advance(text.at + 1)
    if text.peek() != "}":
        raise RowError("'}' expected")


def _elements(text: _Text) -> Iterator[Row]:
    if text.peek() != "[":
        raise RowError("a JSON array expected")
    text.advance(text.at + 1)
    while (character := text.peek()) != "]":
        if character not in '{["' or not character:
            raise RowError(f"an object, array or string expected, found {character!r}")
        line = text.line
        yield Row(line, text.value())
        if text.peek() == ",":
            text.advance(text.at + 1)
        elif text.peek() != "]":
            raise RowError("',' or ']' expected")
    text.advance(text.at + 1)
