"""The base class of exporters.

An `Exporter` is a frozen pydantic model whose fields are its options on the command line. It turns
an item (a conversation with its context) into rows; `container` is the file format of the rows, and
`pack` converts them if the export is for a tool. A package adds an exporter with an entry point in
the group `convogen.exporters`.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from pydantic import BaseModel, ConfigDict

from convogen.records import Conversation, Experience, Score

__all__ = [
    "CONTEXT",
    "LABEL",
    "TURN",
    "Column",
    "Container",
    "Exporter",
    "Item",
    "Packing",
    "context_values",
    "given_labels",
    "without_folders",
]

Column = str | list[Any] | dict[str, Any]
"""The type of a column: `string`, `int64`, `float64` or `bool`; `[T]` for a list of T; a mapping of
names to types for an object. Any value may be null."""

Container = Literal["jsonl", "parquet", "csv", "hf"]

TURN: Column = {"speaker": "string", "text": "string"}

CONTEXT = "context_"
"""Prefix of a context label's column if the label has the name of another column."""


LABEL = "label_"
"""Prefix of the column of a label that a model gave a conversation; the label's kind follows."""


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation, the experience it was played from, and its scores if they are joined.

    `alternatives` are other conversations with the same beginning, for exporters that compare.
    """

    conversation: Conversation
    experience: Experience | None = None
    scores: tuple[Score, ...] = ()
    alternatives: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Packing:
    """The input of `Exporter.pack`.

    Attributes:
        folder: Folder to write to; nobody else reads it before it is complete.
        rows: The rows, one JSON object per line, in the order of the run.
        manifest: The run's manifest.
        description: The content of `export.json`.
    """

    folder: Path
    rows: Path
    manifest: Mapping[str, Any]
    description: Mapping[str, Any]


class Exporter(BaseModel, ABC):
    """Base of all exporters; unknown options are rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    container: ClassVar[Container]
    with_context: ClassVar[bool] = True
    """Whether labels of a conversation, from a model or its context, are separate columns."""

    row_per_turn: ClassVar[bool] = False
    """Whether a row is a turn; if so, labels per turn are split over the rows."""

    about_rows: ClassVar[str]
    """Description of a row, for the card."""

    for_tool: ClassVar[str | None] = None
    """The tool that the export is made for; None for a data set.

    A tool reads a run as a whole: there are no splits and no joined columns, the container is
    `jsonl`, and `pack` converts its rows into the tool's own files.
    """

    loading: ClassVar[str] = ""
    """Instructions for reading the export with the tool, for the card: Markdown."""

    single_file: ClassVar[str | None] = None
    """The file suffix if the export is one file without a card, not a folder."""

    with_scores: ClassVar[bool] = False
    """Whether `Item.scores` has the scores of all judges, even if scores are not joined."""

    def check(self, speakers: Mapping[str, int]) -> None:
        """Raise `SourceError` if no conversation of a run fits these options.

        `speakers` has the number of conversations in which each name speaks.
        """

    @property
    def protects_cells(self) -> bool:
        """Whether CSV cells are protected against evaluation by spreadsheets."""
        return True

    @property
    def judged_by(self) -> str | None:
        """The judge whose scores rank `Item.alternatives`; None if each row uses one
        conversation."""
        return None

    @abstractmethod
    def columns(self) -> dict[str, Column]:
        """Return the columns of a row, without context labels and joined columns."""

    @abstractmethod
    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a conversation; none if these options leave it out.

        `counts` counts the changes from conversation to rows, by kind; `export.json` has the totals
        as `counts`.
        """

    def pack(self, packing: Packing) -> None:
        """Write the files of a tool; any remaining `packing.rows` is removed afterwards.

        A single-file export is written to the file `export` with its suffix.
        """
        raise NotImplementedError

    def wrote(self, path: Path) -> bool:
        """Return whether a single file is an unchanged export, which may be replaced."""
        del path
        return False

    def why_empty(self, counts: Mapping[str, int]) -> str:
        """Return why a complete run gave no rows, and what the user can do."""
        del counts
        return "these options leave out every conversation"


def context_values(
    conversation: Conversation, labels: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Return a conversation's labels as strings, by column; values of other types become JSON.

    `labels` maps the labels of the run to their columns.
    """
    for label, column in labels.items():
        value = conversation.context.get(label)
        yield column, None if value is None else _text(value)


def given_labels(
    conversation: Conversation, kinds: Mapping[str, Column], turn: int | None = None
) -> Iterator[tuple[str, Any]]:
    """Return the labels that a model gave a conversation, by column; with `turn`, those of this
    turn.

    `kinds` has the types of the columns: a string, or a list of strings for a label per turn.
    """
    for column, kind in kinds.items():
        label = (conversation.labelled or {}).get(column.removeprefix(LABEL))
        value: Any = None if label is None else label.value
        if value is not None and isinstance(kind, list):
            texts = [_text(one) for one in cast("list[Any]", value)]
            value = texts if turn is None else next(iter(texts[turn : turn + 1]), None)
        elif value is not None:
            value = _text(value)
        yield column, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_PATH = re.compile(r"(?:^|(?<=[\s('\"]))(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\]+[/\\])*([^\s/\\]+)")


def without_folders(text: str) -> str:
    """Return text, such as a model's name, with absolute paths replaced by file names."""
    return _PATH.sub(r"\1", text)
