"""Appending whole lines, and mending what a crash tore."""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from convogen.errors import RunFolderError

__all__ = [
    "append_line",
    "cut_torn_line",
    "drop_tail",
    "parse_row",
    "rows_of_task",
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


def rows_of_task(path: Path, task: int) -> Iterator[dict[str, Any]]:
    """The rows of one task in a file of JSON lines that is in the order of the tasks.

    They are found by bisection, so neither memory nor time grows with the file. Raises
    `RunFolderError` for a line that is no row.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:

        def row(start: int) -> tuple[dict[str, Any], int]:
            after = lines.find(b"\n", start) + 1
            return parse_row(path, lines[start:after], "task"), after

        low, end = 0, lines.rfind(b"\n") + 1
        high = end
        while low < high:
            start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            found, after = row(start)
            low, high = (after, high) if found["task"] < task else (low, start)
        while low < end:
            found, low = row(low)
            if found["task"] != task:
                return
            yield found


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
