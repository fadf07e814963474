"""Rows that tasks leave behind, appended in the order of the plan, and what a crash cannot take.

A task's ledger rows, its answered calls and its own rows are appended when it is committed; until
then its calls are in its journal, which goes only after the rows are on disk. On opening, the files
are held against each other (`consistency`); a task that a crash left half written goes
back into its journal, so that what was answered is not asked again. The ledger has what differs
from start to start (times, attempts, what a crash cost); the calls are the same bytes for the same
replies.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from convogen.errors import RunFolderError
from convogen.inputs.text_file import open_file
from convogen.jsonl import append_line, as_row, write_whole, writing
from convogen.models.traffic.journal import Journal, journal_lines
from convogen.storage.consistency import Found, TaskFiles, check_tasks, journal_path

__all__ = ["TaskLog", "claim", "journals", "lock", "moved_aside", "refuse_strewing"]

SYNC_EVERY_S = 2.0


class TaskLog:
    """Files of rows and a folder of journals; one writer at a time.

    In `folder` are the ledger, the calls and the journals. `before` are other files whose rows
    (each with its `task`) are appended before the one row, in one of `rows`, with which a task
    counts as committed; `key` is what that row calls its task, None if only its place says so.
    """

    def __init__(
        self,
        folder: Path,
        before: Sequence[Path],
        rows: Sequence[Path],
        key: str | None = "task",
    ) -> None:
        self.files = TaskFiles(
            ledger=folder / "ledger.jsonl",
            calls=folder / "calls.jsonl",
            before=tuple(before),
            outcomes=tuple(rows),
            journals=folder / "journal",
            key=key,
        )
        self._spent: list[Path] = []
        self._synced_at = time.monotonic()

    def journal(self, task: int) -> Journal:
        """Return the answered calls of a task."""
        return Journal(journal_path(self.files.journals, task))

    def commit(self, task: int, journal: Journal, rows: Sequence[tuple[Path, bytes]]) -> None:
        """Append a task's rows; the last of them is the one that counts.

        Raises `RunFolderError` if the disk is full or the folder was made read-only.
        """
        files = self.files
        for path, own in ((files.ledger, journal.calls()), (files.calls, journal.answers())):
            append_line(path, b"".join(_dump({"task": task} | row) for row in own))
        for path, line in rows:
            append_line(path, line)
        self._spent.append(journal.path)
        if time.monotonic() - self._synced_at > SYNC_EVERY_S:
            self.sync()

    def sync(self) -> None:
        """Rows to disk first, then the journals they replace may go."""
        if self._spent:
            for path in self.files.all:
                with writing(path), path.open("rb") as file:
                    os.fsync(file.fileno())
        for path in self._spent:
            with writing(path):
                path.unlink(missing_ok=True)
        self._spent.clear()
        self._synced_at = time.monotonic()

    def begin(self) -> None:
        """Make the files and the folder of a log that is new."""
        with writing(self.files.journals):
            self.files.journals.mkdir(exist_ok=True)
        for path in self.files.all:
            with writing(path):
                path.open("ab").close()

    def recover(
        self, *, strict: bool = True, complete: bool = True, replayed: bool = False
    ) -> Found:
        """Hold the files against each other, and take back a task that a crash left half written.

        Raises `RunFolderError`, everything left as it is, if no crash leaves them so; the
        arguments are those of `check_tasks`.
        """
        found = check_tasks(self.files, strict=strict, complete=complete, replayed=replayed)
        self.begin()
        if strict:
            self._keep_answers(found)
        for path, end in found.ends.items():
            with writing(path):
                if path.stat().st_size > end:
                    os.truncate(path, end)
                elif path in found.unended:
                    append_line(path, b"\n")
        for path in journals(self.files.journals):
            if int(path.stem) < found.committed:
                with writing(path):
                    path.unlink()
        return found

    def _keep_answers(self, found: Found) -> None:
        """Put what was paid for a task that is to be played again into its journal."""
        for task in found.begun:
            path = journal_path(self.files.journals, task)
            if not path.exists():
                paid, answers = (
                    [row for row in _tail(file, found.ends[file]) if row["task"] == task]
                    for file in (self.files.ledger, self.files.calls)
                )
                if lines := journal_lines(path, paid, answers):
                    write_whole(path, lines)


def _tail(path: Path, start: int) -> Iterator[dict[str, Any]]:
    """Yield the whole rows of a file from an offset on, which ends a task."""
    with open_file(path) as file:
        file.seek(start)
        for line in file:
            row = as_row(line)
            if row is not None and "task" in row:
                yield row


def journals(folder: Path) -> list[Path]:
    """Return the journals in a folder, in the order of their tasks."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdecimal())


def lock(folder: Path) -> Any:
    """Hold a folder for this process; raises `RunFolderError` if another one holds it.

    To be called for folders of ours only: it leaves a file in them.
    """
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


def claim(folder: Path, kept: Sequence[str] = ()) -> None:
    """Make a folder to write to, unless it is there and ours: has a manifest, or nothing in it.

    What a start leaves that was killed before it wrote the manifest counts for nothing: a lock, a
    file that was to replace another, folders and rows that are empty. `kept` names files that
    stay. Raises `RunFolderError` if the folder holds anything else, or cannot be made.
    """
    try:
        if folder.is_dir() and not (folder / "manifest.json").exists():
            _refuse_foreign(folder, kept)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be made: {error.strerror}") from error


def refuse_strewing(folder: Path, ours: Callable[[Path], bool]) -> None:
    """Raise `RunFolderError` if a folder that is to hold several of ours holds others alone."""
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be read: {error.strerror}") from error
    if found and not any(ours(path) for path in found):
        raise RunFolderError(
            f"{folder}: holds {found[0].name!r:.80}, and nothing that this command made; "
            "name a new or an empty folder with --out"
        )


def _refuse_foreign(folder: Path, kept: Sequence[str]) -> None:
    for path in sorted(folder.iterdir()):
        if path.name not in kept and not _left_behind(path):
            raise RunFolderError(
                f"{folder}: holds {path.name!r:.80}, and no manifest.json of a run; "
                "name a new or an empty folder with --out"
            )


def _left_behind(path: Path) -> bool:
    """Return whether a path has a name of ours, and nothing in it."""
    if path.name.startswith(".") and path.suffix == ".new":
        return True
    if path.name not in ("journal", ".lock") and path.suffix != ".jsonl":
        return False
    return not (any(path.iterdir()) if path.is_dir() else path.is_file() and path.stat().st_size)


def moved_aside(folder: Path) -> Path:
    """Rename a folder of ours, which nobody writes to, to one with the time behind its name."""
    folder = folder.absolute()
    if Path.cwd().is_relative_to(folder.resolve()):
        raise RunFolderError(f"{folder}: you are in it, so it is not moved aside; go elsewhere")
    lock(folder).release()
    stamp = time.strftime("%Y%m%dT%H%M%S")
    aside, count = folder.with_name(f"{folder.name}.{stamp}"), 1
    while aside.exists():
        count += 1
        aside = folder.with_name(f"{folder.name}.{stamp}-{count}")
    with writing(folder):
        folder.rename(aside)
    return aside


def _dump(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
