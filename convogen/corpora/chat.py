"""Readers of chat data: our runs, lists of turns, `messages`, ShareGPT, LMSYS, plain lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from pydantic import ValidationError

from convogen.corpora.base import Reader
from convogen.corpora.cells import restored_row
from convogen.corpora.rows import Row, RowError, decode
from convogen.corpora.turns import (
    alternating,
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

__all__ = ["Lmsys", "Messages", "OwnRecords", "Plain", "ShareGPT", "Turns", "Utterances"]


class OwnRecords(Reader):
    """A run folder, or its conversations.jsonl."""

    name: ClassVar[str] = "convogen"
    about: ClassVar[str] = "a run folder, or its conversations.jsonl"

    def fits(self, value: Any) -> bool:
        return has(value, "id", turns=list) and set(value) <= set(Conversation.model_fields)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
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


class Turns(Reader):
    """Conversations with their turns in a list."""

    name: ClassVar[str] = "turns"
    about: ClassVar[str] = '{"turns": [{"speaker", "text"}]}'

    def fits(self, value: Any) -> bool:
        return has(value, turns=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Turns from the list; `id` and `participants` are taken if there."""
        row = as_dict(rows[0].value, "the row")
        turns: list[Turn] = []
        for index, item in enumerate(as_list(row.get("turns"), "'turns'"), 1):
            turn = as_dict(item, f"turn {index}")
            speaker = text_of(turn.get("speaker"), f"'speaker' of turn {index}")
            turns.append(
                Turn(speaker=speaker, text=text_of(turn.get("text"), f"'text' of {index}"))
            )
        people = row.get("participants")
        names = [text_of(name, "a participant") for name in as_list(people or [], "'participants'")]
        context = row.get("context")
        context = labels(as_dict(context, "'context'"), ()) if context else {}
        context |= labels(row, ("id", "turns", "participants", "context"))
        return [conversation(row_id(row, "id", fallback), turns, context, names)]


class Utterances(Reader):
    """A turn a row."""

    name: ClassVar[str] = "utterances"
    about: ClassVar[str] = "a turn a row, of the columns id, turn, speaker, text"
    former: ClassVar[tuple[str, ...]] = ("turns",)

    def fits(self, value: Any) -> bool:
        return has(value, "id", "turn", "speaker", "text")

    def breaks(self, previous: Any, value: Any) -> bool:
        return field(previous, "id") != field(value, "id")

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """A turn from each row; the rows of a conversation are together and in order.

        The other columns of the first row are labels; `participants` may be a list as JSON.
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
        return [conversation(row_id(first, "id", fallback), turns, labels(first, used), names)]


class Messages(Reader):
    """Messages as the OpenAI API has them."""

    name: ClassVar[str] = "messages"
    about: ClassVar[str] = "OpenAI chat messages"

    def fits(self, value: Any) -> bool:
        return has(value, messages=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """`{"messages": [{"role": …, "content": …}, …]}`, the shape of the OpenAI API."""
        return _roles(rows[0].value, fallback, "messages", "role", "content", "id")


class ShareGPT(Reader):
    """Conversations as ShareGPT has them."""

    name: ClassVar[str] = "sharegpt"
    about: ClassVar[str] = "ShareGPT from/value"

    def fits(self, value: Any) -> bool:
        return has(value, conversations=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """`{"conversations": [{"from": …, "value": …}, …]}`, the shape of ShareGPT."""
        return _roles(rows[0].value, fallback, "conversations", "from", "value", "id")


class Lmsys(Reader):
    """Conversations as LMSYS-Chat-1M has them."""

    name: ClassVar[str] = "lmsys"
    about: ClassVar[str] = "one LMSYS conversation a row"
    former: ClassVar[tuple[str, ...]] = ("arena",)

    def fits(self, value: Any) -> bool:
        return has(value, conversation=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """`{"conversation": [{"role": …, "content": …}, …]}`.

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


class Plain(Reader):
    """Lists of strings."""

    name: ClassVar[str] = "plain"
    about: ClassVar[str] = "lists of strings"

    def fits(self, value: Any) -> bool:
        if not isinstance(value, list):
            return False
        items = cast("list[Any]", value)
        return bool(items) and all(isinstance(item, str) for item in items)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """A list of strings: the utterances of two speakers who take turns."""
        return [conversation(fallback, alternating(as_list(rows[0].value, "the row")), {})]


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
    return [conversation(row_id(row, id_key, fallback), turns, found | labels(row, used))]


def field(value: Any, key: str) -> Any:
    """Return what a row has under a key; None if it is no object."""
    return cast("dict[str, Any]", value).get(key) if isinstance(value, dict) else None
