"""Consistency check, task by task, for the files of a task log.

Tasks are committed in the order of the plan, and a task's rows are written file by file. Every file
is therefore in task order, and the files agree about each task. A crash leaves at most one task
half-written, at the end. Any other inconsistency must come from an edit; the folder is then refused
and left unchanged.

A single pass reads all files in parallel and keeps the rows of at most one task in memory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from convogen.errors import RunFolderError
from convogen.inputs.text_file import open_file
from convogen.jsonl import as_row, parse_row

__all__ = ["LogState", "TaskFiles", "check_tasks", "journal_path"]

REMEDY = "nothing was changed; restore the files, or choose another folder"


@dataclass(frozen=True, slots=True)
class TaskFiles:
    """The files to which tasks write rows, and the folder of the tasks' journals.

    A task has one row in one of `outcomes`, and at most one row in each of `before`. `key` is the
    field of an outcome's row that contains the task's number; None if the row's position is the
    task's number.
    """

    ledger: Path
    calls: Path
    before: tuple[Path, ...]
    outcomes: tuple[Path, ...]
    journals: Path
    key: str | None = "task"

    @property
    def all(self) -> list[Path]:
        """The files in the order in which they are written."""
        return [self.ledger, self.calls, *self.before, *self.outcomes]


@dataclass(slots=True)
class LogState:
    """The state of the files of a task log.

    The first `committed` tasks are complete. `counts` maps each file to the number of rows from
    these tasks, and `ends` maps each file to the byte offset after these rows. The tasks in `begun`
    must be repeated. The files in `unended` lack only their last newline.
    """

    committed: int = 0
    begun: list[int] = field(default_factory=list[int])
    counts: dict[Path, int] = field(default_factory=dict[Path, int])
    ends: dict[Path, int] = field(default_factory=dict[Path, int])
    unended: list[Path] = field(default_factory=list[Path])


def journal_path(folder: Path, task: int) -> Path:
    """Return the path of a task's journal, which contains the answered calls until the task is
    committed."""
    return folder / f"{task:08d}.jsonl"


def check_tasks(
    files: TaskFiles, *, strict: bool = True, complete: bool = True, replayed: bool = False
) -> LogState:
    """Check that the files agree; if not, raise a `RunFolderError` that names a file and a line.

    If `strict` is false, as for earlier data formats, only the outcomes are checked: they must be
    in order, and each task must have one. If `strict` and `complete` are true, no file may be
    missing. If `replayed` is true, another run paid for the calls, so the ledger does not contain
    them.

    Rows that a crash can leave behind are accepted. These are the rows of a single task at the end,
    or of several tasks if the journals with these tasks' answers still exist.
    """
    if strict and complete:
        for path in files.all:
            if not path.is_file():
                raise RunFolderError(f"{path}: is missing; {REMEDY}")
    return _Check(files, strict=strict, replayed=replayed).run()


class _Row(NamedTuple):
    task: int
    line: int
    end: int
    value: dict[str, Any]


class _Reader:
    """A reader for a file's rows in task order."""

    def __init__(self, path: Path, size: int, key: str | None, single: bool) -> None:
        self.path = path
        self.torn = self.unended = False
        self.line = 0
        self.size, self._key, self._single = size, key, single
        self._rows = self._read()
        self.head = next(self._rows, None)

    def take(self, task: int) -> list[_Row]:
        """Return the rows of a task, or an empty list if the next rows belong to a later task."""
        taken: list[_Row] = []
        while self.head is not None and self.head.task == task:
            taken.append(self.head)
            self.line = self.head.line
            self.head = next(self._rows, None)
        return taken

    def _read(self) -> Iterator[_Row]:
        if not self.size:
            return
        key, first, last, end = self._key, 0, -1, 0
        with open_file(self.path) as lines:
            for number, line in enumerate(lines, 1):
                if end + len(line) > self.size:
                    line = line[: self.size - end]
                end += len(line)
                row = as_row(line)
                if line[-1:] != b"\n":
                    if row is None or (key is not None and key not in row):
                        self.torn = bool(line)
                        return
                    self.unended = True
                task = number - 1 if key is None else (row or {}).get(key)
                if row is None or type(task) is not int or task < first:
                    raise self._fault(number, line, last)
                first = task + 1 if self._single else task
                last = task
                yield _Row(task, number, end, row)

    def _fault(self, number: int, line: bytes, last: int) -> RunFolderError:
        """Return the error for a line that is not a row of a task after `last`."""
        where = f"{self.path} line {number}"
        row = parse_row(where, line, self._key)
        task = number - 1 if self._key is None else row[self._key]
        what = "a second time" if task == last else f"after task {last}"
        return RunFolderError(f"{where}: contains task {task} {what}; {REMEDY}")


class _Check:
    """One pass over the files."""

    def __init__(self, files: TaskFiles, *, strict: bool, replayed: bool) -> None:
        sizes = _sizes(files.all)
        several = (files.ledger, files.calls)
        self._files, self._strict, self._replayed = files, strict, replayed
        self._readers = {
            path: _Reader(
                path,
                sizes[path],
                files.key if path in files.outcomes else "task",
                path not in several,
            )
            for path in files.all
        }
        names = (path.stem for path in files.journals.glob("*.jsonl"))
        self._journals = {int(name) for name in names if name.isdecimal()}
        zero = dict.fromkeys(files.all, 0)
        self._state = LogState(counts={**zero}, ends={**zero})
        self._fault: str | None = None
        self._unexplained = False
        self._lost = self._apart = 0

    def run(self) -> LogState:
        state, readers = self._state, self._readers
        task = 0
        while any(reader.head for reader in readers.values()):
            rows = {path: reader.take(task) for path, reader in readers.items()}
            fault = self._of_task(task, rows)
            if self._fault is None and fault is None:
                state.committed += 1
                for path, taken in rows.items():
                    state.counts[path] += len(taken)
                    state.ends[path] = taken[-1].end if taken else state.ends[path]
            else:
                self._begun(task, rows, fault)
            task += 1
        torn = any(reader.torn for reader in readers.values()) and self._apart <= 1
        if self._fault is not None and self._unexplained and not torn:
            raise RunFolderError(f"{self._fault}; {REMEDY}")
        state.unended = [
            path
            for path, reader in readers.items()
            if reader.unended and state.ends[path] == reader.size
        ]
        return state

    def _begun(self, task: int, rows: Mapping[Path, list[_Row]], fault: str | None) -> None:
        """Record a task as half-written by a crash.

        Raises `RunFolderError` if a crash cannot be the reason.
        """
        self._fault = self._fault or fault
        if task not in self._journals:
            self._lost += 1
            self._unexplained |= any(rows[path] for path in self._files.outcomes)
        if self._lost > 1 or (self._lost and any(r.head for r in self._readers.values())):
            raise RunFolderError(f"{self._fault}; {REMEDY}")
        self._state.begun.append(task)

    def _of_task(self, task: int, rows: Mapping[Path, list[_Row]]) -> str | None:
        """Return a message if a task's rows are not those of a committed task; otherwise, None."""
        outcomes = [(path, rows[path][0]) for path in self._files.outcomes if rows[path]]
        if len(outcomes) > 1:
            (first, _), (path, row) = outcomes[:2]
            raise RunFolderError(
                f"{path} line {row.line}: contains task {task}, which is also in {first.name}; "
                f"{REMEDY}"
            )
        if not outcomes:
            return self._missing(task, rows)
        if not self._strict:
            return None
        fault = self._calls(task, rows) or self._experience(*outcomes[0], rows)
        if fault is None and task in self._journals:
            return self._journal(task, len(rows[self._files.ledger]))
        return fault

    def _missing(self, task: int, rows: Mapping[Path, list[_Row]]) -> str:
        """Return a message that says where the row that commits a task is missing."""
        files = self._files
        places = [
            f"{path.name if index else path} line {self._readers[path].line + 1}"
            for index, path in enumerate(files.outcomes)
        ]
        own = next((path for path in files.all if rows[path]), None)
        known = f", to which {own.name} line {rows[own][0].line} belongs," if own else ""
        return f"{' or '.join(places)}: the row of task {task}{known} is missing"

    def _calls(self, task: int, rows: Mapping[Path, list[_Row]]) -> str | None:
        """Return a message if a task's numbers of answers and paid calls differ, or else None."""
        ledger, calls = self._files.ledger, self._files.calls
        if self._replayed:
            return None
        paid = [row for row in rows[ledger] if not {"lost_attempts", "unused"} & row.value.keys()]
        n_paid, n_answers = len(paid), len(rows[calls])
        if n_paid == n_answers:
            return None
        self._apart = abs(n_paid - n_answers)  # a torn line counts as one row
        if n_paid > n_answers:
            at, other, more, fewer = paid[-1], calls, n_paid, n_answers
            path = ledger
        else:
            at, other, more, fewer = rows[calls][-1], ledger, n_answers, n_paid
            path = calls
        return (
            f"{path} line {at.line}: the number of calls for task {task} is {more} here, but "
            f"{fewer} in {other.name}"
        )

    def _journal(self, task: int, n_paid: int) -> str | None:
        """Return a message if a task's journal must not be deleted yet; None if the ledger contains
        all calls in the journal."""
        path = journal_path(self._files.journals, task)
        try:
            n_calls = path.read_bytes().count(b"\n")
        except FileNotFoundError:
            return None  # another process has just committed the task
        if n_calls == n_paid:
            return None
        return (
            f"{path}: the number of calls for task {task} is {n_calls} here, but {n_paid} in the "
            "ledger"
        )

    def _experience(self, path: Path, row: _Row, rows: Mapping[Path, list[_Row]]) -> str | None:
        """Return a message if the experience that an outcome names is not the task's experience;
        otherwise, None."""
        inner = row.value.get("conversation")
        value = cast("dict[str, Any]", inner) if isinstance(inner, dict) else row.value
        name = value.get("experience")
        if name is None:
            return None
        for before in self._files.before:
            if not rows[before]:
                return (
                    f"{before} line {self._readers[before].line + 1}: the experience that "
                    f"{path.name} line {row.line} names for task {row.task} is missing"
                )
            if (other := rows[before][0]).value.get("id") != name:
                return (
                    f"{before} line {other.line}: is not the experience {name!r:.60} that "
                    f"{path.name} line {row.line} names"
                )
        return None


def _sizes(paths: list[Path]) -> dict[Path, int]:
    """Return a consistent snapshot of the files' sizes, even if another process appends to the
    files."""

    def now() -> dict[Path, int]:
        return {path: os.stat(path).st_size if path.exists() else 0 for path in paths}

    sizes = now()
    while (again := now()) != sizes:
        sizes = again
    return sizes
