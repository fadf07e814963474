"""Lists of messages with any keys, read as turns, system messages, tool calls and notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as default
from itertools import groupby
from typing import Any, cast

from convogen.corpora.keys import SPEAKERS, keys_of, pair_of, plain_key
from convogen.corpora.rows import RowError
from convogen.corpora.turns import as_dict, field
from convogen.records import Turn
from convogen.text.speakers import agent_keys

__all__ = ["Messages", "read_messages"]

NAMES = ("nickname", "displayname", "realname", "globalname", "name", "username", "role", "id")
"""Keys for the name in an object that represents a speaker, likeliest first."""

SYSTEM = frozenset(("system", "developer"))
TOOLS = frozenset(
    (
        "tool", "tools", "function", "functioncall", "functionresponse", "functionresult",
        "observation", "toolcall", "toolcalls", "toolresponse", "toolresult", "tooloutput",
        "ipython", "environment",
    )
)  # fmt: skip
_CHAT_ROLES = SYSTEM | TOOLS | {
    "user", "assistant", "human", "gpt", "chatgpt", "bot", "chatbot", "model", "ai", "prompter",
    "agent", "customer", "client",
}  # fmt: skip
"""Values of `role` that identify a speaker; several people may share any other role."""
_TOOL_PARTS = TOOLS | {"tooluse"}
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
"""Subtypes of Slack messages that count as speech."""
_WRITTEN = frozenset(("Default", "Reply", "ChatInputCommand", "0", "19"))
"""Types of Discord messages that count as speech."""


@dataclass
class Messages:
    """The content of a list of messages: turns, system messages, and counts of the messages that
    were left out."""

    turns: list[Turn] = default(default_factory=list[Turn])
    system: list[str] = default(default_factory=list[str])
    left_out: Counter[str] = default(default_factory=Counter[str])

    @property
    def labels(self) -> dict[str, Any]:
        """Return `{"system": …}` if there is a system message, else an empty dict."""
        return {"system": "\n".join(self.system)} if self.system else {}


def read_messages(items: Sequence[Any], what: str = "message") -> Messages:
    """Convert messages to turns.

    System messages become a label, not turns. Tool calls, tool results and notices are only
    counted. Messages without text are also only counted, with one exception: if none of a speaker's
    consecutive messages has text, the first of these messages becomes an empty turn. The text parts
    of a message are joined.

    Args:
        items: the messages; an object with a question and its answer counts as two messages.
        what: the word for a message in error messages.

    Raises:
        RowError: if an item is not a message.
    """
    messages = Messages()
    names = _profiles(items)
    spoken = _system_speaks(items)
    for number, item in enumerate(items, 1):
        where = f"{what} {number}"
        if _is_notice(as_dict(item, where)):
            messages.left_out["notice"] += 1
            continue
        for role_key, role, message, content in _messages(item, where):
            kind = "" if role_key is None else _kind(role_key, role, message, content, spoken)
            if kind == "system":
                messages.system.append(content or "")
            elif kind:
                messages.left_out[kind] += 1
            else:
                chat = plain_key(role_key or "") in _ROLE_KEYS
                speaker, text = _named(message.get("name") if chat else None, content or "")
                messages.turns.append(Turn(speaker=speaker or names.get(role, role), text=text))
    keep = _kept(messages.turns)
    messages.left_out["empty"] += keep.count(False)
    messages.turns = [turn for turn, kept in zip(messages.turns, keep, strict=True) if kept]
    messages.left_out = +messages.left_out
    return messages


def _kept(turns: Sequence[Turn]) -> list[bool]:
    """Return, for each turn, whether the turn is kept.

    Turns with text are kept. If none of a speaker's consecutive turns has text, the first of these
    turns is kept. If no turn at all has text, no turn is kept.
    """
    keep: list[bool] = []
    if not any(turn.text.strip() for turn in turns):
        return [False] * len(turns)
    for _, group in groupby(turns, lambda turn: turn.speaker):
        said = [bool(turn.text.strip()) for turn in group]
        keep += said if any(said) else [True, *said[1:]]
    return keep


def _messages(
    item: dict[str, Any], where: str
) -> Iterator[tuple[str | None, str, dict[str, Any], str | None]]:
    """Yield the one or two messages in an item, each as speaker key, speaker, message and text."""
    keys = tuple(str(key) for key in item)
    speakers, text = keys_of(keys)
    speakers = tuple(key for key in speakers if key not in text)
    pair = pair_of(keys)
    if pair is not None and not (speakers and text):
        for role, key in zip(("user", "assistant"), pair, strict=True):
            yield None, role, {}, _content(item[key], f"{key!r} in {where}")
    elif len(keys) == 1 and not text and keys[0] not in SPEAKERS:
        yield keys[0], keys[0], {}, _content(item[keys[0]], f"{keys[0]!r} in {where}")
    else:
        role_key = _who(item, speakers)
        text_key = next((key for key in text if item[key] is not None), "")
        role = _speaker(item.get(role_key), f"{(role_key or 'speaker')!r} in {where}")
        if not text:
            keys_found = ", ".join(map(repr, keys[:8]))
            raise RowError(f"{where} must have a text; its keys are {keys_found}")
        content = _content(item.get(text_key), f"{text_key!r} in {where}")
        yield role_key, role, item, content


def _who(item: Mapping[str, Any], speakers: Sequence[str]) -> str:
    """Return the likeliest speaker key; a person's name takes precedence over a `role` such as
    `member`."""
    named = [key for key in speakers if item[key] is not None]
    first = next(iter(named), "")
    if plain_key(first) == "role" and plain_key(str(item[first])) not in _CHAT_ROLES:
        people = (key for key in named[1:] if plain_key(key) != "from" and item[key] != "")
        return next(people, first)
    return first


def _kind(
    role_key: str, role: str, message: Mapping[str, Any], content: str | None, system: bool
) -> str:
    """Return `system` or `tool` for a message that is not speech, else an empty string."""
    plain = plain_key(role)
    chat = plain_key(role_key) in _ROLE_KEYS or plain_key(role_key) == plain
    if chat and plain in SYSTEM and not system:
        return "system"
    calls = any(message.get(key) is not None for key in _CALLS) or _asks_tools(message)
    if (chat and plain in TOOLS) or (calls and not (content or "").strip()):
        return "tool"
    return ""


def _is_notice(message: Mapping[str, Any]) -> bool:
    """Return whether a message is a notice from the chat service, such as "Ada joined"."""
    subtype, kind = message.get("subtype"), message.get("type")
    if isinstance(subtype, str) and subtype not in _SPOKEN and "ts" in message:
        return True
    discord = isinstance(message.get("author"), dict) and isinstance(kind, str)
    return kind == "service" or (discord and kind not in _WRITTEN)


def _asks_tools(message: Mapping[str, Any]) -> bool:
    """Return whether a message contains a tool call or a tool result."""
    parts: Any = message.get("content")
    return isinstance(parts, list) and any(
        plain_key(str(field(part, "type"))) in _TOOL_PARTS for part in cast("list[Any]", parts)
    )


def _system_speaks(items: Sequence[Any]) -> bool:
    """Return whether `system` is one of two speakers, as in task-oriented dialogues."""
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
        raise RowError(f"no speaker: {what} is missing or empty")
    if not isinstance(value, str):
        raise RowError(f"{what} must be a string, not {type(value).__name__}")
    return value


def _named(name: Any, content: str) -> tuple[str | None, str]:
    """Return the speaker and the text of a message.

    If the text begins with a label `Name: ` that repeats `name`, the label is removed and becomes
    the speaker. `name` may also be an identifier derived from the label.
    """
    if not isinstance(name, str) or not name:
        return None, content
    label, colon, said = content.partition(": ")
    return (label, said) if colon and name in {label, *agent_keys([label])} else (name, content)


def _content(value: Any, what: str) -> str | None:
    """Return a message's text; None if the message has none.

    Parts are joined with line breaks, or without a separator if any part is a bare string.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        return _content(inner.get("content", inner.get("text", inner.get("parts"))), what)
    if not isinstance(value, list):
        raise RowError(f"{what} must be a string, not {type(value).__name__}")
    parts = cast("list[Any]", value)
    bare = any(isinstance(part, str) for part in parts)
    said = [
        part if isinstance(part, str) else as_dict(part, f"a part of {what}").get("text")
        for part in parts
    ]
    texts = [text for text in said if isinstance(text, str)]
    return ("" if bare else "\n").join(texts) if texts else None


def _profiles(items: Sequence[Any]) -> dict[str, str]:
    """Return the names of Slack members, keyed by id, as far as the messages contain the names."""
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
