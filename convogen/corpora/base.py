"""The base classes for readers. A reader recognises and converts rows in one format.

A package adds a reader with an entry point in the `convogen.readers` group. The reader is tried
after the built-in readers, or used directly if `--format` names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from convogen.corpora.rows import Row
from convogen.records import Conversation

__all__ = ["KeyedReader", "Reader"]


class Reader(ABC):
    """The base class for readers, which convert rows in one format to conversations.

    Readers must be picklable and must not change while they convert rows, because other processes
    use copies of the readers. `notes` tells users how a source is read, with one note per line;
    `prepare` may set `notes`. `licence` is the licence of the data set if the reader is for a
    single data set. `former` lists earlier names of the format. If `parts` is true, no conversation
    spans two parts of its source (`Row.part`).
    """

    name: ClassVar[str]
    about: ClassVar[str]
    licence: ClassVar[str | None] = None
    former: ClassVar[tuple[str, ...]] = ()
    parts: bool = True
    notes: tuple[str, ...] = ()

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Return whether a row's value is in this format.

        Args:
            value: the value that `convogen.corpora.rows.decode` returns, which is JSON data, a
                record or a line.
        """

    def share(self, rows: Sequence[Row]) -> float:
        """Return the share (0 to 1) of a source's first rows that are in this format.

        The first reader with a share above one half is chosen. If there is no such reader, the
        reader with the largest share is chosen.
        """
        return sum(self.fits(row.value) for row in rows) / len(rows) if rows else 0.0

    def prepare(self, rows: Sequence[Row]) -> None:  # noqa: B027 - most need no preparation
        """Adapt this reader to a source, given the source's first rows."""

    def breaks(self, previous: Any, value: Any) -> bool:
        """Return whether a new conversation begins with `value`, the value after `previous`."""
        del previous, value
        return True

    @abstractmethod
    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the conversations (one or more) in a group of rows.

        Args:
            rows: the rows between two breaks, with decoded values.
            fallback: the id to use for a conversation without an id.

        Raises:
            RowError: if the rows are not in this format; `line` is set if the bad row is not the
                first.
        """

    @property
    def groups(self) -> bool:
        """Whether a conversation may span several rows."""
        return type(self).breaks is not Reader.breaks


class KeyedReader(Reader):
    """A reader for rows that contain their conversation's id; the rows of a conversation need not
    be adjacent."""

    @abstractmethod
    def key(self, value: Any) -> str | None:
        """Return the id of a row's conversation; None if the row contains no such id."""

    def breaks(self, previous: Any, value: Any) -> bool:
        return self.key(previous) != self.key(value)
