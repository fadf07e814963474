"""Readers of OASST1, whose trees hold a conversation a thread, and of the Chatbot Arena's votes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from convogen.corpora.base import Reader
from convogen.corpora.chat import Lmsys, field
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import (
    MAX_TURNS,
    as_dict,
    as_list,
    conversation,
    has,
    labels,
    role_turns,
    row_id,
    text_of,
)
from convogen.types import Conversation, Turn

__all__ = ["ArenaVotes", "Oasst1", "SeedRows"]

_FLAT = ("message_tree_id", "message_id", "parent_id", "role", "text")


class ArenaVotes(Reader):
    """Two conversations and a vote a row."""

    name: ClassVar[str] = "arena"
    about: ClassVar[str] = "Chatbot Arena: two conversations and a vote a row"
    licence: ClassVar[str | None] = (
        "CC-BY-4.0 (what persons wrote), CC-BY-NC-4.0 (what chatbots wrote)"
    )

    def fits(self, value: Any) -> bool:
        return has(value, conversation_a=list, conversation_b=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """A row of `chatbot_arena_conversations`: two conversations on one prompt, and a vote.

        Each gets its own model as the label `model`, and `side` (`a` or `b`) to read `winner` by.
        """
        row = as_dict(rows[0].value, "the row")
        base = row_id(row, "question_id", fallback)
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


class Oasst1(Reader):
    """The release of OASST1: a tree a row, or a message a row, those of one tree side by side."""

    name: ClassVar[str] = "oasst1"
    about: ClassVar[str] = "OASST1: trees, or messages"
    licence: ClassVar[str | None] = "Apache-2.0"

    def fits(self, value: Any) -> bool:
        return has(value, "message_tree_id", prompt=dict) or has(value, *_FLAT)

    def breaks(self, previous: Any, value: Any) -> bool:
        return field(previous, "message_tree_id") != field(value, "message_tree_id") or has(
            value, prompt=dict
        )

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """A conversation for every thread from prompt to leaf."""
        tree = has(rows[0].value, prompt=dict)
        return (_oasst_tree if tree else _oasst_messages)(rows, fallback)


class SeedRows(Lmsys):
    """Threads of OASST1, a row each, with the ids of their messages."""

    name: ClassVar[str] = "seeds"
    about: ClassVar[str] = "threads of OASST1 with the ids of their messages"
    former: ClassVar[tuple[str, ...]] = ("oasst1",)

    def fits(self, value: Any) -> bool:
        return has(value, conversation=list, conversation_id=list)


def _oasst_tree(rows: Sequence[Row], fallback: str) -> list[Conversation]:
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


def _oasst_messages(rows: Sequence[Row], fallback: str) -> list[Conversation]:
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
