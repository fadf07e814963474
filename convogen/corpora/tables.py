"""Streaming of rows from tables in CSV (with any delimiter), EmpatheticDialogues' CSV, or
Parquet."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterator, Sequence
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import IO, Any, cast

from convogen.corpora.cells import restored_row
from convogen.corpora.jsontext import lines
from convogen.corpora.rows import MAX_ROW_BYTES, Broken, Row

__all__ = [
    "DELIMITERS",
    "comma_rows",
    "csv_rows",
    "delimiter_of",
    "header_of",
    "parquet_rows",
    "text_lines",
]

DELIMITERS = (",", "\t", ";", "|")


_SEPARATOR = re.compile(r'"?sep=.?"?', re.IGNORECASE)
"""The line, before the header, with which Excel declares the delimiter."""


def header_of(text: str) -> str:
    """Return the header of a table: its first line, or the line after Excel's `sep=` line."""
    first, _, rest = text.partition("\n")
    if _SEPARATOR.fullmatch(first.rstrip("\r")):
        first = rest.partition("\n")[0]
    return first.rstrip("\r")


def _is_spaced(header: str, delimiter: str) -> bool:
    """Return whether a space follows each delimiter in a header."""
    fields = header.split(delimiter)[1:]
    return delimiter != "\t" and bool(fields) and all(field[:1] == " " for field in fields)


def delimiter_of(header: str) -> str:
    """Return the delimiter of a header, which is the delimiter that yields the most fields."""
    return max(DELIMITERS, key=lambda delimiter: len(fields_of(header, delimiter) or ()))


def fields_of(line: str, delimiter: str = ",") -> list[str] | None:
    """Return the fields of a line of CSV; None if its quoting is invalid."""
    csv.field_size_limit(MAX_ROW_BYTES)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except StopIteration:
        return []
    except csv.Error:
        return None


def csv_rows(file: IO[bytes], delimiter: str = ",") -> Generator[Row]:
    """Yield the rows as dicts keyed by column name; `line` is the line on which a row ends.

    Cells protected by `convogen.corpora.cells` are restored. A repeated header begins a new part. A
    row with more fields than the header is broken because its columns are ambiguous. A row that is
    not UTF-8 is also broken, but reading continues after it. Spaces after delimiters are ignored if
    all delimiters in the header are followed by spaces.
    """
    csv.field_size_limit(MAX_ROW_BYTES)
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    first = text.readline(MAX_ROW_BYTES)
    spaced = _is_spaced(first, delimiter)
    reader = csv.reader(
        chain([first], text), delimiter=delimiter, strict=True, skipinitialspace=spaced
    )
    header: list[str] | None = None
    part = 0
    start = 1
    try:
        while True:
            start = reader.line_num + 1
            try:
                fields = next(reader)
            except csv.Error as error:
                yield Row(reader.line_num, _bad_quotes(error, start), part)
                continue
            if not any(fields) or (header is None and _SEPARATOR.fullmatch(delimiter.join(fields))):
                continue
            if (fault := _not_utf8(fields)) is not None:
                yield Row(reader.line_num, fault, part)
            elif header is None:
                header = _distinct([name.strip() for name in fields])
            elif _distinct([name.strip() for name in fields]) == header:
                part += 1
            else:
                yield Row(reader.line_num, _record(header, fields), part)
    except StopIteration:
        return
    finally:
        text.detach()


def _distinct(names: Sequence[str]) -> list[str]:
    """Return distinct column names; duplicates are numbered, as in `text.2`."""
    return [
        f"{name}.{count}" if (count := names[: at + 1].count(name)) > 1 and name else name
        for at, name in enumerate(names)
    ]


def _not_utf8(fields: Sequence[str]) -> Broken | None:
    """Return a broken row if a field is not valid UTF-8; else None."""
    found = (code for field in fields if not field.isascii() for code in map(ord, field))
    byte = next((code - 0xDC00 for code in found if 0xDC80 <= code <= 0xDCFF), None)
    return (
        None if byte is None else Broken(f"the row is not UTF-8: it contains the byte 0x{byte:02x}")
    )


def _bad_quotes(error: csv.Error, start: int) -> Broken:
    if "unexpected end" in str(error):
        return Broken(
            f"the row is not CSV: a quote in the row that begins on line {start} is never closed"
        )
    return Broken(f"the row is not CSV: {error}")


def _record(header: Sequence[str], fields: list[str]) -> Any:
    if len(fields) > len(header) and any(fields[len(header) :]):
        return Broken(
            f"the row has {len(fields)} fields, but the header has {len(header)}; quote fields "
            f"that contain the delimiter"
        )
    missing: list[str | None] = [None] * (len(header) - len(fields))
    return restored_row(dict(zip(header, [*fields, *missing], strict=False)))


def text_lines(file: IO[bytes]) -> Generator[Row]:
    r"""Yield the non-blank lines as text, without line ends (`\n` or `\r\n`).

    A blank line begins a new part.
    """
    part = 0
    blank = False
    for line, value, _ in lines(file):
        if isinstance(value, Broken):
            yield Row(line, value, part)
            continue
        try:
            text = cast("bytes", value).decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            yield Row(
                line, Broken(f"the row is not UTF-8: {error.reason} at byte {error.start}"), part
            )
            continue
        if text.strip():
            part += blank
            yield Row(line, text, part)
        blank = not text.strip()


def comma_rows(file: IO[bytes]) -> Generator[Row]:
    """Yield the rows of EmpatheticDialogues.

    The release writes commas in fields as `_comma_`, without quotes. Copies written by other
    programs use quotes instead, which is detected for each line.
    """
    header: list[str] | None = None
    part = 0
    for line, value, _ in text_lines(file):
        if isinstance(value, Broken):
            yield Row(line, value, part)
        elif header is None:
            header = [name.strip() for name in value.removeprefix("\ufeff").split(",")]
        elif value.split(",") == header:
            part += 1
        else:
            yield Row(line, _empathetic(header, value), part)


def _empathetic(header: Sequence[str], line: str) -> Any:
    """Return the record in a line, or a broken row if the line has too many fields.

    The line is split at each comma or, if this yields the wrong number of fields, parsed as CSV. If
    neither yields the right number, `prompt` and `utterance` are separated at the only all-digit
    field between them.
    """
    width = len(header)
    plain = line.split(",")
    quoted = fields_of(line)
    if len(plain) != width or '""' in line:
        if quoted is not None and len(quoted) == width:
            return dict(zip(header, quoted, strict=True))
        if len(plain) > width and list(header[3:6]) == ["prompt", "speaker_idx", "utterance"]:
            after = width - 6
            middle = plain[3 : len(plain) - after]
            places = [at for at, field in enumerate(middle[:-1]) if at and field.isdecimal()]
            if len(places) == 1:
                at = places[0]
                told = [",".join(middle[:at]), middle[at], ",".join(middle[at + 1 :])]
                plain = [*plain[:3], *told, *plain[len(plain) - after :]]
    if len(plain) > width:
        return Broken(
            f"the row has {len(plain)} fields, but the header has {width}; quote commas in the "
            f"text or write them as _comma_"
        )
    return dict(zip(header, plain, strict=False))


def parquet_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet file; if reading fails, the last row is `Broken`."""
    parquet: Any = import_module("pyarrow.parquet")
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(number, value)
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        yield Row(number + 1, Broken(f"the Parquet file cannot be read from here on: {reason}"))
