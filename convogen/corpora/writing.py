"""Conversations written in the format of a source: its file type, its columns, and values that its
reader accepts.

Missing values are null in JSON and Parquet, and empty in CSV.
"""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, cast

from convogen.corpora.chat import MessageLists
from convogen.corpora.corpus import Corpus, open_corpus
from convogen.corpora.keys import keys_of, plain_key
from convogen.corpora.rows import RowError, decode
from convogen.corpora.sniff import Container, container_of
from convogen.corpora.sources import file_of
from convogen.errors import SourceError
from convogen.jsonl import write_whole
from convogen.records import Conversation

__all__ = ["Layout", "layout_of"]

LOOKED_AT = 200
"""Number of rows at the start of a source that determine the columns."""

SUFFIXES = {"jsonl": ".jsonl", "json": ".json", "csv": ".csv", "parquet": ".parquet"}

TEXTS = ("dialogue", "dialog", "utterances")
"""Columns that may contain a list of utterances."""


COUNTER = "Sr No."
"""MELD's column that counts the rows from 1."""


@dataclass(frozen=True)
class Layout:
    """The format of a source: its columns in order, its container, and the function that builds
    rows.

    If `columns` is empty, rows are written unchanged. `messages` contains the name of the messages
    column, and the keys for the speaker and the text in a message. `sentiments` maps each MELD
    emotion to the sentiment that always accompanies it. `separator` joins the lines of a script.
    """

    source: Path
    container: str
    columns: tuple[str, ...]
    rows: Callable[[Layout, int, Conversation], list[Any]]
    messages: tuple[str, str, str] = ("messages", "role", "content")
    separator: str = "\n"
    delimiter: str = ","
    sentiments: Mapping[str, str] | None = None

    @property
    def file_name(self) -> str:
        """The source's file name without a compression suffix; a format suffix is added if
        missing."""
        name = self.source.name
        for packed in (".gz", ".bz2", ".xz", ".zst"):
            name = name.removesuffix(packed)
        suffix = SUFFIXES[self.container]
        return name if Path(name).suffix else name + suffix

    def write(self, conversations: Iterable[Conversation], path: Path) -> list[str]:
        """Write conversations to a file; return the columns that are empty in all rows.

        Labels are taken from `Conversation.context`, under the keys that readers use.
        """
        rows: list[Any] = []
        for number, one in enumerate(conversations):
            rows.extend(self.rows(self, number, one))
        if COUNTER in self.columns:
            rows = [{**row, COUNTER: at} for at, row in enumerate(rows, 1)]
        if self.columns:
            rows = [{key: row.get(key) for key in self.columns} for row in rows]
        if self.container == "parquet":
            _write_parquet(rows, self.source, path)
        else:
            write_whole(path, _text(rows, self))
        return [key for key in self.columns if all(row[key] in (None, "") for row in rows)]


def layout_of(source: str, format: str | None = None) -> Layout:  # noqa: A002
    """Return the layout of a source; raises `SourceError` if its format cannot be written."""
    corpus = open_corpus(source, format)
    next(iter(corpus))
    rows = list(_values(corpus))
    objects = [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict)]
    columns = tuple(dict.fromkeys(str(key) for row in objects for key in row))
    messages = _messages(corpus, objects)
    writer = _writer(corpus.format.name, columns, messages)
    if corpus.format.name == "convogen":
        columns = ()
    path, reader = _place(source)
    container = reader.kind
    if writer is None or container not in SUFFIXES:
        raise SourceError(
            f"{source}: this variant of the '{corpus.format.name}' format can be read but not "
            "written; convert the source to DialogSum, SAMSum, MELD, messages, ShareGPT, LMSYS, "
            "turns or lists of utterances, in JSON, JSONL, CSV or Parquet"
        )
    carriage = any("\r\n" in str(row.get("dialogue", "")) for row in objects)
    return Layout(
        source=path,
        container=container,
        columns=columns,
        rows=writer,
        messages=messages or Layout.messages,
        delimiter=reader.delimiter,
        separator="\r\n" if carriage else "\n",
        sentiments=_implied(objects) if corpus.format.name == "meld" else None,
    )


def _messages(corpus: Corpus, rows: Sequence[dict[str, Any]]) -> tuple[str, str, str] | None:
    """Return the name of the messages column, and the keys for the speaker and the text in a
    message; None if there are no lists of messages, or the names differ between rows."""
    reader = corpus.format
    if not isinstance(reader, MessageLists):
        return None
    places: set[tuple[str, str, str]] = set()
    for row in rows:
        column = reader.column(row)
        if column is None or not isinstance(row[column], list):
            continue
        for item in row[column]:
            speakers, said = keys_of(tuple(item))
            if speakers and said:
                places.add((column, speakers[0], said[0]))
    return places.pop() if len(places) == 1 else None


def _place(source: str) -> tuple[Path, Container]:
    """Return a source's data file and its container; for a hub data set, the name of a JSONL
    file."""
    if source.startswith("hf:"):
        name = "".join(c if c.isalnum() or c in ".-_" else "-" for c in source[3:])
        return Path(f"{name}.jsonl"), Container("jsonl")
    path = file_of(source)
    return path, container_of(path)


def _values(corpus: Corpus) -> Iterable[Any]:
    for row in islice(corpus.rows(), LOOKED_AT if corpus.format.name != "meld" else None):
        try:
            yield decode(row.value)
        except RowError:
            continue


def _writer(
    name: str, columns: Sequence[str], messages: tuple[str, str, str] | None
) -> Callable[[Layout, int, Conversation], list[Any]] | None:
    """Return the function that builds the rows of a format; None if the format cannot be
    written."""
    if name in ("turns", "messages", "sharegpt", "lmsys", "seeds"):
        return _message_rows if messages is not None else None
    if name in ("personachat", "dailydialog"):
        return _text_list_rows if any(key in columns for key in TEXTS) else None
    return {
        "convogen": _own_rows,
        "dialogsum": _script_rows,
        "samsum": _script_rows,
        "meld": _meld_rows,
        "plain": _plain_rows,
    }.get(name)


def _own_rows(layout: Layout, number: int, conversation: Conversation) -> list[Any]:
    del layout, number
    return [conversation.model_dump(mode="json", exclude_none=True)]


def _message_rows(layout: Layout, number: int, conversation: Conversation) -> list[Any]:
    """Return one row, with the system message in a column or first in the list, as in the
    source."""
    del number
    column, speaker, text = layout.messages
    context = dict(conversation.context)
    messages = [{speaker: turn.speaker, text: turn.text} for turn in conversation.turns]
    chat = plain_key(speaker) in ("role", "from")
    if chat and isinstance(context.get("system"), str) and "system" not in layout.columns:
        messages.insert(0, {speaker: "system", text: context.pop("system")})
    inner = {key: value for key, value in context.items() if key not in layout.columns}
    ids = {
        "id": conversation.id,
        "conversation_id": conversation.id,
        "dialogue_id": conversation.id,
        "dialog_id": conversation.id,
    }
    people = {"participants": conversation.participants, "context": inner or None}
    return [{**people, **ids, **context, column: messages}]


def _text_list_rows(layout: Layout, number: int, conversation: Conversation) -> list[Any]:
    del number
    column = next(key for key in TEXTS if key in layout.columns)
    return [{**conversation.context, column: [turn.text for turn in conversation.turns]}]


def _plain_rows(layout: Layout, number: int, conversation: Conversation) -> list[Any]:
    del layout, number
    return [[turn.text for turn in conversation.turns]]


def _script_rows(layout: Layout, number: int, conversation: Conversation) -> list[Any]:
    """Return one row with a script, which has one line per turn; white space is collapsed, and
    colons are removed from names."""
    del number
    lines = [f"{_name(turn.speaker)}: {' '.join(turn.text.split())}" for turn in conversation.turns]
    ids = {"fname": conversation.id} if "fname" in layout.columns else {"id": conversation.id}
    return [{**conversation.context, **ids, "dialogue": layout.separator.join(lines)}]


def _name(speaker: str) -> str:
    return " ".join(speaker.replace(":", " ").split())


def _meld_rows(layout: Layout, number: int, conversation: Conversation) -> list[Any]:
    emotions = conversation.context.get("emotions", [])
    implied = layout.sentiments or {}
    rows: list[Any] = []
    for index, turn in enumerate(conversation.turns):
        emotion = emotions[index] if index < len(emotions) else None
        rows.append(
            {
                "Utterance": turn.text,
                "Speaker": turn.speaker,
                "Emotion": emotion,
                "Sentiment": implied.get(str(emotion)),
                "Dialogue_ID": number,
                "Utterance_ID": index,
            }
        )
    return rows


def _implied(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return the sentiment for each emotion that has the same sentiment in all these rows."""
    seen: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.get("Emotion") and row.get("Sentiment"):
            seen[str(row["Emotion"])].add(str(row["Sentiment"]))
    return {emotion: min(values) for emotion, values in seen.items() if len(values) == 1}


def _text(rows: Sequence[Any], layout: Layout) -> str:
    container = layout.container
    if container == "jsonl":
        return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    if container == "json":
        return json.dumps(rows, ensure_ascii=False, indent=1) + "\n"
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, layout.columns, delimiter=layout.delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_parquet(rows: Sequence[Any], source: Path, path: Path) -> None:
    arrow: Any = import_module("pyarrow")
    parquet: Any = import_module("pyarrow.parquet")
    schema = parquet.read_schema(source)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(list(rows), schema=schema), path)
