"""The writer of a run folder on a store, which appends the local copy's changes to the chain."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from convogen.errors import RunFolderError
from convogen.storage.remote.copies import LocalCopy
from convogen.storage.remote.objects import ObjectStore, StoreError
from convogen.storage.remote.parts import Header, Part, decode, encode, part_name
from convogen.storage.remote.snapshot import FolderState

__all__ = ["FLUSH_EVERY_S", "Mirror", "Superseded"]

FLUSH_EVERY_S = 5.0
"""Seconds between two parts, which limits the work that is lost if the machine crashes."""

ALIVE_EVERY_S = 60.0
"""Seconds without changes after which a run writes an empty part, to show that it is alive."""

DEAD_AFTER_S = 180.0
"""Seconds without a new part after which a run's last writer counts as dead."""

_TRIES = 8

Purpose = Literal["run", "scores"]


class Superseded(RunFolderError):
    """Another process has written the next part, so this process must stop."""


class Mirror:
    """A writer of a run folder on a store, for one process.

    A writer for a run takes over the folder immediately, so that an earlier writer can no longer
    write to the folder. A writer for scores is refused while a run is alive, and writes only when
    there are scores. Call `snapshot` between two writes to the local folder; call `send` from any
    thread.
    """

    def __init__(self, url: str, purpose: Purpose, every_s: float = FLUSH_EVERY_S) -> None:
        self.every_s = every_s
        self.say: Callable[[str], None] = lambda line: None
        self._purpose: Purpose = purpose
        self._writer = uuid.uuid4().hex
        self._store = ObjectStore(url)
        self._copy = LocalCopy(self._store)
        self._sending = threading.Lock()
        self._outbox: tuple[Part, FolderState] | None = None
        self._lost: Superseded | None = None
        self._sent_at = time.monotonic()
        self._copy.open()
        try:
            head = self._copy.head
            self._published = (head.header.published if head else None) or {}
            if purpose == "run":
                self._refuse_foreign()
                self._take_over()
            else:
                self._refuse_live_run()
        except BaseException:
            self._copy.release()
            raise
        self.folder = self._copy.folder
        self.url = self._store.url

    @property
    def due(self) -> bool:
        """Whether it is time for the next part."""
        return self._lost is None and time.monotonic() - self._sent_at >= self.every_s

    def snapshot(self, *, thorough: bool = False) -> Part | None:
        """Return the next part; None if there is nothing to write."""
        if self._outbox is None:
            silent = time.monotonic() - self._sent_at
            state, header, pieces = self._next(thorough=thorough)
            alive = self._purpose == "run" and silent >= ALIVE_EVERY_S
            if not header.changes and not alive:
                return None
            self._outbox = encode(header, pieces), state
        return self._outbox[0]

    def send(self) -> None:
        """Write the part that `snapshot` returned.

        Raises `Superseded` if another process has written a part with the same number. Raises
        `StoreError` if the store cannot be reached; the next call then retries the write.
        """
        with self._sending:
            if self._outbox is None or self._lost is not None:
                return
            part, state = self._outbox
            self._copy.save(self._outbox)
            if not self._create(part):
                self._lost = self._superseded(part.header.number)
                raise self._lost
            self._advance(part, state)
            self._outbox = None

    def close(self) -> None:
        """Write the remaining changes, and all files of a complete run; then release the folder.

        Raises `StoreError` if the store cannot be reached; the local copy keeps all changes. Raises
        `Superseded` if another process took over, even if an earlier `send` has already raised that
        error.
        """
        try:
            if self._lost is not None:
                raise self._lost
            self._finish()
        except StoreError as error:
            raise StoreError(
                f"{error}; changes that are not on the store yet are kept on this machine; repeat "
                "the same command on this machine to continue from them"
            ) from error
        finally:
            self._copy.release()

    def _finish(self) -> None:
        self.send()
        before = self._copy.head
        state, header, pieces = self._next(thorough=True)
        if not header.changes and (
            self._purpose == "scores" or (before is not None and before.header.released)
        ):
            return
        if self._is_complete():
            if header.changes:
                self._outbox = encode(header, pieces), state
                self.send()
            self._publish(state)
            published = self._published
            state, header, pieces = self._next(thorough=False)
        else:
            published = None
        final = header.model_copy(update={"released": True, "published": published})
        self._outbox = encode(final, pieces), state
        self.send()

    def _next(self, *, thorough: bool) -> tuple[FolderState, Header, list[bytes]]:
        """Return the folder's state, and the header and bytes of the part that produces it."""
        state, changes, pieces = self._copy.state.changes(self._copy.folder, thorough=thorough)
        head = self._copy.head
        header = Header(
            number=head.header.number + 1 if head else 0,
            after=head.digest if head else None,
            writer=self._writer,
            purpose=self._purpose,
            host=socket.gethostname()[:80],
            process=os.getpid(),
            at=datetime.now(UTC).isoformat(timespec="seconds"),
            changes=changes,
        )
        return state, header, pieces

    def _take_over(self) -> None:
        """Write a part, so that earlier writers can no longer append to the chain."""
        for _ in range(_TRIES):
            state, header, pieces = self._next(thorough=True)
            part = encode(header, pieces)
            self._copy.save((part, state))
            if self._create(part):
                self._advance(part, state)
                self._check_conditional(part)
                return
            self._copy.refresh()
        raise RunFolderError(
            f"{self._store.url}: other processes keep writing to this folder; stop them, or name "
            "another folder"
        )

    def _create(self, part: Part) -> bool:
        """Write a part; return whether the store now contains this part under its name."""
        name = part_name(part.header.number)
        if self._store.create(name, part.encoded):
            return True
        # An earlier attempt may have succeeded although its response was lost.
        return next(self._store.read([name])) == part.encoded

    def _check_conditional(self, part: Part) -> None:
        """Raise `RunFolderError` if the store overwrites an object despite a conditional write."""
        if self._store.create(part_name(part.header.number), part.encoded):
            raise RunFolderError(
                f"{self._store.url}: the store ignores conditional writes (If-None-Match), so two "
                "processes could destroy each other's data; use another store"
            )

    def _advance(self, part: Part, state: FolderState) -> None:
        self._copy.head, self._copy.state = part, state
        self._copy.save()
        self._sent_at = time.monotonic()

    def _superseded(self, number: int) -> Superseded:
        """Return the error for a part that another process has written."""
        by = "another process"
        with suppress(RunFolderError, StopIteration):
            name = part_name(number)
            header = decode(name, number, next(self._store.read([name]))).header
            by = f"process {header.process} on {header.host} (since {header.at})"
        return Superseded(
            f"{self._store.url}: {by} has taken over this folder, so this process stops; changes "
            f"that were not on the store yet, at most those from the last {self.every_s:g} s, are "
            "not part of the run"
        )

    def _refuse_foreign(self) -> None:
        """Raise `RunFolderError` if the folder contains objects but no run."""
        if self._copy.head is None and not (self._copy.folder / "manifest.json").exists():
            found = [name for name in self._store.names("") if not name.startswith(".")]
            if found:
                raise RunFolderError(
                    f"{self._store.url}: contains {found[0]!r:.80} but no manifest.json, so it is "
                    "not a run folder; specify a new or empty folder"
                )

    def _refuse_live_run(self) -> None:
        """Raise `RunFolderError` if another process is writing a run to the folder."""
        head = self._copy.head.header if self._copy.head else None
        if head is None or head.purpose != "run" or head.released:
            return
        with suppress(ValueError):
            age_s = (datetime.now(UTC) - datetime.fromisoformat(head.at)).total_seconds()
            if age_s > DEAD_AFTER_S:
                return
        raise RunFolderError(
            f"{self._store.url}: process {head.process} on {head.host} is writing this run; wait "
            f"until that process ends or, if it was killed, for {DEAD_AFTER_S:.0f} s"
        )

    def _is_complete(self) -> bool:
        with suppress(OSError, ValueError):
            manifest: Any = json.loads((self._copy.folder / "manifest.json").read_bytes())
            return isinstance(manifest, dict) and manifest.get("complete") is True  # pyright: ignore
        return False

    def _publish(self, state: FolderState) -> None:
        """Write all files that have changed as ordinary objects, with the manifest last."""
        digests = {path: digest for path, (_, digest) in state.known().items()}
        for path in sorted(digests, key=lambda path: (path == "manifest.json", path)):
            if self._published.get(path) != digests[path]:
                self._store.upload(self._copy.folder / path, path)
        for path in self._published.keys() - digests.keys():
            self._store.delete(path)
        self._published = digests
