"""Lists of messages, whatever their keys are called: who said what, and what nobody said.

A message has a key for who speaks and one for the text; `SPEAKERS` and `TEXTS` have their names,
the likeliest first. Names are compared without case and punctuation (`plain_key`).
"""

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, cast

from convogen.corpora.rows import RowError
from convogen.corpora.turns import as_dict
from convogen.speakers import agent_keys
from convogen.types import Turn

__all__ = [
    "Messages",
    "are_messages",
    "keys_of",
    "listed",
    "plain_key",
    "plain_keys",
    "read_messages",
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
"""Keys of what a person and a chatbot said where one object holds both."""

NAMES = ("nickname", "displayname", "realname", "globalname", "name", "username", "role", "id")
"""Keys of an object that stands for a speaker."""

SYSTEM = frozenset(("system", "developer"))
TOOLS = frozenset(
    (
        "tool", "tools", "function", "functioncall", "functionresponse", "functionresult",
        "observation", "toolcall", "toolcalls", "toolresponse", "toolresult", "tooloutput",
        "ipython", "environment",
    )
)  # fmt: skip
_CALLS = ("tool_calls", "function_call")
_ROLE_KEYS = frozenset(("role", "from"))
_SPOKEN = frozenset(
    (
        "thread_broadcast",
        "bot_message",
        "me_message",
        "file_share",
        "file_comment",
        "reply_broadcast",
    )
)
"""Subtypes of Slack's messages that people wrote."""
_WRITTEN = frozenset(("Default", "Reply", "ChatInputCommand", "0", "19"))
"""Types of Discord's messages that people wrote."""

_MAX_LITERAL = 200_000
"""The longest text that is read as Python's notation: its tree takes a hundred times the memory."""


@lru_cache(4096)
def plain_key(key: str) -> str:
    """Return a key in small letters and digits alone."""
    return "".join(filter(str.isalnum, key.casefold()))


def plain_keys(row: Mapping[Any, Any]) -> dict[str, str]:
    """Return a row's keys by their plain form; of two that are alike the first."""
    return {plain_key(str(key)): key for key in reversed(list(row))}


@lru_cache(1024)
def keys_of(keys: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which of a message's keys may hold the speaker, and which the text."""
    plain = {plain_key(key): key for key in reversed(keys)}
    return (
        tuple(plain[name] for name in SPEAKERS if name in plain),
        tuple(plain[name] for name in TEXTS if name in plain),
    )


@lru_cache(1024)
def _pair_of(keys: tuple[str, ...]) -> tuple[str, str] | None:
    plain = {plain_key(key): key for key in reversed(keys)}
    for first, second in PAIRS:
        if first in plain and second in plain:
            return plain[first], plain[second]
    return None


def are_messages(value: Any) -> bool:
    """Return whether a list holds messages, which name a speaker and have a text."""
    if not isinstance(value, list) or not value:
        return False
    return all(_is_message(item) for item in cast("list[Any]", value)[:20])


def _is_message(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    message = cast("dict[Any, Any]", item)
    keys = tuple(str(key) for key in message)
    speakers, said = keys_of(keys)
    pair = _pair_of(keys)
    if pair is not None and all(isinstance(message.get(key), str) for key in pair):
        return True
    if len(keys) == 1 and not said and keys[0] not in SPEAKERS:
        return isinstance(next(iter(message.values())), str)
    return any(key not in said for key in speakers) and bool(said)


def listed(value: Any) -> list[Any] | None:
    """Return a list that a column holds: itself, written as JSON or Python, or field by field.

    `{"speaker": ["A", "B"], "text": ["x", "y"]}` is a list of two objects.
    """
    if isinstance(value, list):
        return cast("list[Any]", value)
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


@dataclass
class Messages:
    """What a list of messages holds: the turns, the system's words, and counts of the rest."""

    turns: list[Turn] = field(default_factory=list[Turn])
    system: list[str] = field(default_factory=list[str])
    left_out: Counter[str] = field(default_factory=Counter[str])

    @property
    def labels(self) -> dict[str, Any]:
        """`{"system": …}` if there was a system message."""
        return {"system": "\n".join(self.system)} if self.system else {}


def read_messages(items: Sequence[Any], what: str = "message") -> Messages:
    """Read messages into turns.

    A system message is no turn but a label; what tools were asked and answered, and notices, are
    counted. A message without text is an empty turn. The parts of a content are joined if they are
    text.

    Args:
        items: the messages; objects that hold a question and its answer are two.
        what: how an error calls one of them.

    Raises:
        RowError: an item is no message.
    """
    found = Messages()
    names = _profiles(items)
    spoken = _system_speaks(items)
    for number, item in enumerate(items, 1):
        where = f"{what} {number}"
        for role_key, role, message, content in _messages(as_dict(item, where), where):
            kind = "" if role_key is None else _kind(role_key, role, message, content, spoken)
            if kind == "system":
                found.system.append(content or "")
            elif kind:
                found.left_out[kind] += 1
            else:
                chat = plain_key(role_key or "") in _ROLE_KEYS
                speaker, text = _named(message.get("name") if chat else None, content or "")
                found.turns.append(Turn(speaker=speaker or names.get(role, role), text=text))
    return found


def _messages(
    item: dict[str, Any], where: str
) -> Iterator[tuple[str | None, str, dict[str, Any], str | None]]:
    """The messages in an item, one or a pair: the speaker's key, the speaker, itself, its text."""
    keys = tuple(str(key) for key in item)
    speakers, said = keys_of(keys)
    speakers = tuple(key for key in speakers if key not in said)
    pair = _pair_of(keys)
    if pair is not None and not (speakers and said):
        for role, key in zip(("user", "assistant"), pair, strict=True):
            yield None, role, {}, _content(item[key], f"{key!r} of {where}")
    elif len(keys) == 1 and not said and keys[0] not in SPEAKERS:
        yield keys[0], keys[0], {}, _content(item[keys[0]], f"{keys[0]!r} of {where}")
    else:
        role_key = next((key for key in speakers if item[key] is not None), "")
        text_key = next((key for key in said if item[key] is not None), "")
        role = _speaker(item.get(role_key), f"{(role_key or 'speaker')!r} of {where}")
        if not said:
            keys_found = ", ".join(map(repr, keys[:8]))
            raise RowError(f"no text in {where}; its keys are {keys_found}")
        content = _content(item.get(text_key), f"{text_key!r} of {where}")
        yield role_key, role, item, content


def _kind(
    role_key: str, role: str, message: Mapping[str, Any], content: str | None, system: bool
) -> str:
    """What a message is if it is no speech: `system`, `tool` or `notice`; else empty."""
    plain = plain_key(role)
    chat = plain_key(role_key) in _ROLE_KEYS or plain_key(role_key) == plain
    if chat and plain in SYSTEM and not system:
        return "system"
    calls = any(message.get(key) is not None for key in _CALLS)
    if (chat and plain in TOOLS) or (calls and not (content or "").strip()):
        return "tool"
    subtype, kind = message.get("subtype"), message.get("type")
    if isinstance(subtype, str) and subtype not in _SPOKEN and "ts" in message:
        return "notice"
    if kind == "service" or (
        isinstance(message.get("author"), dict) and isinstance(kind, str) and kind not in _WRITTEN
    ):
        return "notice"
    return ""


def _system_speaks(items: Sequence[Any]) -> bool:
    """Whether `system` is one of two who talk, as in task-oriented dialogues."""
    roles: list[str] = []
    for item in items:
        role: Any = cast("dict[str, Any]", item).get("role") if isinstance(item, dict) else None
        if isinstance(role, str):
            roles.append(role.casefold())
    return len(set(roles)) == 2 and roles.count("system") > 1 and roles[0] != "system"


def _speaker(value: Any, what: str) -> str:
    if isinstance(value, dict):
        person = {plain_key(str(k)): v for k, v in cast("dict[Any, Any]", value).items()}
        value = next((person[name] for name in NAMES if isinstance(person.get(name), str)), None)
    if isinstance(value, list):
        value = ", ".join(str(name) for name in cast("list[Any]", value)) or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is None:
        raise RowError(f"no speaker: {what} is empty")
    if not isinstance(value, str):
        raise RowError(f"{what} is {type(value).__name__}, a string is expected")
    return value


def _named(name: Any, content: str) -> tuple[str | None, str]:
    """Who said a message, and what: a label `Name: ` in the text that `name` repeats is not said.

    There the label is the speaker; `name` may be an identifier made of it.
    """
    if not isinstance(name, str) or not name:
        return None, content
    label, colon, said = content.partition(": ")
    return (label, said) if colon and name in {label, *agent_keys([label])} else (name, content)


def _content(value: Any, what: str) -> str | None:
    """A message's text; None without one. Parts among which there are bare texts are one line."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        return _content(inner.get("content", inner.get("text", inner.get("parts"))), what)
    if not isinstance(value, list):
        raise RowError(f"{what} is {type(value).__name__}, a string is expected")
    parts = cast("list[Any]", value)
    bare = any(isinstance(part, str) for part in parts)
    said = [
        part if isinstance(part, str) else as_dict(part, f"a part of {what}").get("text")
        for part in parts
    ]
    texts = [text for text in said if isinstance(text, str)]
    return ("" if bare else "\n").join(texts) if texts else None


def _profiles(items: Sequence[Any]) -> dict[str, str]:
    """Who is behind the ids of Slack's members, as far as their messages tell."""
    names: dict[str, str] = {}
    for item in items:
        profile = (
            cast("dict[str, Any]", item).get("user_profile") if isinstance(item, dict) else None
        )
        if isinstance(profile, dict):
            name = cast("dict[str, Any]", profile).get("real_name")
            user = cast("dict[str, Any]", item).get("user")
            if isinstance(name, str) and name and isinstance(user, str):
                names[user] = name
    return names
