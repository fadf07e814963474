"""An answer as exported by a labelling tool, before it is checked against the questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

__all__ = ["Answer", "as_mapping", "plain"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; its value is a number, a string or a list of strings.

    Attributes:
        place: Location in the export, for messages.
        conversation: The id of the conversation.
        annotator: The tool's code for the person.
        question: The name of the question.
        value: The answer.
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
    """Return a value, unwrapped from lists with a single entry."""
    if not isinstance(value, list):
        return value
    entries = cast("list[Any]", value)
    if len(entries) == 1:
        return plain(entries[0])
    return entries
