"""The objects of a run folder on a store: listed, read, and created if they do not exist yet."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from convogen.errors import RunFolderError
from convogen.redaction import masked
from convogen.storage.remote.address import checked_url, open_file_system

__all__ = ["ObjectStore", "StoreError"]

_WITHOUT_FOLDERS = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl"})
"""Protocols of object stores, on which folders need not be created."""

_AT_ONCE = 64
"""Number of objects that are fetched together, which limits memory use."""


class StoreError(RunFolderError):
    """A store cannot be reached, refuses a request, or has lost an object."""


class ObjectStore:
    """The objects below a URL, named by their paths relative to the URL."""

    def __init__(self, url: str) -> None:
        self.url = checked_url(url)
        self._files, self._root = open_file_system(self.url)
        self._scheme = self.url.split("://", 1)[0]

    def where(self, name: str) -> str:
        """Return the URL of an object."""
        return f"{self.url}/{name}"

    def names(self, folder: str) -> list[str]:
        """Return the sorted names of the objects directly in a folder; the folder may be
        missing."""
        path = self._path(folder)
        with self._talking(folder, "listed"):
            self._files.invalidate_cache()
            try:
                found = cast("list[str]", self._files.ls(path, detail=False))
            except FileNotFoundError:
                return []
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in found if name != path)

    def tree(self) -> list[str]:
        """Return the paths of all objects, sorted."""
        with self._talking("", "listed"):
            self._files.invalidate_cache()
            found = cast("list[str]", self._files.find(self._root))
        start = len(self._root.rstrip("/")) + 1
        return sorted(name[start:] for name in found if len(name) > start)

    def read(self, names: Sequence[str]) -> Generator[bytes]:
        """Yield the content of objects, in the given order."""
        for first in range(0, len(names), _AT_ONCE):
            block = names[first : first + _AT_ONCE]
            paths = [self._path(name) for name in block]
            with self._talking(block[0], "read"):
                held = cast("dict[str, Any]", self._files.cat(paths, on_error="return"))
            for name, value in zip(block, held.values(), strict=True):
                with self._talking(name, "read"):
                    if isinstance(value, Exception):
                        raise value
                yield value

    def create(self, name: str, content: bytes) -> bool:
        """Write an object atomically if none has this name; return whether it was written."""
        path = self._path(name)
        with self._talking(name, "written"):
            self._make_parent(path)
            try:
                if self._scheme in ("file", "local"):
                    _link_new(Path(path), content)
                else:
                    self._files.pipe_file(path, content, mode="create")
            except FileExistsError:
                return False
        return True

    def upload(self, file: Path, name: str) -> None:
        """Write a file to an object, replacing the object's content."""
        path = self._path(name)
        with self._talking(name, "written"):
            self._make_parent(path)
            self._files.put_file(str(file), path)

    def download(self, name: str, file: Path) -> None:
        """Write an object's content to a file."""
        with self._talking(name, "read"):
            self._files.get_file(self._path(name), str(file))

    def delete(self, name: str) -> None:
        """Delete an object, if it exists."""
        with self._talking(name, "deleted"):
            try:
                self._files.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}" if name else self._root

    def _make_parent(self, path: str) -> None:
        if self._scheme not in _WITHOUT_FOLDERS:
            self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)

    @contextmanager
    def _talking(self, name: str, done: str) -> Generator[None]:
        """Raise `StoreError` for any error that a store's library raises in the block."""
        try:
            yield
        except RunFolderError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:300]
            what = self.where(name) if name else self.url
            raise StoreError(
                f"{what}: cannot be {done}: {type(error).__name__}: {masked(said)}"
            ) from error


def _link_new(path: Path, content: bytes) -> None:
    """Write a complete file under a new name; raises `FileExistsError` if the name is taken.

    The name is created as a hard link, which is atomic even on NFS and fails if the name is taken.
    """
    descriptor, name = tempfile.mkstemp(".new", ".", path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    finally:
        os.unlink(name)
