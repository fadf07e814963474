"""Readers for OASST1 trees, with one conversation per thread, and for Chatbot Arena votes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from convogen.corpora.base import KeyedReader, Reader
from convogen.corpora.chat import Lmsys
from convogen.corpora.messages import read_messages
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import (
    MAX_TURNS,
    as_dict,
    as_list,
    conversation,
    field,
    has,
    labels,
    row_id,
    text_of,
)
from convogen.records import Conversation, Turn

__all__ = ["ArenaVotes", "Oasst1", "SeedRows"]

_FLAT = ("message_tree_id", "message_id", "parent_id", "role", "text")


class ArenaVotes(Reader):
    """Rows that each contain two conversations and a vote."""

    name: ClassVar[str] = "arena"
    about: ClassVar[str] = "Chatbot Arena: two conversations and a vote per row"
    licence: ClassVar[str | None] = (
        "CC-BY-4.0 (what persons wrote), CC-BY-NC-4.0 (what chatbots wrote)"
    )

    def fits(self, value: Any) -> bool:
        return has(value, conversation_a=list, conversation_b=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the two conversations in a row of `chatbot_arena_conversations`, with the vote.

        Each conversation also has two labels: `model`, the model that answered, and `side`, which
        is `a` or `b` as in `winner`.
        """
        row = as_dict(rows[0].value, "the row")
        base = row_id(row, "question_id", fallback)
        shared = labels(
            row, ("question_id", "conversation_a", "conversation_b", "model_a", "model_b", "turn")
        )
        both: list[Conversation] = []
        for side in ("a", "b"):
            messages = as_list(row.get(f"conversation_{side}"), f"'conversation_{side}'")
            found = read_messages(messages)
            own = labels({"model": row.get(f"model_{side}"), "side": side}, ())
            context = found.labels | own | shared
            both.append(
                conversation(f"{base}-{side}", found.turns, context, left_out=found.left_out)
            )
        return both


class Oasst1(KeyedReader):
    """OASST1 as released: one tree or one message per row, in any order."""

    name: ClassVar[str] = "oasst1"
    about: ClassVar[str] = "OASST1: one tree or one message per row"
    licence: ClassVar[str | None] = "Apache-2.0"

    def fits(self, value: Any) -> bool:
        return has(value, "message_tree_id", prompt=dict) or has(value, *_FLAT)

    def key(self, value: Any) -> str | None:
        found = field(value, "message_tree_id")
        return None if found is None else str(found)

    def breaks(self, previous: Any, value: Any) -> bool:
        return super().breaks(previous, value) or has(value, prompt=dict)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return a conversation for each thread from the prompt to a leaf.

        A message without text was deleted. A thread ends before such a message. If the remaining
        thread is part of another thread, it is left out.
        """
        if has(rows[0].value, prompt=dict):
            row = as_dict(rows[0].value, "the row")
            return list(_threads(row["prompt"], labels(row, ("prompt",)), fallback))
        return _from_messages(rows, fallback)


class SeedRows(Lmsys):
    """OASST1 threads, one per row, with the ids of their messages."""

    name: ClassVar[str] = "seeds"
    about: ClassVar[str] = "OASST1 threads, one per row, with the ids of their messages"
    former: ClassVar[tuple[str, ...]] = ("oasst1",)

    def fits(self, value: Any) -> bool:
        return has(value, conversation=list, conversation_id=list)


def _threads(root: dict[str, Any], shared: dict[str, Any], fallback: str) -> Iterator[Conversation]:
    """Yield threads depth-first, with replies in order.

    The traversal is iterative because trees may have any depth.
    """
    number = 0
    stack: list[list[dict[str, Any]]] = [[root]]
    while stack:
        thread = stack.pop()
        if len(thread) > MAX_TURNS:
            raise RowError(f"a thread has more than the maximum of {MAX_TURNS} messages")
        replies = as_list(thread[-1].get("replies") or [], "'replies'")
        written = [reply for reply in map(_reply, replies) if reply.get("text") is not None]
        stack.extend([*thread, reply] for reply in reversed(written))
        if not written:
            number += 1
            turns = [_oasst_turn(message) for message in thread]
            name = thread[-1].get("message_id")
            name = name if isinstance(name, str) else f"{fallback}-{number}"
            yield conversation(name, turns, shared | labels({"lang": _language(thread)}, ()))


def _reply(value: Any) -> dict[str, Any]:
    return as_dict(value, "a reply")


def _language(thread: Sequence[dict[str, Any]]) -> str | None:
    """Return the language given in a thread's messages; `mixed` if the messages give several
    languages; None if they give none."""
    said = {lang for message in thread if isinstance(lang := message.get("lang"), str)}
    return "mixed" if len(said) > 1 else next(iter(said), None)


def _oasst_turn(message: dict[str, Any]) -> Turn:
    return Turn(
        speaker=text_of(message.get("role"), "'role' in a message"),
        text=text_of(message.get("text"), "'text' in a message"),
    )


def _from_messages(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Return the conversations in a tree from the flat release, in which each row has one message
    and the id of the parent message."""
    nodes: dict[str, dict[str, Any]] = {}
    for _, value, _ in rows:
        message: dict[str, Any] = {**as_dict(value, "the row"), "replies": []}
        nodes[text_of(message.get("message_id"), "'message_id'")] = message
    root: dict[str, Any] | None = None
    for line, value, _ in rows:
        message = nodes[value["message_id"]]
        parent = message.get("parent_id")
        if parent is None:
            root = message
        elif parent in nodes and nodes[parent] is not message:
            nodes[parent]["replies"].append(message)
        else:
            raise RowError(f"parent {str(parent)[:60]!r} is not another message in the tree", line)
    if root is None:
        raise RowError("the tree has no prompt, which is a message whose 'parent_id' is null")
    tree = labels({"message_tree_id": root.get("message_tree_id")}, ())
    return list(_threads(root, tree, fallback))
