"""Readers of conversations in one row: our runs, lists of messages or of texts under any key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from pydantic import ValidationError

from convogen.corpora.base import Reader
from convogen.corpora.keys import are_messages, listed, plain_key, plain_keys
from convogen.corpora.messages import read_messages
from convogen.corpora.rows import Row, RowError
from convogen.corpora.script import labelled_texts
from convogen.corpora.turns import (
    alternating,
    as_dict,
    as_list,
    conversation,
    field,
    has,
    labels,
    row_id,
    text_of,
    texts,
)
from convogen.keys import first_fault
from convogen.types import Conversation, Turn

__all__ = [
    "Lmsys",
    "MessageLists",
    "Messages",
    "OwnRecords",
    "Plain",
    "ShareGPT",
    "TextLists",
    "Turns",
    "name_of",
]

_IDS = (
    "id", "conversationid", "dialogueid", "dialogid", "convid", "conversationhash", "sessionid",
    "chatid", "sceneid", "meetingid", "threadid", "uuid", "fname",
)  # fmt: skip
_ORIGINS = ("starter", "agent", "script")


class OwnRecords(Reader):
    """Conversations as runs and exports have them."""

    name: ClassVar[str] = "convogen"
    about: ClassVar[str] = "a run folder, or its conversations.jsonl"

    def fits(self, value: Any) -> bool:
        """Return whether a record is one of ours, and has something that only ours have."""
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
        """The record itself, nothing lost."""
        del fallback
        try:
            record = Conversation.model_validate(rows[0].value)
        except ValidationError as error:
            raise RowError(first_fault(error)) from None
        if not record.turns:
            raise RowError("no turns")
        return [record]


class MessageLists(Reader):
    """A list of messages a row, under a key of its own."""

    columns: ClassVar[tuple[str, ...]]
    """Keys of the list, plain; of those in `sure` it is taken whatever is in it."""
    sure: ClassVar[tuple[str, ...]] = ()
    used: ClassVar[tuple[str, ...]] = ()
    """Keys that only repeat what the list says."""

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and self.column(cast("dict[str, Any]", value)) is not None

    def column(self, row: Mapping[str, Any]) -> str | None:
        """Return the key of the list of messages."""
        plain = plain_keys(row)
        keys = [plain[name] for name in self.columns if name in plain]
        for key in keys:
            found = listed(row[key])
            if found is not None and (are_messages(found) or self._sure(key, found)):
                return key
        return None

    def _sure(self, key: str, found: Sequence[Any]) -> bool:
        return plain_key(key) in self.sure and not texts(found)

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
        """What an error calls an element of the list."""
        return "message"

    def _expected(self, row: Mapping[str, Any]) -> str:
        plain = plain_keys(row)
        key = next((plain[name] for name in self.columns if name in plain), None)
        if key is None:
            keys = ", ".join(map(repr, row)) or "none"
            raise RowError(f"{self.columns[0]!r} is NoneType, a list is expected; keys: {keys}")
        return key


class Turns(MessageLists):
    """Turns with speaker and text, in a list."""

    name: ClassVar[str] = "turns"
    about: ClassVar[str] = '{"turns": [{"speaker", "text"}]}, and other keys for the same'
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
    """Messages as the OpenAI API has them."""

    name: ClassVar[str] = "messages"
    about: ClassVar[str] = 'OpenAI chat: {"messages": [{"role", "content"}]}; Discord, Telegram'
    columns: ClassVar[tuple[str, ...]] = ("messages",)
    sure: ClassVar[tuple[str, ...]] = ("messages",)


class ShareGPT(MessageLists):
    """Conversations as ShareGPT has them."""

    name: ClassVar[str] = "sharegpt"
    about: ClassVar[str] = 'ShareGPT: {"conversations": [{"from", "value"}]}'
    columns: ClassVar[tuple[str, ...]] = ("conversations",)
    sure: ClassVar[tuple[str, ...]] = ("conversations",)

    def _sure(self, key: str, found: Sequence[Any]) -> bool:
        return super()._sure(key, found) and not (found and _holds_lists(found[0]))


class Lmsys(MessageLists):
    """Conversations as LMSYS-Chat-1M and WildChat have them."""

    name: ClassVar[str] = "lmsys"
    about: ClassVar[str] = 'LMSYS-Chat-1M, WildChat: {"conversation": [{"role", "content"}]}'
    former: ClassVar[tuple[str, ...]] = ("arena",)
    columns: ClassVar[tuple[str, ...]] = ("conversation",)
    sure: ClassVar[tuple[str, ...]] = ("conversation",)
    used: ClassVar[tuple[str, ...]] = ("turn",)


class TextLists(Reader):
    """A list of texts under a key, and a list of their speakers, or none."""

    name: ClassVar[str] = "texts"
    about: ClassVar[str] = '{"dialogue": ["…"], "speakers": ["…"]}: SODA, MediaSum, and others'
    columns: ClassVar[tuple[str, ...]] = (
        "dialogue", "dialog", "utterances", "utt", "turns", "conversation", "messages", "texts",
    )  # fmt: skip
    speakers: ClassVar[tuple[str, ...]] = ("speakers", "speaker", "roles", "names", "speakerlist")

    def fits(self, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        row = cast("dict[str, Any]", value)
        key = self._list_of(row, self.columns)
        return key is not None and self.fitting(row)

    def fitting(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row with such a list is for this reader."""
        return self._list_of(row, self.speakers) is not None or _marked(
            row, self._list_of(row, self.columns)
        )

    @staticmethod
    def _list_of(row: Mapping[str, Any], names: Sequence[str]) -> str | None:
        plain = plain_keys(row)
        keys = (plain[name] for name in names if name in plain)
        return next((key for key in keys if texts(listed(row[key]))), None)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        row = as_dict(rows[0].value, "the row")
        key = self._list_of(row, self.columns)
        if key is None:
            raise RowError(f"no list of texts; the keys are {', '.join(map(repr, row))}")
        said = listed(row[key]) or []
        who = self._list_of(row, self.speakers)
        name, id_key = name_of(row, fallback)
        context = labels(row, (key, who or "", id_key))
        if who is None:
            turns = labelled_texts(said) or alternating(said)
        else:
            names = listed(row[who]) or []
            if len(names) != len(said):
                raise RowError(f"{len(names)} {who} for {len(said)} of {key!r}")
            turns = [Turn(speaker=one, text=text) for one, text in zip(names, said, strict=True)]
        return [conversation(name, turns, context)]


class Plain(Reader):
    """Lists of strings: two who take turns, if no string says who speaks."""

    name: ClassVar[str] = "plain"
    about: ClassVar[str] = "lists of strings"

    def fits(self, value: Any) -> bool:
        return texts(value) or self._is_dream(value)

    @staticmethod
    def _is_dream(value: Any) -> bool:
        """Whether a row is one of DREAM: a list of labelled texts, one of questions, an id."""
        parts = cast("list[Any]", value) if isinstance(value, list) else []
        return len(parts) == 3 and texts(parts[0]) and isinstance(parts[2], str)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        value: Any = rows[0].value
        context: dict[str, Any] = {}
        if self._is_dream(value):
            value, questions, fallback = value
            context = labels({"questions": questions}, ())
        said = [
            text_of(text, f"utterance {index}")
            for index, text in enumerate(as_list(value, "the row"), 1)
        ]
        return [conversation(fallback, labelled_texts(said) or alternating(said), context)]


def name_of(row: Mapping[str, Any], fallback: str) -> tuple[str, str]:
    """Return a row's id, and the key it is under: empty if it is the fallback."""
    plain = plain_keys(row)
    for name in _IDS:
        key = plain.get(name)
        if key is not None and (found := row_id(row, key, "")):
            return found, key
    return fallback, ""


def _marked(row: Mapping[str, Any], key: str | None) -> bool:
    return key is not None and bool(labelled_texts(listed(row[key]) or []))


def _holds_lists(value: Any) -> bool:
    """Whether an object holds a list of messages itself."""
    return isinstance(value, dict) and any(
        are_messages(item) for item in cast("dict[str, Any]", value).values()
    )
