"""Local copies of run folders on a store: one per URL, in the user's cache.

    <cache>/convogen/runs/<hash of the URL>/<last part of the URL>/   the run folder
    …/state.json     the last part that the copy contains, and the files after that part
    …/sending.json   the same for the part that is being written
    …/updating.lock  held while the copy is brought up to date
    …/writing.lock   held by the process that writes to the run

A copy may be ahead of the chain if a process was killed before it wrote back its changes. If no
other machine has continued the chain since then, the next writer on this machine continues from the
copy.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from convogen.errors import RunFolderError
from convogen.jsonl import make_folder, write_whole, writing
from convogen.storage.cache import writable_cache
from convogen.storage.remote.objects import ObjectStore, StoreError
from convogen.storage.remote.parts import PARTS, Part, decode, part_name, safe
from convogen.storage.remote.snapshot import FolderState, empty

__all__ = ["LocalCopy"]

_NUMBER = re.compile(r"\d{8}")
_PATIENCE_S = 600.0
"""Seconds to wait for another process that is bringing the copy up to date."""


class _Saved(BaseModel):
    model_config = ConfigDict(strict=True)

    number: int
    digest: str
    files: dict[str, tuple[int, str]]


class LocalCopy:
    """The local copy of a run folder on a store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._base = writable_cache("runs") / hashlib.sha256(store.url.encode()).hexdigest()[:16]
        self.folder = self._base / re.sub(r"[^\w.-]", "-", store.url.rsplit("/", 1)[-1])
        self._files = self._base / "state.json", self._base / "sending.json"
        self._lock: Any = None
        self.state = FolderState()
        self.head: Part | None = None
        """The last part of the chain when the copy was updated; None if there is no chain."""

    def read(self) -> Path:
        """Bring the copy up to date, unless a process on this machine is writing to it."""
        with self._updating():
            if self._claim():
                try:
                    self.refresh()
                finally:
                    self.release()
        return self.folder

    def open(self) -> None:
        """Bring the copy up to date, and lock out other writers on this machine.

        Raises `RunFolderError` if another process is already writing to the copy.
        """
        with self._updating():
            if not self._claim():
                raise RunFolderError(
                    f"{self.store.url}: another process on this machine is writing to it; wait "
                    "until it has finished, or choose another folder"
                )
            try:
                self.refresh()
            except BaseException:
                self.release()
                raise

    def release(self) -> None:
        """Let other processes on this machine write to the copy."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def refresh(self) -> None:
        """Bring the copy to the end of the chain; raises `RunFolderError` if a part is missing or
        damaged."""
        head = self._chain_length() - 1
        if head < 0:
            self.head = None
            self._restore_plain()
            return
        self.head = self._part(head)
        recorded = [saved for file in self._files if (saved := _saved(file)) is not None]
        for saved in recorded if self.folder.is_dir() else ():
            self.state = FolderState.of(saved.files)
            if saved.digest == self.head.digest and self.state.is_before(self.folder):
                return  # anything beyond the last part was written on this machine
            if saved.number < head and self._go_on(saved):
                return
        self._forget()
        if not self._restore_published(self.head):
            self._restore(0, None, FolderState())
        self.save()

    def save(self, sending: tuple[Part, FolderState] | None = None) -> None:
        """Record that the copy has everything up to the last part of the chain.

        `sending` is the next part and the state that the part produces. If `sending` is given, both
        are recorded instead of the last part, before the next part is written, so that nothing is
        lost if the process is killed before the store responds.
        """
        head, state = sending or (self.head, self.state)
        assert head is not None
        saved = _Saved(number=head.header.number, digest=head.digest, files=state.known())
        write_whole(self._files[sending is not None], saved.model_dump_json())

    def _forget(self) -> None:
        for file in self._files:
            file.unlink(missing_ok=True)

    def _go_on(self, saved: _Saved) -> bool:
        """Apply the parts that the copy lacks; return False if they do not continue the copy."""
        if not self.state.holds(self.folder):
            return False
        if self._part(saved.number + 1).header.after != saved.digest:
            return False
        self._restore(saved.number + 1, saved.digest, self.state)
        self.save()
        return True

    def _restore(self, first: int, after: str | None, state: FolderState) -> None:
        """Apply part `first` and all later parts to the folder, which is in the state `state`."""
        assert self.head is not None
        if first == 0:
            empty(self.folder)
        numbers = range(first, self.head.header.number + 1)
        read = self.store.read([part_name(number) for number in numbers])
        for number, encoded in zip(numbers, read, strict=True):
            where = self.store.where(part_name(number))
            part = decode(where, number, encoded)
            if part.header.after != after:
                raise RunFolderError(
                    f"{where}: does not follow the previous part, but a different one; restore the "
                    "original objects"
                )
            state.apply(part, where, self.folder)
            after = part.digest
        self.state = state

    def _restore_published(self, head: Part) -> bool:
        """Restore a complete run from its ordinary objects; return whether these are unchanged."""
        published = head.header.published
        if published is None:
            return False
        empty(self.folder)
        try:
            for path in published:
                self._download(path)
        except StoreError:
            return False
        sizes = {path: (self.folder / path).stat().st_size for path in published}
        self.state = FolderState.of({path: (sizes[path], published[path]) for path in published})
        return self.state.holds(self.folder)

    def _restore_plain(self) -> None:
        """Restore a run without a chain, such as an uploaded folder, from ordinary objects."""
        self._forget()
        self.state = FolderState()
        empty(self.folder)
        if not self.store.names(""):
            return
        names = self.store.tree()
        if "manifest.json" not in names:
            return
        for name in names:
            if not name.rsplit("/", 1)[-1].startswith("."):
                try:
                    safe(name)
                except ValueError as error:
                    raise RunFolderError(f"{self.store.url}: {error}; delete it") from error
                self._download(name)

    def _download(self, path: str) -> None:
        file = self.folder / path
        with writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        self.store.download(path, file)

    def _chain_length(self) -> int:
        """Return the number of parts; raises `RunFolderError` if one of them is missing."""
        numbers = [int(name) for name in self.store.names(PARTS) if _NUMBER.fullmatch(name)]
        for expected, number in enumerate(numbers):
            if number != expected:
                raise RunFolderError(
                    f"{self.store.where(part_name(expected))}: is missing, but later parts exist; "
                    "restore it, or delete all later parts to continue from the previous part"
                )
        return len(numbers)

    def _part(self, number: int) -> Part:
        name = part_name(number)
        return decode(self.store.where(name), number, next(self.store.read([name])))

    @contextlib.contextmanager
    def _updating(self) -> Generator[None]:
        from filelock import FileLock, Timeout

        make_folder(self.folder)
        try:
            with FileLock(self._base / "updating.lock", timeout=_PATIENCE_S):
                yield
        except Timeout as error:
            raise RunFolderError(
                f"{self.store.url}: another process has been updating the local copy for "
                f"{_PATIENCE_S:.0f} s; wait until it has finished"
            ) from error

    def _claim(self) -> bool:
        from filelock import FileLock, Timeout

        lock = FileLock(self._base / "writing.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._lock = lock
        return True


def _saved(file: Path) -> _Saved | None:
    """Return the recorded state of a copy; None if it cannot be read."""
    try:
        return _Saved.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return None
