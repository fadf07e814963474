"""An answer as a labelling tool exports it, before it is held against the questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

__all__ = ["Answer", "as_mapping", "plain"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A value that somebody gave: a number, a text or a list of texts.

    Attributes:
        place: Where it stands in the export, for messages.
        conversation: The id of the conversation.
        annotator: The tool's code of the person.
        question: The name of the question.
        value: What was answered.
    """

    place: str
    conversation: str
    annotator: str
    question: str
    value: Any


def as_mapping(value: object) -> dict[str, Any]:
    """Return a JSON object; empty if it is anything else."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def plain(value: Any) -> Any:
    """Return the one value in lists of one; texts of several lines as one text."""
    if not isinstance(value, list):
        return value
    entries = cast("list[Any]", value)
    if len(entries) == 1:
        return plain(entries[0])
    return entries
