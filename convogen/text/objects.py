"""JSON objects in models' replies: found and parsed leniently, but never completed.

Only unambiguous deviations are accepted: commas before a closing bracket, raw line breaks within
strings, an object within one wrapping key. An object that is not closed was cut off, and no part of
it is returned.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Any, cast

from convogen.redaction import without_secrets

__all__ = ["NoObject", "find_object", "is_blank_loop"]

MOST_OBJECTS = 20
"""Maximum number of braces at which parsing an object is tried."""

MOST_WRAPPERS = 3
"""Maximum nesting of single-key objects that are unwrapped, the innermost included."""

BLANK_LOOP = 200
"""Number of white-space characters at the end of a reply from which it counts as a loop; within a
JSON string, they are written as escapes."""

_REVERSED_BLANK = re.compile(r"\\?(?:[nrt]\\|\s)*+")

_TEXT = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
_BRACE = re.compile(rf"{_TEXT}|[{{}}]", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"({_TEXT})|,(?=\s*+[}}\]])", re.DOTALL)


class NoObject(ValueError):
    """Raised if a text holds no JSON object; the reason is worded for the model.

    `unclosed` says whether an object begins but does not end.
    """

    def __init__(self, why: str, *, unclosed: bool = False) -> None:
        super().__init__(why)
        self.unclosed = unclosed


def find_object(text: str, keys: Collection[str] = ()) -> dict[str, Any]:
    """Return the first JSON object in a text, with or without prose or a code fence around it.

    Secrets that were escaped in the text are masked.

    Args:
        text: A reply.
        keys: Keys that the object should have. An object with any of them is unwrapped if it is
            inside an object whose single key is none of them.

    Raises:
        NoObject: If there is none, or it is broken or cut off.
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
    """Return whether a reply ends in so much white space that its model was in a loop."""
    blank = _REVERSED_BLANK.match(text[::-1])
    return blank is not None and blank.end() > BLANK_LOOP


def _end(text: str, begin: int) -> int | None:
    """Return the index after the brace that closes the one at `begin`, ignoring braces in strings.

    None if it is not closed.
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
