"""Functions for files of JSON lines: append whole lines, repair truncated lines, and replace only
convogen's own files."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from pydantic_core import from_json

from convogen.errors import RunFolderError
from convogen.inputs.text_file import open_file

__all__ = [
    "append_line",
    "as_row",
    "is_json_of",
    "make_folder",
    "mend_last_line",
    "parse_row",
    "refuse_foreign",
    "replacing",
    "rows_of_task",
    "write_ours",
    "write_whole",
    "writing",
]

BLOCK = 1 << 16
NUMBERS = ("task", "item")
"""Keys whose value is the number of the row's task."""


def append_line(path: Path, line: bytes) -> None:
    """Append one or more whole lines to a file; raises `RunFolderError` if writing fails."""
    if not line:
        return
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            while line:
                line = line[os.write(descriptor, line) :]
        finally:
            os.close(descriptor)


def make_folder(folder: Path, *, parents: bool = True) -> None:
    """Create a folder if it does not exist; raises `RunFolderError` if it cannot be created."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be created: {error.strerror}") from error


def write_whole(path: Path, text: str) -> None:
    """Replace a file atomically: readers see either the old or the new text, never a mixture.

    The caller must ensure that the file belongs to convogen.
    """
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Generator[Path]:
    """Yield the path of a temporary file next to `path`; after the block, this file replaces
    `path`.

    The new file keeps the permissions of the old one. If the block raises an exception, `path` is
    unchanged and the temporary file is removed. Raises `RunFolderError` if writing fails.
    """
    with writing(path):
        descriptor, name = tempfile.mkstemp(".new", f".{path.name}.", path.parent)
        os.close(descriptor)
        beside = Path(name)
        try:
            beside.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
            yield beside
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _umask() -> int:
    """Return the umask of the process, which can be read only by setting it."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def write_ours(path: Path, text: str, ours: Callable[[str], bool]) -> None:
    """Write a file; an existing file is replaced only if `ours` recognises its content.

    Raises `RunFolderError` if `ours` does not recognise the content, or if writing fails.
    """
    refuse_foreign(path, ours)
    write_whole(path, text)


def refuse_foreign(path: Path, ours: Callable[[str], bool]) -> None:
    """Raise `RunFolderError` if a file exists, is not blank, and has content that `ours` does not
    recognise."""
    if not path.exists():
        return
    with suppress(OSError), open_file(path) as file:
        found = file.read().decode(errors="replace")
        if not found.strip() or ours(found):
            return
    raise RunFolderError(
        f"{path}: already exists and was not written by this command; move the file, or choose "
        f"another path"
    )


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Turn an `OSError` in the block into a `RunFolderError`."""
    try:
        yield
    except OSError as error:
        raise RunFolderError(
            f"{path}: cannot be written: {error.strerror or error} (all complete rows are kept); "
            "fix the cause, then repeat the command"
        ) from error


def mend_last_line(path: Path) -> None:
    """Remove an incomplete last line, which a crash may have left.

    If the last line lacks only its newline, the newline is added instead.
    """
    if not path.exists():
        return
    with writing(path), path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        whole = _line_end_before(file, end)
        if whole == end:
            return
        file.seek(whole)
        if as_row(file.read()) is None:
            file.truncate(whole)
        else:
            file.write(b"\n")


def _line_end_before(file: Any, end: int) -> int:
    """Return the offset just after the last newline before `end`, or 0 if there is no newline."""
    while end > 0:
        start = max(0, end - BLOCK)
        file.seek(start)
        at = file.read(end - start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def rows_of_task(path: Path, task: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of one task in a file of JSON lines that is ordered by task.

    Rows are found by bisection on the memory-mapped file. Raises `RunFolderError` for an invalid
    line.
    """
    if not path.exists() or not path.stat().st_size:
        return
    with open_file(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:

        def row(start: int) -> tuple[dict[str, Any], int]:
            after = lines.find(b"\n", start) + 1 or len(lines)
            return parse_row(path, lines[start:after], "task"), after

        low, end = 0, lines.rfind(b"\n") + 1
        if as_row(lines[end:]) is not None:
            end = len(lines)  # the last line lacks only its newline
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


def as_row(line: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a line, or None if the line contains no object or an empty
    object."""
    try:
        row = from_json(line)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Any]", row) if isinstance(row, dict) and row else None


def parse_row(where: object, line: bytes, key: str | None) -> dict[str, Any]:
    """Return the JSON object in a line.

    Raises `RunFolderError` if the line is not an object with `key`, or if `key` is in `NUMBERS` and
    its value is not a number. A crash leaves only incomplete lines; anything else means that the
    file was edited.
    """
    row = as_row(line)
    if row is not None and (key is None or _has(row, key)):
        return row
    wanted = f" with {'a number as ' * (key in NUMBERS)}{key!r}" if key else ""
    raise RunFolderError(
        f"{where}: damaged: {line[:40].decode(errors='replace')!r} is not a JSON object{wanted}; "
        f"restore the line"
    )


def _has(row: dict[str, Any], key: str) -> bool:
    value = row.get(key)
    if key not in NUMBERS:
        return key in row
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_json_of(keys: set[str]) -> Callable[[str], bool]:
    """Return a function that checks whether a string is a JSON object with all of these keys."""

    def ours(text: str) -> bool:
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return False
        return isinstance(found, dict) and keys <= found.keys()

    return ours
