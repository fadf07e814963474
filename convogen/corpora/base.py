"""The base class of readers, which recognise the rows of a format and convert them.

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
    """Converts the rows of one format into conversations.

    Readers are picklable and do not change while they read, because other processes convert rows
    with them. `notes`, which `prepare` may set, tells users how a source is read, one line each.
    `licence` is the licence of the data set, for a reader of one data set only. `former` has
    earlier names of the format. If `parts` is set, no conversation spans two parts of its source
    (`Row.part`).
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
        """Return the share of a source's first rows that are of this format, 0 to 1.

        The first reader with a share above one half is chosen, or else the one with the largest.
        """
        return sum(self.fits(row.value) for row in rows) / len(rows) if rows else 0.0

    def prepare(self, rows: Sequence[Row]) -> None:  # noqa: B027 - most have nothing to learn
        """Learn from a source's first rows what single rows do not show."""

    def breaks(self, previous: Any, value: Any) -> bool:
        """Return whether a conversation begins with `value`, the row after `previous`."""
        del previous, value
        return True

    @abstractmethod
    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the conversations in a group of rows, one or more.

        Args:
            rows: the rows between two breaks, their values decoded.
            fallback: the id of a conversation without one.

        Raises:
            RowError: if the rows are not of this format; `line` names the row if not the first.
        """

    @property
    def groups(self) -> bool:
        """Whether a conversation may span several rows."""
        return type(self).breaks is not Reader.breaks


class KeyedReader(Reader):
    """A reader whose rows name their conversation and need not be adjacent."""

    @abstractmethod
    def key(self, value: Any) -> str | None:
        """Return the id of the conversation a row belongs to; None if it has none."""

    def breaks(self, previous: Any, value: Any) -> bool:
        return self.key(previous) != self.key(value)
