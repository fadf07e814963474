"""Rows that tasks leave behind, appended in the order of the plan, and what a crash cannot take.

A task's ledger rows, its answered calls and its own rows are appended when it is committed; until
then its calls are in its journal, which goes only after the rows are on disk. A row is appended in
one write; a torn last line is cut off on opening. The ledger has what differs from start to start
(times, attempts, what a crash cost); the calls are the same bytes for the same replies.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from convogen.errors import RunFolderError
from convogen.files import append_line, cut_torn_line, drop_tail, writing
from convogen.models.journal import Journal

__all__ = ["TaskLog", "complete_lines", "journals", "lock"]

SYNC_EVERY_S = 2.0


class TaskLog:
    """Files of rows and a folder of journals; one writer at a time.

    In `folder` are the ledger, the calls and the journals. `before` are other files whose rows
    (each with its `task`) are appended before the one row, in one of `rows`, with which a task
    counts as committed.
    """

    def __init__(self, folder: Path, before: Sequence[Path], rows: Sequence[Path]) -> None:
        self._ledger, self._calls = folder / "ledger.jsonl", folder / "calls.jsonl"
        self._before = [self._ledger, self._calls, *before]
        self._files = [*self._before, *rows]
        self._journals = folder / "journal"
        self._spent: list[Path] = []
        self._synced_at = time.monotonic()

    def journal(self, task: int) -> Journal:
        """The answered calls of a task."""
        return Journal(self._journals / f"{task:08d}.jsonl")

    def commit(self, task: int, journal: Journal, rows: Sequence[tuple[Path, bytes]]) -> None:
        """Append a task's rows; the last of them is the one that counts.

        Raises `RunFolderError` where the disk is full or the folder was made read-only.
        """
        for path, own in ((self._ledger, journal.calls()), (self._calls, journal.answers())):
            append_line(path, b"".join(_dump({"task": task} | row) for row in own))
        for path, line in rows:
            append_line(path, line)
        self._spent.append(journal.path)
        if time.monotonic() - self._synced_at > SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Rows to disk first, then the journals they replace may go."""
        if self._spent:
            for path in self._files:
                with writing(path), path.open("rb") as file:
                    os.fsync(file.fileno())
        for path in self._spent:
            with writing(path):
                path.unlink(missing_ok=True)
        self._spent.clear()
        self._synced_at = time.monotonic()

    def mend(self, committed: Callable[[], int]) -> int:
        """Cut what a crash left half done; returns how many tasks `committed` then counts."""
        for path in self._files:
            with writing(path):
                path.touch()
            cut_torn_line(path)
        count = committed()
        for path in self._before:
            drop_tail(path, lambda row: row["task"] >= count)
        for path in journals(self._journals):
            if int(path.stem) < count:
                with writing(path):
                    path.unlink()
        return count


def journals(folder: Path) -> list[Path]:
    """The journals in a folder, in the order of their tasks."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdecimal())


def lock(folder: Path) -> Any:
    """Hold a folder for this process; raises `RunFolderError` where another one holds it."""
    from filelock import FileLock, Timeout

    held = FileLock(folder / ".lock")
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(
            f"{folder}: another process is writing to it; wait, or name another folder"
        ) from None
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return held


def complete_lines(path: Path) -> int:
    """Complete lines of a file; 0 where there is none."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _dump(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
