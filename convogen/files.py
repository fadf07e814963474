"""Appending whole lines, and mending what a crash tore."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from convogen.errors import RunFolderError

__all__ = [
    "append_line",
    "cut_torn_line",
    "drop_tail",
    "find_row",
    "parse_row",
    "write_whole",
    "writing",
]

BLOCK = 1 << 16


def append_line(path: Path, line: bytes) -> None:
    """Append whole lines in one write; raises `RunFolderError` where the disk refuses."""
    if not line:
        return
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            while line:
                line = line[os.write(descriptor, line) :]
        finally:
            os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step: readers see the old text or the new, never a part."""
    beside = path.with_name(path.name + ".new")
    with writing(path):
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Raise `RunFolderError` where the disk refuses what is done to a file in the block."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot be written: {error.strerror or error}; "
            "all complete rows are kept, mend it and run again"
        ) from error


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that a crash left without its end."""
    if not path.exists():
        return
    with writing(path), path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        whole = _line_end_before(file, end)
        if whole != end:
            file.truncate(whole)


def _line_end_before(file: Any, end: int) -> int:
    """The offset just after the last newline before `end`; 0 where there is none."""
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def drop_tail(path: Path, unwanted: Callable[[dict[str, Any]], bool]) -> None:
    """Cut off the last rows of a file of JSON lines for as long as they are unwanted."""
    if not path.exists():
        return
    with writing(path), path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = _line_end_before(file, end - 1)
            file.seek(start)
            if not unwanted(parse_row(path, file.read(end - start), "task")):
                break
            end = start
        file.truncate(end)


def find_row(path: Path, wanted: int, number: Callable[[bytes], int]) -> bytes | None:
    """The row with a number, in a file whose rows are in the order of their `number`."""
    with path.open("rb") as file:
        low, high = 0, file.seek(0, os.SEEK_END)
        while low < high:
            start = _line_end_before(file, (low + high) // 2)
            file.seek(start)
            line = file.readline()
            found = number(line)
            if found == wanted:
                return line
            low, high = (start + len(line), high) if found < wanted else (low, start)
    return None


def parse_row(path: Path, line: bytes, key: str) -> dict[str, Any]:
    """A line of a file of JSON lines as an object that has `key`.

    Raises `RunFolderError` where it is none: a whole line is never torn, so it was changed.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if isinstance(row, dict) and key in row:
        return cast("dict[str, Any]", row)
    raise RunFolderError(
        f"{path}: damaged: {line[:40].decode(errors='replace')!r} is no JSON object with "
        f"{key!r}; take that line out and run again"
    )
