"""Choice of a registered reader for a source, based on the source's first rows."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any

from convogen.corpora.base import Reader
from convogen.corpora.rows import Row
from convogen.errors import PluginError
from convogen.plugins import registry

__all__ = ["readers", "recognise"]

_LOG = logging.getLogger(__name__)


def readers(name: str | None = None) -> list[Reader]:
    """Return all readers in the order in which they are tried; if `name` is given, only the readers
    for that format."""
    found = [kind() for kind in _kinds()]
    return [reader for reader in found if name in (None, reader.name, *reader.former)]


@cache
def _kinds() -> tuple[type[Reader], ...]:
    return tuple(registry.load("readers", name) for name in registry.names("readers"))


def recognise(values: Sequence[Any], name: str | None = None) -> Reader | None:
    """Return the reader that fits these row values; None if no reader fits.

    This is the first reader that fits more than half of the values, or else the reader that fits
    the largest share of the values. If `name` is given, only readers for that format are tried.
    """
    return reader_for([Row(line, value) for line, value in enumerate(values, 1)], name)


def reader_for(rows: Sequence[Row], name: str | None = None) -> Reader | None:
    """Return the prepared reader for a source that begins with these rows; None if none fits."""
    best: tuple[float, Reader | None] = (0.0, None)
    for reader in readers(name):
        try:
            with registry.blaming("readers", reader.name):
                share = float(reader.share(rows))
        except PluginError as error:
            if name is not None:
                raise
            _tell(str(error))
            continue
        if share > best[0]:
            best = (share, reader)
        if share > 1 / 2:
            break
    if best[1] is not None:
        best[1].prepare(rows)
    return best[1]


@cache
def _tell(line: str) -> None:
    """Log, only once, the error in a plugin that the user did not name."""
    _LOG.warning("%s", line)
