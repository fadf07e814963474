"""What a reader is: it recognises the rows of a format and makes conversations of them.

A package adds one with an entry point in the group `convogen.readers`; it is tried after the
built-in readers, or used at once if `--format` names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from convogen.corpora.rows import Row
from convogen.records import Conversation

__all__ = ["KeyedReader", "Reader"]


class Reader(ABC):
    """Makes conversations of the rows of one format.

    Readers are picklable, and do not change while they read: other processes convert rows with
    them. `notes`, which `prepare` may set, is what a user should know of how a source is read, a
    line each. `licence` is the terms under which a data set was published that only this reader can
    read. `former` has names under which `--format` found these rows before. With `parts` no
    conversation goes beyond a part of its source (`Row.part`).
    """

    name: ClassVar[str]
    about: ClassVar[str]
    licence: ClassVar[str | None] = None
    former: ClassVar[tuple[str, ...]] = ()
    parts: bool = True
    notes: tuple[str, ...] = ()

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Return whether the value of a row is of this format.

        Args:
            value: what `convogen.corpora.rows.decode` gives: JSON data, a record, or a line.
        """

    def share(self, rows: Sequence[Row]) -> float:
        """Return how many of a source's first rows are of this format, 0 to 1.

        The first reader of more than half is taken, or else the one of most.
        """
        return sum(self.fits(row.value) for row in rows) / len(rows) if rows else 0.0

    def prepare(self, rows: Sequence[Row]) -> None:  # noqa: B027 - most have nothing to learn
        """Learn from a source's first rows, before it is read, what single rows do not tell."""

    def breaks(self, previous: Any, value: Any) -> bool:
        """Return whether a conversation begins with `value`, the row after `previous`."""
        del previous, value
        return True

    @abstractmethod
    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the conversations in a group of rows, one or more.

        Args:
            rows: the rows between two breaks, their values decoded.
            fallback: the id of a conversation that has none of its own.

        Raises:
            RowError: the rows are not of this format; `line` names the row if not the first.
        """

    @property
    def groups(self) -> bool:
        """Whether a conversation may have several rows."""
        return type(self).breaks is not Reader.breaks


class KeyedReader(Reader):
    """A reader whose rows say which conversation they belong to, and need not stand together."""

    @abstractmethod
    def key(self, value: Any) -> str | None:
        """Return which conversation a row belongs to; None if the row does not say."""

    def breaks(self, previous: Any, value: Any) -> bool:
        return self.key(previous) != self.key(value)
