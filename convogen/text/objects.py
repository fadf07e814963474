"""Lenient parsing of JSON objects in models' replies.

Only unambiguous deviations are accepted: commas before a closing bracket, raw line breaks within
strings, and an object that is wrapped in a single key. An unclosed object counts as cut off; it is
rejected, never completed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, cast

from convogen.redaction import without_secrets

__all__ = ["NoObject", "find_object", "is_blank_loop"]

MOST_OBJECTS = 20
"""Maximum number of opening braces at which parsing is attempted."""

MOST_WRAPPERS = 3
"""Maximum number of nested objects that are searched for the keys, including the innermost."""

BLANK_LOOP = 200
"""Maximum number of white-space characters at the end of a reply. A reply that ends in more of them
counts as a loop. Escape sequences count too, since white space in a JSON string is escaped."""

_REVERSED_BLANK = re.compile(r"\\?(?:[nrt]\\|\s)*+")

_TEXT = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_BRACE = re.compile(rf"{_TEXT}|[{{}}]", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_TEXT})|,(?=\s*+[}}\]])", re.DOTALL)


class NoObject(ValueError):
    """Raised if a text contains no JSON object, with a reason that is worded for the model.

    `unclosed` is True if an object begins but does not end.
    """

    def __init__(self, why: str, *, unclosed: bool = False) -> None:
        super().__init__(why)
        self.unclosed = unclosed


def find_object(text: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Return the first JSON object in a text, with or without prose or a code fence around it.

    Secrets that were escaped in the text are masked.

    Args:
        text: A reply.
        keys: Keys that the object should have. If the object has only one key, which is not among
            `keys`, and contains an object with any of `keys`, the inner object is returned.

    Raises:
        NoObject: The text contains no object, or the object is malformed or cut off.
    """
    begin, why = text.find("{"), "it holds no JSON object"
    for _ in range(MOST_OBJECTS):
        if begin < 0:
            break
        end = _end(text, begin)
        if end is None:
            raise NoObject("its JSON object is not closed", unclosed=True)
        try:
            return without_secrets(_unwrapped(_read(text[begin:end]), keys))
        except (ValueError, RecursionError) as error:
            if re.match(r'\{\s*+["{}]', text[begin:]):
                detail = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"
                why = f"its JSON object is broken ({detail})"
        begin = text.find("{", end)
    raise NoObject(why)


def is_blank_loop(text: str) -> bool:
    """Return whether a reply ends in so much white space that the model must have been looping."""
    blank = _REVERSED_BLANK.match(text[::-1])
    return blank is not None and blank.end() > BLANK_LOOP


def _end(text: str, begin: int) -> int | None:
    """Return the index after the brace that closes the brace at `begin`, or None.

    Braces in strings are ignored.
    """
    depth = 0
    for mark in _BRACE.finditer(text, begin):
        if mark[0] == "{":
            depth += 1
        elif mark[0] == "}":
            depth -= 1
            if depth == 0:
                return mark.end()
    return None


def _read(text: str) -> dict[str, Any]:
    try:
        found: Any = json.loads(text, strict=False)
    except ValueError:
        found = json.loads(_TRAILING_COMMA.sub(lambda match: match[1] or "", text), strict=False)
    return cast("dict[str, Any]", found)


def _unwrapped(parsed: dict[str, Any], keys: Collection[str]) -> dict[str, Any]:
    inner: Any = parsed
    for _ in range(MOST_WRAPPERS):
        if not isinstance(inner, dict):
            break
        fields = cast("dict[str, Any]", inner)
        if not fields.keys().isdisjoint(keys):
            return fields
        if len(fields) != 1:
            break
        inner = next(iter(fields.values()))
        if isinstance(inner, list) and len(cast("list[Any]", inner)) == 1:
            inner = cast("list[Any]", inner)[0]
    return parsed
