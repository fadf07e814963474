"""What a reader is: it recognises the rows of a format and makes conversations of them.

A package adds one with an entry point in the group `convogen.readers`; it is tried after the
built-in readers, or used at once if `--format` names it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from convogen.corpora.rows import Row
from convogen.types import Conversation

__all__ = ["Reader"]


class Reader(ABC):
    """Makes conversations of the rows of one format.

    Readers have no state of their own that reading changes, and are picklable: other processes
    convert rows with them. `licence` is the terms under which a data set was published that only
    this reader can read. `former` has names under which `--format` found these rows before.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    licence: ClassVar[str | None] = None
    former: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Return whether the value of a row is of this format.

        Args:
            value: what `convogen.corpora.rows.decode` gives: JSON data, a record, or a line.
        """

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
