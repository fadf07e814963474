"""The state of a run folder, the changes since an earlier state, and the application of a part."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convogen.errors import RunFolderError
from convogen.jsonl import writing
from convogen.storage.remote.parts import Change, Part

__all__ = ["FolderState", "empty"]

_TAIL = 4096
_BLOCK = 1 << 20

Seen = tuple[int, int, int]
"""Inode, size and modification time of a file, which show whether it has been changed."""


@dataclass(slots=True)
class _File:
    size: int
    digest: str
    hashed: Any = None
    """The running SHA-256 of the file; None if it was not read in this process."""
    tail: bytes = b""
    seen: Seen | None = None


@dataclass
class FolderState:
    """The files of a run folder after the last part of its chain."""

    files: dict[str, _File] = field(default_factory=dict[str, _File])

    @classmethod
    def of(cls, known: dict[str, tuple[int, str]]) -> FolderState:
        """Return a state of which only sizes and digests are known."""
        return cls({path: _File(size, digest) for path, (size, digest) in known.items()})

    def known(self) -> dict[str, tuple[int, str]]:
        """Return the size and the digest of each file."""
        return {path: (file.size, file.digest) for path, file in self.files.items()}

    def changes(
        self, folder: Path, *, thorough: bool
    ) -> tuple[FolderState, list[Change], list[bytes]]:
        """Return a folder's current state, and the changes from `self` to that state with their
        bytes.

        A longer file with the same inode counts as appended to if its former last bytes are
        unchanged. If `thorough` is true, all files are read in full instead. Call this method
        between two writes.
        """
        now: dict[str, _File] = {}
        changes: list[Change] = []
        pieces: list[bytes] = []
        for path, file in _scan(folder):
            old = self.files.get(path)
            found = _current(file, old, thorough=thorough)
            if found is None:
                continue  # deleted just now
            now[path], change, piece = found
            if change is not None:
                changes.append(change.model_copy(update={"path": path}))
                pieces.append(piece)
        for path in self.files:
            if path not in now:
                changes.append(Change(path=path, do="delete"))
                pieces.append(b"")
        return FolderState(now), changes, pieces

    def apply(self, part: Part, where: str, folder: Path) -> None:
        """Apply a part to a folder in this state; raises `RunFolderError` if the part does not
        fit."""
        for change, piece in zip(part.header.changes, part.pieces, strict=True):
            file = folder / change.path
            if change.do == "delete":
                self.files.pop(change.path, None)
                with writing(file):
                    file.unlink(missing_ok=True)
                continue
            old = self.files.get(change.path) if change.do == "append" else None
            size = old.size if old else 0
            hashed = _hash_of(file, old)
            hashed.update(piece)
            if change.at != size or change.size != size + len(piece):
                raise _misfit(where, change.path)
            if hashed.hexdigest() != change.digest:
                raise _misfit(where, change.path)
            with writing(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                with file.open("ab" if old else "wb") as opened:
                    opened.write(piece)
            self.files[change.path] = _File(change.size, change.digest, hashed)

    def is_before(self, folder: Path) -> bool:
        """Return whether a folder still contains this state, and possibly more.

        Journals are not checked, because they are deleted when their tasks are committed. The sizes
        of the log, which restarts when it is full, and of manifests, which may become shorter, are
        not checked either.
        """
        kept = [path for path in self.files if path.endswith(".jsonl") and "journal" not in path]
        with suppress(OSError):
            return all(
                (folder / path).exists() for path in self.files if path.endswith(".json")
            ) and all(
                path == "log.jsonl" or (folder / path).stat().st_size >= self.files[path].size
                for path in kept
            )
        return False

    def holds(self, folder: Path) -> bool:
        """Return whether a folder has exactly these files; reads all of them."""
        found = dict(_scan(folder))
        if found.keys() != self.files.keys():
            return False
        with suppress(OSError):
            return all(
                file.stat().st_size == self.files[path].size
                and _digest_of(file) == self.files[path].digest
                for path, file in found.items()
            )
        return False


def empty(folder: Path) -> None:
    """Empty a folder, creating it if necessary."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _scan(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the relative and the full path of each file in a run folder, except locks and temporary
    files."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            file = Path(place) / name
            temporary = name.startswith(".") and name.endswith(".new")
            if name != ".lock" and not temporary and not file.is_symlink():
                yield file.relative_to(folder).as_posix(), file


def _current(
    file: Path, old: _File | None, *, thorough: bool
) -> tuple[_File, Change | None, bytes] | None:
    """Return a file's state, its change, and the changed bytes; None if the file was deleted."""
    try:
        with file.open("rb") as opened:
            status = os.fstat(opened.fileno())
            seen = (status.st_ino, status.st_size, status.st_mtime_ns)
            if old is not None and old.seen == seen and not thorough:
                return old, None, b""
            start, hashed = _appended_from(opened, old, seen, thorough=thorough)
            opened.seek(start)
            piece = opened.read()
    except FileNotFoundError:
        return None
    hashed.update(piece)
    tail = ((old.tail if old and start else b"") + piece)[-_TAIL:]
    size = start + len(piece)
    new = _File(size, hashed.hexdigest(), hashed, tail, (seen[0], size, seen[2]))
    if old is not None and not piece and start == old.size:
        return new, None, b""
    do = "append" if old is not None and start else "replace"
    change = Change(path="-", do=do, at=start, length=len(piece), size=size, digest=new.digest)
    return new, change, piece


def _appended_from(
    opened: Any, old: _File | None, seen: Seen, *, thorough: bool
) -> tuple[int, Any]:
    """Return the offset at which a file's new bytes begin, and the hash of the bytes before it."""
    fresh = hashlib.sha256()
    if old is None or seen[1] < old.size:
        return 0, fresh
    if thorough or old.hashed is None:
        left = old.size
        while left and (block := opened.read(min(left, _BLOCK))):
            fresh.update(block)
            left -= len(block)
        same = not left and fresh.hexdigest() == old.digest
        return (old.size, fresh) if same else (0, hashlib.sha256())
    opened.seek(old.size - len(old.tail))
    same = old.seen is not None and old.seen[0] == seen[0]
    if same and opened.read(len(old.tail)) == old.tail:
        return old.size, old.hashed.copy()
    return 0, fresh


def _hash_of(file: Path, old: _File | None) -> Any:
    """Return a running hash of a file's content."""
    if old is None:
        return hashlib.sha256()
    if old.hashed is not None:
        return old.hashed
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256")


def _digest_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _misfit(where: str, path: str) -> RunFolderError:
    return RunFolderError(
        f"{where}: does not continue {path} where the previous part ended; restore the object, or "
        "delete it and all later parts to continue from the previous part"
    )
