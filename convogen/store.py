"""The run folder: its only writer, and its readers.

    experiment.yaml  manifest.json     what was asked; versions, prompts, models, sources
    experiences.jsonl  conversations.jsonl  failures.jsonl
    ledger.jsonl                       one line a call: role, model, tokens, attempts, seconds
    journal/<task>.jsonl               answered calls of tasks not yet committed

Tasks are committed in the order of the plan, so at any moment each file is a prefix of what it
will be, and the number of committed rows says where to go on. A row is appended in one write;
a torn last line is cut off on opening. A task's journal goes only after its rows are on disk.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from convogen.errors import RunFolderError
from convogen.files import append_line, cut_torn_line, drop_tail, parse_row, write_whole
from convogen.models.journal import Journal
from convogen.types import Conversation, Experience, Failure, Record

__all__ = ["Journal", "Outcome", "Run", "RunStore", "load_run"]

FORMAT = 1
ROWS = ("ledger", "experiences", "conversations", "failures")
SYNC_EVERY_S = 2.0
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a task gave: an experience and a conversation, or a failure (with or without)."""

    experience: Experience | None = None
    conversation: Conversation | None = None
    failure: Failure | None = None


class Run:
    """A run folder, read only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def manifest(self) -> dict[str, Any]:
        """What was asked and what made it: versions, models, prompts, sources."""
        try:
            manifest = json.loads((self.folder / "manifest.json").read_text("utf-8"))
            if not isinstance(manifest, dict):
                raise TypeError("it is no JSON object")
            return cast("dict[str, Any]", manifest)
        except (OSError, ValueError, TypeError) as error:
            raise RunFolderError(f"{self.folder}: manifest.json cannot be read: {error}") from error

    def experiences(self) -> Iterator[Experience]:
        """The committed experiences in the order of the plan."""
        return self._rows("experiences.jsonl", Experience)

    def conversations(self) -> Iterator[Conversation]:
        """The committed conversations in the order of the plan."""
        return self._rows("conversations.jsonl", Conversation)

    def failures(self) -> Iterator[Failure]:
        """The tasks that gave no conversation, in the order of the plan."""
        return self._rows("failures.jsonl", Failure)

    def ledger(self) -> Iterator[dict[str, Any]]:
        """One row a call: committed ones, then those of tasks still under way."""
        yield from _json_rows(self.folder / "ledger.jsonl", "task")
        for path in _journals(self.folder):
            for row in _json_rows(path, "call"):
                yield {"task": int(path.stem)} | row["call"]

    def _rows(self, name: str, record: type[R]) -> Iterator[R]:
        path = self.folder / name
        if not path.exists():
            return
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    return
                try:
                    yield record.model_validate_json(line)
                except ValidationError as error:
                    raise RunFolderError(
                        f"{path} line {number}: no {record.__name__}: {_first(error)}"
                    ) from error


def load_run(folder: str | Path) -> Run:
    """Open a run folder for reading; raises `RunFolderError` where it is none."""
    path = Path(folder)
    if not (path / "manifest.json").is_file():
        raise RunFolderError(
            f"{path}: no run here: it has no manifest.json; `convogen run … --out {path}` makes one"
        )
    return Run(path)


class RunStore(Run):
    """A run folder, open for writing; one process at a time."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        super().__init__(folder)
        self._fingerprint = fingerprint
        self._lock = _lock(folder)
        self._spent: list[Path] = []
        self._synced_at = time.monotonic()
        self.n_conversations = _count(folder / "conversations.jsonl")
        self.n_failures = _count(folder / "failures.jsonl")

    @classmethod
    def open(
        cls, folder: Path, fingerprint: str, experiment: str, manifest: Mapping[str, Any]
    ) -> RunStore:
        """Make or reopen a run folder.

        `experiment` is the text of experiment.yaml. Raises `RunFolderError` where the folder
        holds another experiment, is in use, or cannot be written.
        """
        try:
            (folder / "journal").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(f"{folder}: cannot be made: {error.strerror}") from error
        store = cls(folder, fingerprint)
        try:
            store._admit(manifest)
            store._repair()
            write_whole(folder / "experiment.yaml", experiment)
            store.note(manifest)
        except BaseException:
            store.close()
            raise
        return store

    @staticmethod
    def check_free(folder: Path) -> None:
        """Raise `RunFolderError` where another process is writing to the folder."""
        _lock(folder).release()

    @property
    def committed(self) -> int:
        """The number of tasks committed, which is the place in the plan to go on from."""
        return self.n_conversations + self.n_failures

    def journal(self, task: int) -> Journal:
        """The answered calls of a task."""
        return Journal(self._journal_path(task))

    def note(self, entries: Mapping[str, Any]) -> None:
        """Write entries into the manifest, leaving the others."""
        path = self.folder / "manifest.json"
        known = self.manifest if path.exists() else {}
        text = json.dumps({**known, **entries}, indent=2, ensure_ascii=False, default=str)
        write_whole(path, text + "\n")

    def commit(self, task: int, outcome: Outcome, journal: Journal) -> None:
        """Append a task's rows; the conversation's or the failure's is the one that counts.

        Raises `RunFolderError` where the disk is full or the folder was made read-only.
        """
        assert task == self.committed, "tasks are committed in the order of the plan"
        row = outcome.conversation or outcome.failure
        assert row is not None, "a task gives a conversation or a failure"
        ledger = b"".join(_dump({"task": task} | call) for call in journal.calls())
        append_line(self.folder / "ledger.jsonl", ledger)
        if outcome.experience is not None:
            append_line(self.folder / "experiences.jsonl", outcome.experience.to_line())
        name = "failures" if outcome.conversation is None else "conversations"
        append_line(self.folder / f"{name}.jsonl", row.to_line())
        if outcome.conversation is None:
            self.n_failures += 1
        else:
            self.n_conversations += 1
        self._spent.append(journal.path)
        if time.monotonic() - self._synced_at > SYNC_EVERY_S:
            self._sync()

    def close(self) -> None:
        """Bring everything to disk and let go of the folder."""
        try:
            self._sync()
        finally:
            self._lock.release()

    def _sync(self) -> None:
        """Rows to disk first, then the journals they replace may go."""
        if self._spent:
            for name in ROWS:
                with (self.folder / f"{name}.jsonl").open("rb") as file:
                    os.fsync(file.fileno())
        for path in self._spent:
            path.unlink(missing_ok=True)
        self._spent.clear()
        self._synced_at = time.monotonic()

    def _admit(self, manifest: Mapping[str, Any]) -> None:
        """Refuse a folder that holds another experiment."""
        if not (self.folder / "manifest.json").exists():
            if self.committed:
                raise RunFolderError(
                    f"{self.folder}: holds rows but no manifest.json; name another"
                )
            return
        found = self.manifest
        if found.get("fingerprint") == self._fingerprint:
            return
        changed = _differences(found.get("experiment", {}), manifest.get("experiment", {}))
        raise RunFolderError(
            f"{self.folder}: holds another experiment (fingerprint {found.get('fingerprint')}, "
            f"this one is {self._fingerprint}; {changed}); "
            "choose another --out, or --fresh to move the old run aside"
        )

    def _repair(self) -> None:
        """Cut what a crash left half done: torn lines, rows of a task that did not commit."""
        paths = {name: self.folder / f"{name}.jsonl" for name in ROWS}
        for path in paths.values():
            path.touch()
            cut_torn_line(path)
        self.n_conversations = _count(paths["conversations"])
        self.n_failures = _count(paths["failures"])
        for name in ("ledger", "experiences"):
            drop_tail(paths[name], lambda row: row["task"] >= self.committed)
        for path in _journals(self.folder):
            if int(path.stem) < self.committed:
                path.unlink()

    def _journal_path(self, task: int) -> Path:
        return self.folder / "journal" / f"{task:08d}.jsonl"


def _lock(folder: Path) -> Any:
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise RunFolderError(
            f"{folder}: another process is writing to this run; wait, or choose another --out"
        ) from None
    except OSError as error:
        raise RunFolderError(f"{folder}: cannot be written: {error.strerror or error}") from error
    return lock


def _count(path: Path) -> int:
    """Complete lines of a file."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def _dump(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def _journals(folder: Path) -> list[Path]:
    paths = (folder / "journal").glob("*.jsonl")
    return sorted(path for path in paths if path.stem.isdecimal())


def _json_rows(path: Path, key: str) -> Iterator[dict[str, Any]]:
    if path.exists():
        with path.open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    yield parse_row(path, line, key)


def _differences(found: Any, new: Mapping[str, Any]) -> str:
    """Which keys of two experiments differ, in words."""
    old = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    shown = [f"{key}: {old.get(key)!r} there, {new.get(key)!r} here" for key in sorted(keys)]
    return "; ".join(text[:160] for text in shown[:4]) or "the files it reads have changed"


def _first(error: ValidationError) -> str:
    detail = error.errors()[0]
    return f"{'.'.join(str(part) for part in detail['loc'])}: {detail['msg']}"
