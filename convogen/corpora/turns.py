"""Parts shared by all formats: turns out of lists and lines, labels out of what is left over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, cast

from pydantic import ValidationError

from convogen.corpora.rows import RowError
from convogen.speakers import agent_keys
from convogen.types import Conversation, Turn

__all__ = [
    "MAX_TURNS",
    "alternating",
    "as_dict",
    "as_list",
    "conversation",
    "has",
    "labels",
    "role_turns",
    "row_id",
    "script_turns",
    "text_of",
]

MAX_TURNS = 10_000
"""The longest conversation that is read; a longer one is a bad row."""

_MAX_LABEL_DEPTH = 8
_SPEAKER_LENGTH = 80


def as_list(value: Any, what: str) -> list[Any]:
    """`value` where it is a list; `RowError` names `what` where it is not."""
    if not isinstance(value, list):
        raise RowError(f"{what} is {type(value).__name__}, a list is expected")
    return cast("list[Any]", value)


def as_dict(value: Any, what: str) -> dict[str, Any]:
    """`value` where it is an object; `RowError` names `what` where it is not."""
    if not isinstance(value, dict):
        raise RowError(f"{what} is {type(value).__name__}, an object is expected")
    return cast("dict[str, Any]", value)


def text_of(value: Any, what: str) -> str:
    """`value` where it is a string; `RowError` names `what` where it is not."""
    if not isinstance(value, str):
        raise RowError(f"{what} is {type(value).__name__}, a string is expected")
    return value


def has(value: Any, *keys: str, **types: type) -> bool:
    """Return whether `value` is an object with these keys, and with values of these types."""
    if not isinstance(value, dict):
        return False
    row = cast("dict[str, Any]", value)
    named = all(isinstance(row.get(key), kind) for key, kind in types.items())
    return named and all(key in row for key in keys)


def row_id(row: dict[str, Any], key: str, fallback: str) -> str:
    """Return the id that a row has under `key`, text or number, or else `fallback`."""
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else fallback


def alternating(texts: Iterable[Any]) -> list[Turn]:
    """Turns of two speakers, `user1` and `user2`, who take turns; the corpus names nobody."""
    return [
        Turn(speaker=f"user{index % 2 + 1}", text=text_of(text, f"utterance {index + 1}"))
        for index, text in enumerate(texts)
    ]


def role_turns(
    messages: Sequence[Any], role_key: str, text_key: str
) -> tuple[list[Turn], dict[str, Any]]:
    """Turns of chat messages, and the labels they carry.

    A system message is no utterance: it becomes the label `system`. A message without text (a
    tool call) is left out. The parts of a multi-part content are joined where they are text.
    """
    turns: list[Turn] = []
    system: list[str] = []
    for index, item in enumerate(messages, 1):
        message = as_dict(item, f"message {index}")
        role = text_of(message.get(role_key), f"{role_key!r} of message {index}")
        content = _content(message.get(text_key), f"{text_key!r} of message {index}")
        if content is None:
            continue
        if role in ("system", "developer"):
            system.append(content)
            continue
        speaker, said = _named(message.get("name"), content)
        turns.append(Turn(speaker=speaker or role, text=said))
    return turns, {"system": "\n".join(system)} if system else {}


def _named(name: Any, content: str) -> tuple[str | None, str]:
    """Who said a message, and what: a label `Name: ` in the text that `name` repeats is not said.

    There the label is the speaker; `name` may be an identifier made of it.
    """
    if not isinstance(name, str) or not name:
        return None, content
    label, colon, said = content.partition(": ")
    return (label, said) if colon and name in {label, *agent_keys([label])} else (name, content)


def _content(value: Any, what: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    parts = [as_dict(part, f"a part of {what}").get("text") for part in as_list(value, what)]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if texts else None


def script_turns(text: str) -> list[Turn]:
    """Turns of a script, a `Speaker: text` a line; a line without a speaker goes on.

    Raises `RowError` where the first line names no speaker.
    """
    turns: list[Turn] = []
    for line in text.splitlines():
        speaker, colon, utterance = line.partition(":")
        if colon and 0 < len(speaker.strip()) <= _SPEAKER_LENGTH:
            turns.append(Turn(speaker=speaker.strip(), text=utterance.strip()))
        elif turns:
            last = turns[-1]
            turns[-1] = Turn(speaker=last.speaker, text=f"{last.text}\n{line.strip()}".strip())
        elif line.strip():
            raise RowError(f"no 'Speaker: text' in the first line {line[:60]!r}")
    return turns


def labels(row: dict[str, Any], used: Iterable[str]) -> dict[str, Any]:
    """What a row holds besides its turns, as plain JSON values; None and bytes are left out."""
    skip = set(used)
    plain = {str(key): _plain(value) for key, value in row.items() if key not in skip}
    return {key: value for key, value in plain.items() if value is not None}


def _plain(value: Any, depth: int = 0) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    if depth >= _MAX_LABEL_DEPTH:
        return None
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {str(_plain(str(key))): _plain(item, depth + 1) for key, item in items}
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in cast("list[Any]", value)]
    return None


def conversation(
    id: str,  # noqa: A002 - the record's own word
    turns: list[Turn],
    context: dict[str, Any],
    participants: Sequence[str] | None = None,
) -> Conversation:
    """A record of these turns; participants are the speakers in the order they first spoke.

    Raises `RowError` where there is no turn, or more than `MAX_TURNS`.
    """
    if not turns:
        raise RowError("no turns")
    if len(turns) > MAX_TURNS:
        raise RowError(f"{len(turns)} turns, at most {MAX_TURNS} are read")
    named = [*(participants or []), *(turn.speaker for turn in turns)]
    people = list(dict.fromkeys(named))
    try:
        return Conversation(id=id, participants=people, context=context, turns=turns)
    except ValidationError as error:
        first = error.errors()[0]
        raise RowError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
