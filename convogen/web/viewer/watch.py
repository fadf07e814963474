"""Keeps the indexes of runs up to date while their pages are served."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from threading import Event, Thread

from convogen.errors import ConvogenError
from convogen.web.viewer.opened import Opened

__all__ = ["begin", "watching"]

LOG = logging.getLogger("convogen.view")
LOOK_AGAIN_S = 1.5


def begin(runs: Sequence[Opened]) -> None:
    """Read the first rows of each run, so that the first page shown is not empty."""
    for opened in runs:
        opened.scanner.begin()


@contextmanager
def watching(runs: Sequence[Opened]) -> Generator[None]:
    """Keep the indexes of runs up to date in a background thread until the block ends."""
    stop = Event()
    thread = Thread(target=_watch, args=(runs, stop), name="view-index", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def _watch(runs: Sequence[Opened], stop: Event) -> None:
    while not stop.is_set():
        more = [_step(opened) for opened in runs]
        if not any(more):
            stop.wait(LOOK_AGAIN_S)


def _step(opened: Opened) -> bool:
    """Read a batch of rows and return whether there was one; errors are logged, and the run is
    retried later."""
    try:
        return opened.scanner.step()
    except (OSError, sqlite3.Error, ConvogenError) as error:
        LOG.warning("the run cannot be read", extra={"run": opened.key, "detail": str(error)})
        return False
