"""Finished tasks that cannot be committed yet, because an earlier task is unfinished.

    journal/<task>.done                the task's outcome

The files are for readers of a run in progress. When a run resumes, the files are ignored, and the
tasks are repeated with the answers in their journals.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from convogen.errors import RunFolderError
from convogen.jsonl import writing
from convogen.records import Conversation, Experience, Failure, Record, Rejected
from convogen.storage.run_folder import Outcome, Run

__all__ = ["PartialRun", "drop", "forget", "keep", "readable", "waiting"]

R = TypeVar("R", bound=Record)

COMMITTED = ("conversations.jsonl", "failures.jsonl", "rejected.jsonl")
PARTS: dict[str, type[Record]] = {
    "experience": Experience,
    "conversation": Conversation,
    "failure": Failure,
    "rejected": Rejected,
}
FILES = {
    "experiences.jsonl": "experience",
    "conversations.jsonl": "conversation",
    "failures.jsonl": "failure",
    "rejected.jsonl": "rejected",
}


class PartialRun(Run):
    """A run together with its finished but uncommitted tasks, in the order of the plan."""

    def _rows(self, name: str, record: type[R]) -> Iterator[R]:
        yield from super()._rows(name, record)
        if name in FILES:
            for outcome in waiting(self.folder):
                if (row := getattr(outcome, FILES[name])) is not None:
                    yield row


@contextmanager
def readable(run: Run) -> Generator[Path]:
    """Yield the path from which a run's conversations can be read.

    This is the run folder or, for a `PartialRun`, a temporary file with all its conversations.
    """
    if not isinstance(run, PartialRun):
        yield run.folder
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "conversations.jsonl"
        with writing(path), path.open("wb") as file:
            file.writelines(one.to_line() for one in run.conversations())
        yield path


def keep(folder: Path, task: int, outcome: Outcome) -> None:
    """Store the outcome of a task that cannot be committed yet."""
    parts = {name: getattr(outcome, name) for name in PARTS}
    told = {name: json.loads(part.to_line()) for name, part in parts.items() if part is not None}
    path = _path(folder, task)
    with writing(path):
        path.write_bytes(json.dumps(told, ensure_ascii=False).encode() + b"\n")


def forget(folder: Path, task: int) -> None:
    """Delete the stored outcome of a task that has been committed."""
    with writing(_path(folder, task)):
        _path(folder, task).unlink(missing_ok=True)


def drop(folder: Path, committed: int) -> set[int]:
    """Delete the stored outcomes of tasks below `committed`; return the numbers of the tasks still
    waiting."""
    for path in _kept(folder, 0, committed):
        with writing(path):
            path.unlink(missing_ok=True)
    return {int(path.stem) for path in _kept(folder, committed, None)}


def waiting(folder: Path) -> Iterator[Outcome]:
    """Yield the outcomes of tasks that are not committed yet, in the order of the plan.

    Raises `RunFolderError` if a file is damaged.
    """
    for path in _kept(folder, _committed(folder), None):
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            continue  # committed just now
        if text.endswith(b"\n"):
            yield _outcome(path, text)


def _outcome(path: Path, text: bytes) -> Outcome:
    try:
        told = cast("dict[str, Any]", json.loads(text))
        parts: dict[str, Any] = {
            name: PARTS[name].model_validate_json(json.dumps(part)) for name, part in told.items()
        }
        return Outcome(**parts)
    except (ValueError, LookupError, TypeError, AttributeError, ValidationError) as error:
        raise RunFolderError(
            f"{path}: is not a task's outcome; delete the file; it will be written again when the "
            "run is resumed"
        ) from error


def _path(folder: Path, task: int) -> Path:
    return folder / "journal" / f"{task:08d}.done"


def _kept(folder: Path, first: int, end: int | None) -> list[Path]:
    """Return the files of the tasks from `first` up to, but not including, `end`."""
    found = [path for path in (folder / "journal").glob("*.done") if path.stem.isdecimal()]
    return sorted(
        path for path in found if first <= int(path.stem) and (end is None or int(path.stem) < end)
    )


def _committed(folder: Path) -> int:
    return sum(_lines(folder / name) for name in COMMITTED)


def _lines(path: Path) -> int:
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
