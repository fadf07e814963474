"""The log of tasks: rows appended in the order of the plan, and recovery after a crash.

When a task is committed, its ledger rows, its answered calls and its own rows are appended. Until
then, its calls are in its journal, which is deleted only after the rows are on disk. When a log is
opened, its files are checked against each other (`consistency`). If a crash left a task
half-written, the task's answered calls are restored to its journal, so that they are not repeated.
The ledger contains the details that differ between executions of a run (times, attempts, calls lost
in a crash). The file of calls is byte-identical if the replies are the same.
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
from convogen.storage.consistency import LogState, TaskFiles, check_tasks, journal_path

__all__ = ["TaskLog", "claim", "journals", "lock", "moved_aside", "refuse_strewing"]

SYNC_EVERY_S = 2.0


class TaskLog:
    """Files of rows and a folder of journals, for one writer at a time.

    `folder` contains the ledger, the calls and the journals. A task is committed by a single row in
    one of the `rows` files. Its rows in the `before` files, each with a `task` field, are appended
    first. `key` is the field of the committing row that contains the task's number; None if the
    row's position is the task's number.
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
        """Return the journal with a task's answered calls."""
        return Journal(journal_path(self.files.journals, task))

    def commit(self, task: int, journal: Journal, rows: Sequence[tuple[Path, bytes]]) -> None:
        """Append a task's rows; the last row commits the task.

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
        """Flush rows to disk, then delete the journals that they replace."""
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
        """Create the files and the folder of a new log."""
        with writing(self.files.journals):
            self.files.journals.mkdir(exist_ok=True)
        for path in self.files.all:
            with writing(path):
                path.open("ab").close()

    def recover(
        self, *, strict: bool = True, complete: bool = True, replayed: bool = False
    ) -> LogState:
        """Check that the files agree, and undo tasks that a crash left half-written.

        Raises `RunFolderError`, without changing any file, if a crash cannot explain the files'
        state. `check_tasks` explains the arguments.
        """
        state = check_tasks(self.files, strict=strict, complete=complete, replayed=replayed)
        self.begin()
        if strict:
            self._keep_answers(state)
        for path, end in state.ends.items():
            with writing(path):
                if path.stat().st_size > end:
                    os.truncate(path, end)
                elif path in state.unended:
                    append_line(path, b"\n")
        for path in journals(self.files.journals):
            if int(path.stem) < state.committed:
                with writing(path):
                    path.unlink()
        return state

    def _keep_answers(self, state: LogState) -> None:
        """Restore, from the paid answers, the journals of tasks that must be repeated."""
        for task in state.begun:
            path = journal_path(self.files.journals, task)
            if not path.exists():
                paid, answers = (
                    [row for row in _tail(file, state.ends[file]) if row["task"] == task]
                    for file in (self.files.ledger, self.files.calls)
                )
                if lines := journal_lines(path, paid, answers):
                    write_whole(path, lines)


def _tail(path: Path, start: int) -> Iterator[dict[str, Any]]:
    """Yield the complete rows of a file that start at or after a byte offset."""
    with open_file(path) as file:
        file.seek(start)
        for line in file:
            row = as_row(line)
            if row is not None and "task" in row:
                yield row


def journals(folder: Path) -> list[Path]:
    """Return the journals in a folder, in task order."""
    return sorted(path for path in folder.glob("*.jsonl") if path.stem.isdecimal())


def lock(folder: Path) -> Any:
    """Lock a folder for this process; raises `RunFolderError` if another process has locked it.

    Lock only convogen's own folders, because a lock leaves a file in the folder.
    """
    from filelock import FileLock, Timeout

    held = FileLock(folder / ".lock")
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(
            f"{folder}: another process is writing to it; wait until it ends, or choose another "
            "folder"
        ) from None
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return held


def claim(folder: Path, kept: Sequence[str] = ()) -> None:
    """Create a folder to write to, or accept an existing folder that is empty or convogen's own.

    Leftovers from a process that was killed before it wrote the manifest are ignored: a lock, a
    temporary file, empty folders and empty files. `kept` names further files that are allowed.
    Raises `RunFolderError` if the folder contains anything else or cannot be created.
    """
    try:
        if folder.is_dir() and not (folder / "manifest.json").exists():
            _refuse_foreign(folder, kept)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be created: {error.strerror}") from error


def refuse_strewing(folder: Path, ours: Callable[[Path], bool]) -> None:
    """Raise `RunFolderError` if a folder contains files but no file that this command wrote."""
    try:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be read: {error.strerror}") from error
    if found and not any(ours(path) for path in found):
        raise RunFolderError(
            f"{folder}: contains {found[0].name!r:.80} but nothing that this command wrote; "
            "specify a new or empty folder with --out"
        )


def _refuse_foreign(folder: Path, kept: Sequence[str]) -> None:
    for path in sorted(folder.iterdir()):
        if path.name not in kept and not _left_behind(path):
            raise RunFolderError(
                f"{folder}: contains {path.name!r:.80} but no manifest.json, so convogen did not "
                "create the folder; specify a new or empty folder with --out"
            )


def _left_behind(path: Path) -> bool:
    """Return whether a path was left by a process that was killed before it wrote the manifest."""
    if path.name.startswith(".") and path.suffix == ".new":
        return True
    if path.name not in ("journal", ".lock") and path.suffix != ".jsonl":
        return False
    return not (any(path.iterdir()) if path.is_dir() else path.is_file() and path.stat().st_size)


def moved_aside(folder: Path) -> Path:
    """Rename one of convogen's folders by appending the time, and return the new path.

    Raises `RunFolderError` if another process is writing to the folder, or if the current folder is
    in it.
    """
    folder = folder.absolute()
    if Path.cwd().is_relative_to(folder.resolve()):
        raise RunFolderError(
            f"{folder}: is the current folder, so it cannot be moved aside; "
            f"change to another folder"
        )
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
