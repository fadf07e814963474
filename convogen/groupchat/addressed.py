"""The schema and the parser of utterances with an addressee."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convogen.generation.structured_output import find_json
from convogen.models.base import printable
from convogen.text.speakers import person_named

__all__ = ["ALL", "addressed_schema", "split_addressee"]

ALL = "all"
"""The addressee of an utterance that is meant for everybody."""


def addressed_schema(others: Sequence[str]) -> dict[str, Any]:
    """Return the JSON Schema for an utterance by a person who talks to `others`."""
    return {
        "type": "object",
        "properties": {
            "to": {"type": "string", "enum": [*others, ALL]},
            "text": {"type": "string"},
        },
        "required": ["to", "text"],
        "additionalProperties": False,
    }


def split_addressee(reply: str, others: Sequence[str]) -> tuple[str, str | None]:
    """Return the utterance in a reply, and its addressee: a name, `all`, or None if no addressee is
    stated.

    A reply without a JSON object is the utterance itself.
    """
    found = find_json(reply, ("to", "text"))
    text = found.get("text") if found else None
    if found is None or not isinstance(text, str):
        return reply, None
    to = found.get("to")
    if not isinstance(to, str):
        return printable(text), None
    if to.strip().casefold() == ALL:
        return printable(text), ALL
    return printable(text), person_named(to, others)
