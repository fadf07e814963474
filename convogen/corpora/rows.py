"""Rows, which containers yield and readers convert.

A row has a line (or record) number, counted from 1, and a value: `bytes` for a line of JSON that is
not yet decoded, `str` for a line of text, or else a decoded record. A `Broken` value marks a row
that could not be read; one bad row therefore does not end the reading of a corpus.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["MAX_ROW_BYTES", "Broken", "Row", "RowError", "checked_text", "decode"]

MAX_ROW_BYTES = 16 * 2**20
"""Maximum length of a row in bytes; a longer row is a bad row."""


class RowError(Exception):
    """An error in a row, or in a group of rows, that cannot be converted.

    `line` is set if the bad row is not the first row in its group.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Broken:
    """The value of a row that its container could not read."""

    message: str


class Row(NamedTuple):
    """One record in a source.

    `part` is the number of the part of the source that contains the record. The parts are the
    arrays in a JSON file, the pieces between repeated headers in a CSV file, or the paragraphs of a
    text. No conversation spans two parts unless the reader allows it (`Reader.parts`).
    """

    line: int
    value: Any
    part: int = 0


def decode(value: Any) -> Any:
    """Return a row's value as Python data; raises `RowError` for invalid JSON and for `Broken`."""
    if isinstance(value, Broken):
        raise RowError(value.message)
    if not isinstance(value, bytes):
        return value
    try:
        return checked_text(json.loads(value.decode()), escapes=b"\\u" in value)
    except RecursionError:
        raise RowError("the JSON is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise RowError(f"the row is not UTF-8: {error.reason} at byte {error.start}") from None
    except ValueError as error:
        raise RowError(f"the row is not JSON: {error}{_control(error)}") from None


def _control(error: ValueError) -> str:
    """Return a suffix for an error message that names the unescaped character; an empty string if
    the error has another cause."""
    if not isinstance(error, json.JSONDecodeError) or "control character" not in error.msg:
        return ""
    return f": U+{ord(error.doc[error.pos]):04X}, which must be escaped"


def checked_text(value: Any, *, escapes: bool) -> Any:
    """Return `value` unchanged; raises `RowError` if it contains half a surrogate pair."""
    if escapes:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise RowError(
                "the row contains half a surrogate pair, which is not valid Unicode"
            ) from None
    return value
