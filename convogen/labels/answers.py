"""An answer as exported by a labelling tool, before it is checked against the questions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

__all__ = ["Answer", "as_mapping", "plain"]


@dataclass(frozen=True, slots=True)
class Answer:
    """An annotator's answer to one question about a conversation.

    Attributes:
        place: Location of the answer in the export, for error messages.
        conversation: The id of the conversation.
        annotator: The labelling tool's code for the annotator.
        question: The name of the question.
        value: The answer: a number, a string or a list of strings if the export is valid.
    """

    place: str
    conversation: str
    annotator: str
    question: str
    value: Any


def as_mapping(value: object) -> dict[str, Any]:
    """Return the value if it is a JSON object, otherwise an empty dict."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def plain(value: Any) -> Any:
    """Return a value after unwrapping it from lists with a single entry."""
    if not isinstance(value, list):
        return value
    entries = cast("list[Any]", value)
    if len(entries) == 1:
        return plain(entries[0])
    return entries
