"""The names of the keys in messages, and lists of messages in all notations.

A message has a key for the speaker and a key for the text. `SPEAKERS` and `TEXTS` list the usual
names for these keys, likeliest first. Names are compared without regard to case and punctuation
(`plain_key`).
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

__all__ = [
    "SPEAKERS",
    "are_messages",
    "keys_of",
    "listed",
    "pair_of",
    "plain_key",
    "plain_keys",
]

SPEAKERS = (
    "speaker", "speakername", "role", "from", "author", "agent", "sender", "sendername", "user",
    "speakerid", "speakers", "participant", "character", "username", "nickname", "name", "who",
)  # fmt: skip
TEXTS = (
    "text", "content", "value", "utterance", "message", "transcript", "utt", "body", "sentence",
    "msg", "said", "line", "parts", "data",
)  # fmt: skip
PAIRS = (
    ("human", "assistant"), ("user", "assistant"), ("user", "bot"), ("human", "gpt"),
    ("human", "bot"), ("question", "answer"), ("prompt", "response"), ("query", "response"),
    ("instruction", "output"), ("instruction", "response"), ("input", "output"),
)  # fmt: skip
"""Pairs of keys in an object that contains both a person's and a chatbot's utterance."""

_MAX_LITERAL = 200_000
"""Maximum length, in characters, of a string that is parsed as a Python literal.

The syntax tree of a string takes about a hundred times as much memory as the string.
"""


@lru_cache(4096)
def plain_key(key: str) -> str:
    """Return a key reduced to lower-case letters and digits."""
    return "".join(filter(str.isalnum, key.casefold()))


def plain_keys(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return a row's keys, keyed by their plain form; of several keys with the same plain form,
    only the first is returned."""
    return {plain_key(str(key)): key for key in reversed(list(row))}


@lru_cache(1024)
def keys_of(keys: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the keys of a message that may contain the speaker, and the keys that may contain the
    text."""
    plain = {plain_key(key): key for key in reversed(keys)}
    return (
        tuple(plain[name] for name in SPEAKERS if name in plain),
        tuple(plain[name] for name in TEXTS if name in plain),
    )


@lru_cache(1024)
def pair_of(keys: tuple[str, ...]) -> tuple[str, str] | None:
    plain = {plain_key(key): key for key in reversed(keys)}
    for first, second in PAIRS:
        if first in plain and second in plain:
            return plain[first], plain[second]
    return None


def are_messages(value: Any) -> bool:
    """Return whether `value` is a list of messages, each with a speaker and a text."""
    if not isinstance(value, list) or not value:
        return False
    return all(_is_message(item) for item in cast("list[Any]", value)[:20])


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    message = cast("dict[Any, Any]", item)
    keys = tuple(str(key) for key in message)
    speakers, texts = keys_of(keys)
    pair = pair_of(keys)
    if pair is not None and all(isinstance(message.get(key), str) for key in pair):
        return True
    if len(keys) == 1 and not texts and keys[0] not in SPEAKERS:
        return isinstance(next(iter(message.values())), str)
    return any(key not in texts for key in speakers) and bool(texts)


def listed(value: Any) -> list[Any] | None:
    """Return the list in a column, which may be a list, a string of JSON or Python, or an object of
    lists; None if the column contains no list.

    For example, `{"speaker": ["A", "B"], "text": ["x", "y"]}` is read as a list of two objects.
    """
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if items and all(isinstance(item, str) and item[:1] == "{" for item in items):
            objects = [_written(f"[{item}]") for item in items]
            if all(found and isinstance(found[0], dict) for found in objects):
                return [found[0] for found in objects if found]
        return items
    if isinstance(value, str):
        return _written(value.strip())
    if isinstance(value, dict):
        columns: dict[str, list[Any]] = {
            key: cast("list[Any]", items)
            for key, items in cast("dict[str, Any]", value).items()
            if isinstance(items, list)
        }
        speakers, said = keys_of(tuple(columns))
        if speakers and said and len({len(items) for items in columns.values()}) == 1:
            rows = zip(*columns.values(), strict=True)
            return [dict(zip(columns, row, strict=True)) for row in rows]
    return None


def _written(text: str) -> list[Any] | None:
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        if len(text) > _MAX_LITERAL:
            return None
        value = _literal(text) or _literal(text.replace("}\n {", "}, {"))
    return cast("list[Any]", value) if isinstance(value, list) else None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
