"""A reader for rows that each contain several conversations, such as episodes with scenes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from convogen.corpora.base import Reader
from convogen.corpora.findings import NESTED
from convogen.corpora.formats import recognise
from convogen.corpora.keys import plain_key
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import as_dict, labels, leave_out
from convogen.records import Conversation

__all__ = ["Nested"]

_LISTS = (
    "scenes", "episodes", "dialogues", "dialogs", "conversations", "sessions", "chats", "list",
    "previousdialogs", "threads", "rows", "data", "examples",
)  # fmt: skip
_DEPTH = 3


class Nested(Reader):
    """Lists of conversations in known formats, and EmoryNLP's episodes."""

    name: ClassVar[str] = "nested"
    about: ClassVar[str] = (
        "several conversations per row, such as the scenes of an episode (EmoryNLP)"
    )

    def fits(self, value: Any) -> bool:
        return self._fits(value, _DEPTH)

    def _fits(self, value: Any, depth: int) -> bool:
        items = _items(value)
        if not items or not depth:
            return False
        return any(self._fits(item, depth - 1) or _known(item) for item in items[:3])

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        row = as_dict(rows[0].value, "the row")
        items = _items(row)
        if not items:
            raise RowError(
                f"the row must have a list of conversations; its keys are: "
                f"{', '.join(map(repr, row)) or 'none'}"
            )
        shared = labels(row, (key for key, value in row.items() if isinstance(value, list | dict)))
        conversations: list[Conversation] = []
        fault: RowError | None = None
        unreadable = 0
        for number, item in enumerate(items, 1):
            reader = self if self._fits(item, _DEPTH) else recognise([item])
            try:
                if reader is None:
                    raise RowError(f"element {number} of the list is not in a known format")
                ones = reader.convert([Row(rows[0].line, item)], f"{fallback}-{number}")
            except RowError as error:
                fault = fault or error
                unreadable += 1
                continue
            conversations += [
                one.model_copy(update={"context": shared | one.context}) for one in ones
            ]
        if not conversations:
            raise fault or RowError("the list contains no conversations")
        leave_out({NESTED: unreadable})
        return conversations


def _items(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        return []
    row = cast("Mapping[str, Any]", value)
    for key, items in row.items():
        if plain_key(str(key)) in _LISTS and isinstance(items, list):
            elements = cast("list[Any]", items)
            if elements and all(isinstance(item, dict | list) for item in elements):
                return elements
    return []


def _known(value: Any) -> bool:
    reader = recognise([value])
    return reader is not None and not isinstance(reader, Nested) and not reader.groups
