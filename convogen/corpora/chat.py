"""Readers for rows that each contain one conversation, as a convogen record or a message list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from pydantic import ValidationError

from convogen.corpora.base import Reader
from convogen.corpora.keys import are_messages, listed, plain_key, plain_keys
from convogen.corpora.messages import read_messages
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import (
    as_dict,
    as_list,
    conversation,
    field,
    has,
    labels,
    row_id,
    texts,
)
from convogen.inputs.keys import first_fault
from convogen.records import Conversation

__all__ = [
    "Lmsys",
    "MessageLists",
    "Messages",
    "OwnRecords",
    "ShareGPT",
    "Turns",
    "name_of",
]

_IDS = (
    "id", "conversationid", "dialogueid", "dialogid", "convid", "conversationhash", "sessionid",
    "chatid", "sceneid", "meetingid", "threadid", "uuid", "fname",
)  # fmt: skip
_ORIGINS = ("starter", "agent", "script")


class OwnRecords(Reader):
    """Conversations in convogen's own format, which runs and exports use."""

    name: ClassVar[str] = "convogen"
    about: ClassVar[str] = "a run folder, or its conversations.jsonl"

    def fits(self, value: Any) -> bool:
        """Return whether a record was written by convogen, judging by fields that only such records
        have."""
        if not has(value, id=str, turns=list) or not set(value) <= set(Conversation.model_fields):
            return False
        ours = isinstance(value.get("method"), str) or type(value.get("task")) is int
        first: Any = next(iter(value["turns"]), None)
        if not ours and field(first, "origin") not in _ORIGINS:
            return False
        try:
            Conversation.model_validate(value)
        except ValidationError:
            return False
        return True

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the record in a row, unchanged."""
        del fallback
        try:
            record = Conversation.model_validate(rows[0].value)
        except ValidationError as error:
            raise RowError(first_fault(error)) from None
        if not record.turns:
            raise RowError("the conversation has no turns")
        return [record]


class MessageLists(Reader):
    """The base class for readers of rows that each contain one list of messages."""

    columns: ClassVar[tuple[str, ...]]
    """Keys that may contain the list, in the form that `plain_key` returns.

    If a key is in `sure`, a list under this key is accepted even if its items are not recognisable
    as messages, unless all items are strings.
    """
    sure: ClassVar[tuple[str, ...]] = ()
    used: ClassVar[tuple[str, ...]] = ()
    """Keys whose values only repeat information from the list."""

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and self.column(cast("dict[str, Any]", value)) is not None

    def column(self, row: Mapping[str, Any]) -> str | None:
        """Return the key of the message list; None if there is no message list."""
        plain = plain_keys(row)
        keys = [plain[name] for name in self.columns if name in plain]
        for key in keys:
            found = listed(row[key])
            if found is not None and (are_messages(found) or self._sure(key, found)):
                return key
        return None

    def _sure(self, key: str, items: Sequence[Any]) -> bool:
        return plain_key(key) in self.sure and not texts(items)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        row = as_dict(rows[0].value, "the row")
        key = self.column(row) or self._expected(row)
        found = read_messages(as_list(listed(row[key]) or row[key], f"{key!r}"), self.item)
        name, id_key = name_of(row, fallback)
        people = row.get("participants")
        names = cast("list[str]", people) if texts(people) else []
        inner = row.get("context")
        used = {key, id_key, *self.used, *(["participants"] if names or not people else [])}
        context: dict[str, Any] = {}
        if isinstance(inner, dict):
            context, used = labels(cast("dict[str, Any]", inner), ()), used | {"context"}
        context = found.labels | context | labels(row, used)
        return [conversation(name, found.turns, context, names, found.left_out)]

    @property
    def item(self) -> str:
        """The word for an element of the list in error messages."""
        return "message"

    def _expected(self, row: Mapping[str, Any]) -> str:
        plain = plain_keys(row)
        key = next((plain[name] for name in self.columns if name in plain), None)
        if key is None:
            keys = ", ".join(map(repr, row)) or "none"
            raise RowError(
                f"the row must have a list of {self.item}s under a key such as "
                f"{self.columns[0]!r}; its keys are: {keys}"
            )
        return key


class Turns(MessageLists):
    """Lists of turns that each have a speaker and a text."""

    name: ClassVar[str] = "turns"
    about: ClassVar[str] = '{"turns": [{"speaker", "text"}]}, or a similar list under another key'
    columns: ClassVar[tuple[str, ...]] = (
        "turns", "dialogue", "dialog", "utterances", "meetingtranscripts", "transcripts",
        "transcript", "content", "contents", "chat", "exchanges", "interactions", "history",
        "thread", "lines", "log", "events", "speech", "segments",
    )  # fmt: skip
    sure: ClassVar[tuple[str, ...]] = ("turns",)

    def fits(self, value: Any) -> bool:
        return super().fits(value) or are_messages(value)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        value: Any = rows[0].value
        if isinstance(value, list):
            rows = [Row(rows[0].line, {"turns": value})]
        return super().convert(rows, fallback)

    @property
    def item(self) -> str:
        return "turn"


class Messages(MessageLists):
    """Messages in the OpenAI API format."""

    name: ClassVar[str] = "messages"
    about: ClassVar[str] = 'OpenAI chat: {"messages": [{"role", "content"}]}; Discord, Telegram'
    columns: ClassVar[tuple[str, ...]] = ("messages",)
    sure: ClassVar[tuple[str, ...]] = ("messages",)


class ShareGPT(MessageLists):
    """Conversations in the ShareGPT format."""

    name: ClassVar[str] = "sharegpt"
    about: ClassVar[str] = 'ShareGPT: {"conversations": [{"from", "value"}]}'
    columns: ClassVar[tuple[str, ...]] = ("conversations",)
    sure: ClassVar[tuple[str, ...]] = ("conversations",)

    def _sure(self, key: str, items: Sequence[Any]) -> bool:
        return super()._sure(key, items) and not (items and _holds_lists(items[0]))


class Lmsys(MessageLists):
    """Conversations in the LMSYS-Chat-1M and WildChat format."""

    name: ClassVar[str] = "lmsys"
    about: ClassVar[str] = 'LMSYS-Chat-1M, WildChat: {"conversation": [{"role", "content"}]}'
    former: ClassVar[tuple[str, ...]] = ("arena",)
    columns: ClassVar[tuple[str, ...]] = ("conversation",)
    sure: ClassVar[tuple[str, ...]] = ("conversation",)
    used: ClassVar[tuple[str, ...]] = ("turn",)


def name_of(row: Mapping[str, Any], fallback: str) -> tuple[str, str]:
    """Return a row's id and the key that contains it, or `fallback` and an empty key."""
    plain = plain_keys(row)
    for name in _IDS:
        key = plain.get(name)
        if key is not None and (found := row_id(row, key, "")):
            return found, key
    return fallback, ""


def _holds_lists(value: Any) -> bool:
    """Return whether a value is an object that contains a list of messages."""
    return isinstance(value, dict) and any(
        are_messages(item) for item in cast("dict[str, Any]", value).values()
    )
