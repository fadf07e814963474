"""The base class for exporters.

An `Exporter` is a frozen pydantic model whose fields are its command-line options. An exporter
converts an item (a conversation with its context) to rows. `container` is the file format of the
rows. If the export is for a tool, `pack` converts the rows to the tool's files. A package adds an
exporter with an entry point in the `convogen.exporters` group.
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
"""The type of a column: `string`, `int64`, `float64`, `bool`, `[T]` (a list of T) or a mapping from
names to types (an object). Any value may be null."""

Container = Literal["jsonl", "parquet", "csv", "hf"]

TURN: Column = {"speaker": "string", "text": "string"}

CONTEXT = "context_"
"""Prefix for the name of a context label's column if the label has the same name as another
column."""


LABEL = "label_"
"""Prefix for the name of a column with labels that a model assigned; the kind of label follows."""


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation with the experience from which it was played, and with any joined scores.

    `alternatives` are other conversations with the same beginning, for exporters that compare
    conversations.
    """

    conversation: Conversation
    experience: Experience | None = None
    scores: tuple[Score, ...] = ()
    alternatives: tuple[Item, ...] = ()


@dataclass(frozen=True, slots=True)
class Packing:
    """The input of `Exporter.pack`.

    Attributes:
        folder: Folder to write to; nothing else reads the folder before it is complete.
        rows: The rows, one JSON object per line, in the order of the run.
        manifest: The run's manifest.
        description: The content of `export.json`.
    """

    folder: Path
    rows: Path
    manifest: Mapping[str, Any]
    description: Mapping[str, Any]


class Exporter(BaseModel, ABC):
    """The base class for all exporters, which reject unknown options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    container: ClassVar[Container]
    with_context: ClassVar[bool] = True
    """Whether a conversation's labels, from a model or from its context, are separate columns."""

    row_per_turn: ClassVar[bool] = False
    """Whether each row is a turn; if so, a row contains only the turn labels for its own turn."""

    about_rows: ClassVar[str]
    """Description of the rows, for the data card."""

    for_tool: ClassVar[str | None] = None
    """The tool for which the export is made; None for a data set.

    An export for a tool contains the whole run, without splits and joined columns. Its container is
    `jsonl`, and `pack` converts the rows to the tool's own files.
    """

    loading: ClassVar[str] = ""
    """Instructions for loading the export into the tool, in Markdown for the card."""

    single_file: ClassVar[str | None] = None
    """The file suffix if the export is a single file without a card; None for a folder."""

    with_scores: ClassVar[bool] = False
    """Whether `Item.scores` contains the scores from all judges, even if scores are not joined."""

    def check(self, speakers: Mapping[str, int]) -> None:
        """Raise `SourceError` if no conversation in a run fits these options.

        `speakers` maps each speaker's name to the number of conversations in which the name occurs.
        """

    @property
    def protects_cells(self) -> bool:
        """Whether CSV cells are protected against evaluation as spreadsheet formulas."""
        return True

    @property
    def judged_by(self) -> str | None:
        """The judge whose scores rank `Item.alternatives`; None if no alternatives are compared."""
        return None

    @abstractmethod
    def columns(self) -> dict[str, Column]:
        """Return the columns of a row with their types, without context labels and joined
        columns."""

    @abstractmethod
    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        """Yield the rows for a conversation; no rows if these options exclude the conversation.

        `counts` receives, for each kind of difference between the conversation and the rows, the
        number of differences; `export.json` contains the totals as `counts`.
        """

    def pack(self, packing: Packing) -> None:
        """Write the tool's files; `packing.rows` is removed afterwards if it still exists.

        A single-file export is written to a file with the name `export` and the exporter's suffix.
        """
        raise NotImplementedError

    def wrote(self, path: Path) -> bool:
        """Return whether a file is an unchanged single-file export, which may be replaced."""
        del path
        return False

    def why_empty(self, counts: Mapping[str, int]) -> str:
        """Return a message that explains why no conversation has rows and what the user can do."""
        del counts
        return "these options leave out every conversation; choose other options"


def context_values(
    conversation: Conversation, labels: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Yield each context label's column and its value as a string; other types become JSON.

    `labels` maps the context labels in the run to their columns.
    """
    for label, column in labels.items():
        value = conversation.context.get(label)
        yield column, None if value is None else _text(value)


def given_labels(
    conversation: Conversation, kinds: Mapping[str, Column], turn: int | None = None
) -> Iterator[tuple[str, Any]]:
    """Yield each model-assigned label's column and its value; if `turn` is given, the value for
    that turn.

    `kinds` maps each column to its type: a string, or a list of strings for labels of single turns.
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
