"""Object stores for tests: an in-memory store that dies or fails at a write, and moto's S3
server."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

__all__ = ["PRIVATE", "Died", "FragileStore", "moto_server"]

PRIVATE = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"


class Died(BaseException):
    """The process is dead; none of its later requests reach the store."""


class FragileStore(MemoryFileSystem):
    """An object store in memory (`fragile://`) that counts writes.

    The process dies at the write `dies_at`, before the write takes effect. The write `loses` takes
    effect, but its answer is an error. The `away` writes after it also fail, without effect.
    `unconditional` replaces objects that should only be created.
    """

    protocol = "fragile"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    one_at_a_time: ClassVar[threading.Lock] = threading.Lock()
    writes: ClassVar[int] = 0
    dies_at: ClassVar[int] = -1
    loses: ClassVar[int] = -1
    away: ClassVar[int] = 0
    unconditional: ClassVar[bool] = False

    @classmethod
    def reset(
        cls, dies_at: int = -1, *, loses: int = -1, away: int = 0, unconditional: bool = False
    ) -> None:
        """Restart the count, and keep the objects."""
        cls.writes, cls.dies_at, cls.loses = 0, dies_at, loses
        cls.away, cls.unconditional = away, unconditional

    @classmethod
    def clear(cls) -> None:
        """Delete all objects, and restart the count."""
        cls.store.clear()
        cls.pseudo_dirs[:] = [""]
        cls.reset()

    @classmethod
    def objects(cls) -> dict[str, bytes]:
        """Return the content of each object by its path."""
        return {name: file.getvalue() for name, file in cls.store.items()}

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(path.replace("fragile://", "memory://", 1))

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._alive()
        return super().ls(path, detail, **options)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        mode = "overwrite" if self.unconditional else mode
        self._write(lambda: super(FragileStore, self).pipe_file(path, value, mode, **options))

    def put_file(self, lpath: str, rpath: str, **options: Any) -> None:
        self._write(lambda: super(FragileStore, self).put_file(lpath, rpath, **options))

    def rm_file(self, path: str) -> None:
        self._write(lambda: super(FragileStore, self).rm_file(path))

    def _alive(self) -> None:
        if 0 < self.dies_at <= self.writes:
            raise Died

    def _write(self, act: Callable[[], None]) -> None:
        with self.one_at_a_time:
            type(self).writes += 1
            self._alive()
            if self.loses < self.writes <= self.loses + self.away:
                raise TimeoutError("no answer")
            act()
        if self.writes == self.loses:
            raise TimeoutError("no answer")


fsspec.register_implementation("fragile", FragileStore, clobber=True)


@contextmanager
def moto_server() -> Iterator[str]:
    """Return the URL of an S3 server on this machine, with a bucket named `bucket`."""
    server = pytest.importorskip("moto.server", reason="needs moto")
    s3fs = pytest.importorskip("s3fs", reason="needs s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    try:
        host, port = running.get_host_and_port()
        url = f"http://{host}:{port}"
        files = s3fs.S3FileSystem(
            key="key", secret=PRIVATE, endpoint_url=url, skip_instance_cache=True
        )
        files.mkdir("bucket")
        yield url
    finally:
        running.stop()
