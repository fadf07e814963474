"""Growing files of JSON lines: the positions of rows, and newly added rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from convogen.inputs.text_file import open_file
from convogen.jsonl import as_row

__all__ = ["Line", "added", "line_at", "mark_of", "size_of"]

MARKED = 4096
"""Number of bytes compared at each end of the part already read, to check that a file has only
grown."""


@dataclass(frozen=True, slots=True)
class Line:
    """A complete line, and the offset of its first byte."""

    offset: int
    data: bytes

    @property
    def end(self) -> int:
        """The offset of the first byte after the line."""
        return self.offset + len(self.data)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, or 0 if it does not exist or is not accessible."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def added(path: Path, offset: int) -> Iterator[Line]:
    """Yield the complete lines from an offset onwards, but not a line that is still being written.

    If the last line lacks only its newline, it counts as complete.
    """
    try:
        file = open_file(path)
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        for data in file:
            if not data.endswith(b"\n") and as_row(data) is None:
                return
            yield Line(offset, data)
            offset += len(data)


def line_at(path: Path, offset: int, length: int) -> bytes:
    """Return the bytes of a line, or fewer bytes if the file has become shorter.

    Raises `OSError` if the file cannot be read.
    """
    with open_file(path) as file:
        file.seek(offset)
        return file.read(length)


def mark_of(path: Path, end: int) -> bytes:
    """Return a digest by which the first `end` bytes of a file can be recognised."""
    digest = hashlib.blake2b(digest_size=12)
    try:
        with open_file(path) as file:
            digest.update(file.read(min(MARKED, end)))
            file.seek(max(0, end - MARKED))
            digest.update(file.read(min(MARKED, end)))
    except OSError:
        digest.update(b"none")
    return digest.digest()
