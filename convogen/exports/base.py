"""What an exporter is.

An `Exporter` is a frozen pydantic model whose fields are its options on the command line. It turns
an item, a conversation with what belongs to it, into rows; `container` says what the rows are
written to. A package adds one with an entry point in the group `convogen.exporters`.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from convogen.types import Conversation, Experience, Score

__all__ = [
    "CONTEXT",
    "TURN",
    "Column",
    "Container",
    "Exporter",
    "Item",
    "context_values",
    "without_folders",
]

Column = str | list[Any] | dict[str, Any]
"""The type of a column: `string`, `int64`, `float64` or `bool`; `[T]` for a list of T; a mapping of
names to types for an object. Any value may be null."""

Container = Literal["jsonl", "parquet", "csv", "hf"]

TURN: Column = {"speaker": "string", "text": "string"}

CONTEXT = "context_"
"""Put before a label of a conversation's context where a column has its name."""


@dataclass(frozen=True, slots=True)
class Item:
    """A conversation, the experience it was played from, and its scores where they are joined."""

    conversation: Conversation
    experience: Experience | None = None
    scores: tuple[Score, ...] = ()


class Exporter(BaseModel, ABC):
    """Base of all exporters; unknown options are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    container: ClassVar[Container]
    with_context: ClassVar[bool] = True
    """Whether the labels of a conversation's context are columns of their own."""

    about_rows: ClassVar[str]
    """What a row is, for the card."""

    def check(self, speakers: Mapping[str, int]) -> None:
        """Raise `SourceError` where these options fit no conversation of a run.

        `speakers` has the number of conversations in which each name speaks.
        """

    @abstractmethod
    def columns(self) -> dict[str, Column]:
        """The columns of a row, without those of the context and those joined."""

    @abstractmethod
    def rows(self, item: Item) -> Iterator[dict[str, Any]]:
        """The rows of a conversation; none where these options leave it out."""


def context_values(
    conversation: Conversation, labels: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """A conversation's labels as texts, by column; what is no text is written as JSON.

    `labels` maps the labels of the run to their columns.
    """
    for label, column in labels.items():
        value = conversation.context.get(label)
        plain = value is None or isinstance(value, str)
        yield column, value if plain else json.dumps(value, ensure_ascii=False)


_PATH = re.compile(r"(?:^|(?<=[\s('\"]))(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\]+[/\\])*([^\s/\\]+)")


def without_folders(text: str) -> str:
    """A text, such as a model's name, with the names of files in place of absolute paths."""
    return _PATH.sub(r"\1", text)
