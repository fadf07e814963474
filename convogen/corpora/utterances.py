"""Readers for rows with one utterance each: general tables, EmpatheticDialogues and MELD.

The rows of a conversation need not be adjacent. If rows are numbered, the numbers determine their
order, and a new conversation begins when the numbers restart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, cast

from convogen.corpora.base import KeyedReader
from convogen.corpora.keys import keys_of, listed, plain_key
from convogen.corpora.messages import read_messages
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import as_dict, conversation, field, has, labels, texts
from convogen.records import Conversation, Turn

__all__ = ["EmpatheticDialogues", "Meld", "Utterances"]

_CONVERSATIONS = (
    *(
        f"{noun}{ending}"
        for ending in ("id", "idx", "index", "number", "no", "num", "nr", "key", "hash", "uuid", "")
        for noun in (
            "conversation", "conv", "convo", "dialogue", "dialog", "session", "chat", "thread",
            "meeting", "discussion", "interview", "call", "ticket", "case",
        )
    ),
    "sceneid", "channelid", "roomid", "groupid", "documentid", "docid", "linkid", "root",
)  # fmt: skip
_NUMBERS = (
    "turn", "turnid", "turnidx", "turnindex", "turnnumber", "turnno", "turnnum", "utteranceidx",
    "utteranceindex", "utterancenumber", "utteranceid", "messageindex", "messageid", "index",
    "position", "seq",
)  # fmt: skip

_LONGEST_ID = 100
_SHOWN_COLUMNS = 5

_OF_ONE = frozenset(
    ("id", "type", "ts", "timestamp", "reply-to", "reply_to", "vectors", "user_profile")
)
"""Columns that describe a single utterance."""


class _Columns(NamedTuple):
    """A table's columns for each purpose; None or empty if there is no such column."""

    conversation: str | None
    number: str | None
    speakers: tuple[str, ...]
    texts: tuple[str, ...]


@lru_cache(256)
def _columns(keys: tuple[str, ...], ids: bool | None = None) -> _Columns:
    """Return a table's columns for each purpose, given the names of all columns.

    `ids` says whether the `id` column identifies conversations; None means that it does so only if
    turns are numbered.
    """
    plain = {plain_key(key): key for key in reversed(keys)}
    number = next((plain[name] for name in _NUMBERS if name in plain), None)
    key = next((plain[name] for name in _CONVERSATIONS if name in plain), None)
    speakers, texts = keys_of(keys)
    if key is None and (number is not None if ids is None else ids):
        key = plain.get("id")
    speakers = tuple(key for key in speakers if key not in texts)
    return _Columns(key, number, speakers, texts)


def _of(value: Any, ids: bool | None = None) -> _Columns | None:
    if not isinstance(value, dict):
        return None
    return _columns(tuple(str(key) for key in cast("dict[str, Any]", value)), ids)


def _is_blank(value: Any) -> bool:
    """Return whether a cell is empty, like the cells below a merged cell; NaN counts as empty."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


class Utterances(KeyedReader):
    """Rows with one turn each, in columns such as `conversation_id`, `turn`, `speaker` and
    `text`."""

    name: ClassVar[str] = "utterances"
    about: ClassVar[str] = "one utterance per row: id, turn, speaker, text; ConvoKit, Slack"
    former: ClassVar[tuple[str, ...]] = ("turns",)

    _ids: bool | None = None
    _blank: str | None = None

    def prepare(self, rows: Sequence[Row]) -> None:
        """Determine whether `id` identifies conversations or utterances, and set `notes` if another
        column might identify conversations."""
        values = [cast("dict[str, Any]", row.value) for row in rows if self.fits(row.value)]
        columns = self._columns(values[0]) if values else None
        if columns is None:
            return
        if all(_is_blank(field(value, columns.conversation or "")) for value in values):
            self._blank = columns.conversation
        if columns.conversation in (self._blank, *_plain_ids(values[0])):
            self._ids = _repeats(values, columns)
        columns = self._columns(values[0])
        if columns is not None and columns.conversation is None and columns.number is None:
            self.notes = _all_one(values, columns)

    def _columns(self, value: Any) -> _Columns | None:
        columns = _of(value, self._ids)
        if columns is None or columns.conversation != self._blank:
            return columns
        return columns._replace(conversation=None)

    def fits(self, value: Any) -> bool:
        columns = self._columns(value)
        if columns is None or not columns.speakers or not columns.texts:
            return False
        text: Any = next((value[key] for key in columns.texts if value[key] is not None), None)
        if not isinstance(text, str | None) and not isinstance(value.get("type"), str):
            return False
        named = [key for key in columns.speakers if plain_key(key) != "name"]
        return columns.conversation is not None or columns.number is not None or bool(named)

    def key(self, value: Any) -> str | None:
        columns = self._columns(value)
        found = value.get(columns.conversation) if columns and columns.conversation else None
        return None if _is_blank(found) else str(found)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        columns = self._columns(as_dict(rows[0].value, "the row"))
        assert columns is not None
        base = self.key(rows[0].value) or fallback
        if columns.conversation is not None and self.key(rows[0].value) is None:
            count = f"{len(rows):,} rows have" if len(rows) > 1 else "a row has"
            raise RowError(
                f"{count} no value in {columns.conversation!r}, which identifies the conversation; "
                "add the missing values (if cells were merged, fill their values down)"
            )
        runs = numbered_runs(rows, columns.number)
        return [self._conversation(run, columns, base) for run in runs]

    def _conversation(self, rows: Sequence[Row], columns: _Columns, name: str) -> Conversation:
        values = [as_dict(row.value, "the row") for row in rows]
        runs = read_messages(values, "row")
        listing: Any = values[0].get("participants")
        people = listed(listing) if isinstance(listing, str) and listing else listing
        names = cast("list[str]", people) if texts(people) else []
        used = {columns.conversation, columns.number, *columns.speakers, *columns.texts}
        used |= {"participants"} if names or not listing else set()
        used |= _OF_ONE - {columns.conversation}
        context = {
            key: value
            for key, value in labels(values[0], (key for key in used if key)).items()
            if all(row.get(key) == values[0][key] for row in values)
        }
        return conversation(name, runs.turns, runs.labels | context, names, runs.left_out)


def _plain_ids(row: Mapping[str, Any]) -> list[str]:
    return [key for key in row if plain_key(str(key)) == "id"]


def _repeats(values: Sequence[Mapping[str, Any]], columns: _Columns) -> bool | None:
    """Return whether `id` identifies conversations; None if the column names must decide.

    Repeated ids identify conversations. Unique ids with different turn numbers identify utterances.
    """
    key = next(iter(_plain_ids(values[0])), None)
    ids = [str(value.get(key)) for value in values if key and not _is_blank(value.get(key))]
    if len(set(ids)) < len(ids):
        return True
    numbers = {str(field(value, columns.number or "")) for value in values}
    return False if len(ids) > 1 and len(numbers) > 1 else None


def _all_one(values: Sequence[Mapping[str, Any]], columns: _Columns) -> tuple[str, ...]:
    """Return a tuple with a note if an unused column might identify conversations; else, an empty
    tuple."""
    used = {*columns.speakers, *columns.texts, *_OF_ONE}
    likely: list[str] = []
    for name in (key for key in values[0] if key not in used):
        found = [value.get(name) for value in values if not _is_blank(value.get(name))]
        plain = all(isinstance(one, int | str) and len(str(one)) < _LONGEST_ID for one in found)
        if plain and 1 < len(set(map(str, found))) < len(found):
            likely.append(name)
    if not likely:
        return ()
    shown = ", ".join(map(repr, likely[:_SHOWN_COLUMNS]))
    return (
        f"no column identifies conversations, so all rows are read as one conversation; if there "
        f"are several conversations, rename the column that identifies them (possibly {shown}) to "
        f"conversation_id",
    )


def numbered_runs(rows: Sequence[Row], column: str | None) -> list[list[Row]]:
    """Return the rows of a group in the order of their numbers, one list per conversation.

    The group contains several conversations if the numbers restart.

    Raises:
        RowError: if numbers are repeated, but do not increase within each conversation.
    """
    numbers = [_number(field(row.value, column)) for row in rows] if column else []
    numbered = [number for number in numbers if number is not None]
    if not rows or len(numbered) < len(rows):
        return [list(rows)]
    if len(set(numbered)) == len(numbered):
        order = sorted(range(len(rows)), key=lambda at: numbered[at])
        return [[rows[at] for at in order]]
    runs: list[list[Row]] = []
    for row, number, before in zip(rows, numbered, [None, *numbered], strict=False):
        if number == min(numbered):
            runs.append([])
        elif before is None or number <= before:
            raise RowError(
                f"{column!r} is {field(row.value, column or '')!r}, which is repeated or out of "
                f"order; a conversation's numbers must begin with {min(numbered):g} and increase",
                row.line,
            )
        runs[-1].append(row)
    return runs


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if number == number else None


class EmpatheticDialogues(KeyedReader):
    """EmpatheticDialogues, one utterance per row."""

    name: ClassVar[str] = "empatheticdialogues"
    about: ClassVar[str] = "EmpatheticDialogues, one utterance per row"

    def fits(self, value: Any) -> bool:
        return has(value, "conv_id", "utterance", "speaker_idx")

    def key(self, value: Any) -> str | None:
        return _text(field(value, "conv_id"))

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the conversations, with `_comma_` replaced by a comma."""
        name = self.key(rows[0].value) or fallback
        return [_empathetic(run, name) for run in numbered_runs(rows, "utterance_idx")]


def _empathetic(rows: Sequence[Row], name: str) -> Conversation:
    first = as_dict(rows[0].value, "the row")
    turns: list[Turn] = []
    for line, value, _ in rows:
        row = as_dict(value, "the row")
        if not isinstance(row.get("utterance"), str) or row.get("speaker_idx") is None:
            raise RowError("the row must have both 'utterance' and 'speaker_idx'", line)
        text = row["utterance"].replace("_comma_", ",").strip()
        turns.append(Turn(speaker=f"speaker{row['speaker_idx']}", text=text))
    kept = {
        key: first[key].replace("_comma_", ",")
        for key in ("context", "prompt")
        if isinstance(first.get(key), str)
    }
    return conversation(name, turns, labels(kept, ()))


class Meld(KeyedReader):
    """MELD, one utterance per row."""

    name: ClassVar[str] = "meld"
    about: ClassVar[str] = "MELD, one utterance per row"

    def fits(self, value: Any) -> bool:
        return has(value, "Dialogue_ID", "Utterance", "Speaker")

    def key(self, value: Any) -> str | None:
        return _text(field(value, "Dialogue_ID"))

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the conversations; their emotions and sentiments are lists with one entry per
        turn."""
        name = f"{fallback.rpartition('-')[0]}-{self.key(rows[0].value)}"
        return [_meld(run, name) for run in numbered_runs(rows, "Utterance_ID")]


def _meld(rows: Sequence[Row], name: str) -> Conversation:
    turns: list[Turn] = []
    context: dict[str, Any] = {"emotions": [], "sentiments": []}
    for line, value, _ in rows:
        row = as_dict(value, "the row")
        speaker, text = row.get("Speaker"), row.get("Utterance")
        if not isinstance(speaker, str) or not isinstance(text, str):
            raise RowError("'Speaker' and 'Utterance' must both be strings", line)
        turns.append(Turn(speaker=speaker, text=text))
        context["emotions"].append(row.get("Emotion"))
        context["sentiments"].append(row.get("Sentiment"))
    first: Mapping[str, Any] = as_dict(rows[0].value, "the row")
    context |= {key.lower(): first[key] for key in ("Season", "Episode") if first.get(key)}
    return conversation(name, turns, labels(context, ()))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
