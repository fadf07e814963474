"""Formats of chat data: our runs, `turns`, `messages`, ShareGPT, plain lists, OASST1, Arena.

Each function takes the rows of one group, `(line, value)` with the values decoded, and a fallback
id, and gives the conversations in it; it raises `RowError` where a row is not of its format.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from convogen.corpora.cells import restored_row
from convogen.corpora.rows import Row, RowError, decode
from convogen.corpora.turns import (
    MAX_TURNS,
    alternating,
    as_dict,
    as_list,
    conversation,
    labels,
    role_turns,
    text_of,
)
from convogen.types import Conversation, Turn

__all__ = [
    "arena_row",
    "arena_vote",
    "messages_row",
    "oasst_messages",
    "oasst_tree",
    "own_row",
    "plain_row",
    "sharegpt_row",
    "turn_rows",
    "turns_row",
]


def own_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """A line of a run folder's conversations.jsonl: the record itself, nothing lost."""
    del fallback
    try:
        record = Conversation.model_validate(rows[0].value)
    except ValidationError as error:
        first = error.errors()[0]
        raise RowError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if not record.turns:
        raise RowError("no turns")
    return [record]


def turns_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"turns": [{"speaker": …, "text": …}, …]}`; `id` and `participants` are taken if there."""
    row = as_dict(rows[0].value, "the row")
    turns: list[Turn] = []
    for index, item in enumerate(as_list(row.get("turns"), "'turns'"), 1):
        turn = as_dict(item, f"turn {index}")
        speaker = text_of(turn.get("speaker"), f"'speaker' of turn {index}")
        turns.append(Turn(speaker=speaker, text=text_of(turn.get("text"), f"'text' of {index}")))
    people = row.get("participants")
    names = [text_of(name, "a participant") for name in as_list(people or [], "'participants'")]
    context = row.get("context")
    context = labels(as_dict(context, "'context'"), ()) if context else {}
    context |= labels(row, ("id", "turns", "participants", "context"))
    return [conversation(_id(row, "id", fallback), turns, context, names)]


def turn_rows(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Rows of `id`, `turn`, `speaker` and `text`, those of a conversation together and in order.

    The other columns of the first row are labels; `participants` may be a list as JSON. What
    `csv_safe` says was put before a text is taken away.
    """
    first = restored_row(as_dict(rows[0].value, "the row"))
    turns: list[Turn] = []
    for line, value in rows:
        row = restored_row(as_dict(value, "the row"))
        if str(row.get("turn")) != f"{len(turns) + 1}":
            raise RowError(f"'turn' is {row.get('turn')!r}, {len(turns) + 1} is expected", line)
        speaker = text_of(row.get("speaker"), "'speaker'")
        turns.append(Turn(speaker=speaker, text=text_of(row.get("text"), "'text'")))
    listed: Any = first.get("participants")
    people: Any = decode(listed.encode()) if isinstance(listed, str) and listed else listed
    names = [text_of(name, "a participant") for name in as_list(people or [], "'participants'")]
    used = ("id", "turn", "speaker", "text", "participants")
    return [conversation(_id(first, "id", fallback), turns, labels(first, used), names)]


def messages_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"messages": [{"role": …, "content": …}, …]}`, the shape of the OpenAI API."""
    return _roles(rows[0].value, fallback, "messages", "role", "content", "id")


def sharegpt_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"conversations": [{"from": …, "value": …}, …]}`, the shape of ShareGPT."""
    return _roles(rows[0].value, fallback, "conversations", "from", "value", "id")


def arena_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"conversation": [{"role": …, "content": …}, …]}`: LMSYS, and the seeds of DialogueForge.

    A list in `conversation_id` (the seeds drawn from OASST1) names the messages, not the
    conversation: it stays a label.
    """
    return _roles(
        rows[0].value,
        fallback,
        "conversation",
        "role",
        "content",
        "conversation_id",
        drop=("turn",),
    )


def _roles(
    value: Any,
    fallback: str,
    key: str,
    role: str,
    text: str,
    id_key: str,
    drop: Sequence[str] = (),
) -> list[Conversation]:
    row = as_dict(value, "the row")
    turns, found = role_turns(as_list(row.get(key), f"{key!r}"), role, text)
    used = [key, *drop, *([id_key] if isinstance(row.get(id_key), str) else [])]
    return [conversation(_id(row, id_key, fallback), turns, found | labels(row, used))]


def arena_vote(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """A row of `chatbot_arena_conversations`: two conversations on one prompt, and a vote.

    Each gets its own model as the label `model`, and `side` (`a` or `b`) to read `winner` by.
    """
    row = as_dict(rows[0].value, "the row")
    base = _id(row, "question_id", fallback)
    shared = labels(
        row, ("question_id", "conversation_a", "conversation_b", "model_a", "model_b", "turn")
    )
    both: list[Conversation] = []
    for side in ("a", "b"):
        messages = as_list(row.get(f"conversation_{side}"), f"'conversation_{side}'")
        turns, found = role_turns(messages, "role", "content")
        found |= labels({"model": row.get(f"model_{side}"), "side": side}, ())
        both.append(conversation(f"{base}-{side}", turns, found | shared))
    return both


def plain_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """A list of strings: the utterances of two speakers who take turns."""
    return [conversation(fallback, alternating(as_list(rows[0].value, "the row")), {})]


def oasst_tree(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """A tree of the OASST1 release: a conversation for every thread from prompt to leaf."""
    row = as_dict(rows[0].value, "the row")
    shared = labels(row, ("prompt",))
    return list(_threads(as_dict(row.get("prompt"), "'prompt'"), shared, fallback))


def _threads(root: dict[str, Any], shared: dict[str, Any], fallback: str) -> Iterator[Conversation]:
    """Depth first, replies in the order given; iterative, for trees may be of any depth."""
    number = 0
    stack: list[list[dict[str, Any]]] = [[root]]
    while stack:
        thread = stack.pop()
        if len(thread) > MAX_TURNS:
            raise RowError(f"a thread of more than {MAX_TURNS} messages")
        replies = as_list(thread[-1].get("replies") or [], "'replies'")
        stack.extend([*thread, as_dict(reply, "a reply")] for reply in reversed(replies))
        if not replies:
            number += 1
            turns = [_oasst_turn(message) for message in thread]
            name = thread[-1].get("message_id")
            name = name if isinstance(name, str) else f"{fallback}-{number}"
            yield conversation(name, turns, shared | labels({"lang": _language(thread)}, ()))


def _language(thread: Sequence[dict[str, Any]]) -> str | None:
    """What a thread is written in; `mixed` where its messages are of several languages."""
    said = {lang for message in thread if isinstance(lang := message.get("lang"), str)}
    return "mixed" if len(said) > 1 else next(iter(said), None)


def _oasst_turn(message: dict[str, Any]) -> Turn:
    return Turn(
        speaker=text_of(message.get("role"), "'role' of a message"),
        text=text_of(message.get("text"), "'text' of a message"),
    )


def oasst_messages(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """The flat shape of the OASST1 release: a message a row, those of one tree side by side."""
    nodes: dict[str, dict[str, Any]] = {}
    root: dict[str, Any] | None = None
    for line, value in rows:
        message: dict[str, Any] = {**as_dict(value, "the row"), "replies": []}
        nodes[text_of(message.get("message_id"), "'message_id'")] = message
        parent = message.get("parent_id")
        if parent is None:
            root = message
        elif parent in nodes and nodes[parent] is not message:
            nodes[parent]["replies"].append(message)
        else:
            raise RowError(f"parent {str(parent)[:60]!r} is not among the rows above it", line)
    if root is None:
        raise RowError("no message without a parent in the tree")
    return list(
        _threads(root, labels({"message_tree_id": root.get("message_tree_id")}, ()), fallback)
    )


def _id(row: dict[str, Any], key: str, fallback: str) -> str:
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else fallback
