"""Run folders at URLs, which are copied to local folders and written back as the copies change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convogen.storage.remote.address import is_url
from convogen.storage.remote.shown import show_as

if TYPE_CHECKING:
    from convogen.storage.remote.mirror import Mirror, Purpose

__all__ = ["flushed", "local_copy", "mirrored", "run_folder"]

LOG = logging.getLogger("convogen.storage")

_MIRRORS: list[Mirror] = []


def local_copy(url: str) -> Path:
    """Return an up-to-date local copy of a run folder on a store.

    Raises `RunFolderError` if the store cannot be reached, or a part of the run is damaged.
    """
    from convogen.storage.remote.copies import LocalCopy
    from convogen.storage.remote.objects import ObjectStore

    copy = LocalCopy(ObjectStore(url))
    show_as(copy.folder, copy.store.url)
    return copy.read()


@contextmanager
def mirrored(
    url: str,
    purpose: Purpose,
    every_s: float | None = None,
    say: Callable[[str], None] = LOG.warning,
) -> Generator[Path]:
    """Yield a local copy of a run folder on a store; changes to the copy are written back.

    Changes are written back every `every_s` seconds while an event loop runs (`flushed`), and at
    the end of the block. If the store cannot be reached in between, the write is retried later and
    `say` is called with a message. Raises `RunFolderError` if the store cannot be opened, or cannot
    be written to at the end of the block.
    """
    from convogen.storage.remote.mirror import FLUSH_EVERY_S, Mirror

    mirror = Mirror(url, purpose, FLUSH_EVERY_S if every_s is None else every_s)
    mirror.say = say
    _MIRRORS.append(mirror)
    show_as(mirror.folder, mirror.url)
    try:
        yield mirror.folder
    finally:
        _MIRRORS.remove(mirror)
        mirror.close()


@asynccontextmanager
async def run_folder(out: str | Path) -> AsyncGenerator[Path]:
    """Yield a run's local folder: `out` or, for a URL, a copy that is regularly written back."""
    if not (isinstance(out, str) and is_url(out)):
        yield Path(out)
        return
    with mirrored(out, "run") as folder:
        async with flushed():
            yield folder


@asynccontextmanager
async def flushed() -> AsyncGenerator[None]:
    """Write back the changes of this process's open copies during the block.

    If another process has taken over a run, the block is cancelled and `RunFolderError` is raised.
    """
    if not _MIRRORS:
        yield
        return
    task = asyncio.current_task()
    assert task is not None
    failed: list[BaseException] = []

    def stop(error: BaseException) -> None:
        failed.append(error)
        task.cancel()

    flushing = asyncio.create_task(_flush_forever(list(_MIRRORS), stop))
    try:
        try:
            yield
        finally:
            flushing.cancel()
            await asyncio.wait([flushing])
    except asyncio.CancelledError:
        if not failed:
            raise
        task.uncancel()
        raise failed[0] from None


async def _flush_forever(mirrors: list[Mirror], stop: Callable[[BaseException], None]) -> None:
    from convogen.storage.remote.objects import StoreError

    away: set[Mirror] = set()
    try:
        while True:
            await asyncio.sleep(min(mirror.every_s for mirror in mirrors))
            for mirror in mirrors:
                if mirror.due and mirror.snapshot() is not None:
                    try:
                        await asyncio.to_thread(mirror.send)
                    except StoreError as error:
                        if mirror not in away:  # only once per outage
                            mirror.say(f"{error}; trying again")
                        away.add(mirror)
                        continue
                    if mirror in away:
                        away.remove(mirror)
                        mirror.say(f"{mirror.url}: can be written to again")
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - `flushed` raises it
        stop(error)
