"""Which of the registered readers reads a source: told by its first rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convogen import registry
from convogen.corpora.base import Reader

__all__ = ["readers", "recognise"]


def readers(name: str | None = None) -> list[Reader]:
    """Return all readers in the order they are tried, or those that a format's name stands for."""
    found: list[Reader] = [registry.load("readers", known)() for known in registry.names("readers")]
    return [reader for reader in found if name in (None, reader.name, *reader.former)]


def recognise(values: Sequence[Any], name: str | None = None) -> Reader | None:
    """Return the first reader, of those with this name, that one of the rows' values is for."""
    candidates = readers(name)
    for value in values:
        for reader in candidates:
            if reader.fits(value):
                return reader
    return None
