"""Readers for human corpora without speaker names, in the formats in which they were released.

The corpora are PERSONA-CHAT (Zhang et al., 2018), DailyDialog (Li et al., 2017) and MultiWOZ
(Budzianowski et al., 2018).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from convogen.corpora.base import Reader
from convogen.corpora.rows import Row, RowError
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
from convogen.records import Conversation

__all__ = ["DailyDialog", "MultiWOZ", "ParlAI", "PersonaChat"]

_PARLAI = re.compile(r"(\d{1,6}) (.*)", re.DOTALL)
_PERSONAS = {"your persona: ": "user2", "partner's persona: ": "user1"}


class PersonaChat(Reader):
    """PERSONA-CHAT in JSON, with whole dialogues or with the history before each reply."""

    name: ClassVar[str] = "personachat"
    about: ClassVar[str] = "PERSONA-CHAT in JSON"

    def fits(self, value: Any) -> bool:
        return texts(field(value, "dialogue")) or has(value, "personality", utterances=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        whole = has(rows[0].value, "dialogue") or not has(rows[0].value, "utterances")
        return (_personachat_row if whole else _personachat_history)(rows, fallback)


class ParlAI(Reader):
    """PERSONA-CHAT in ParlAI's text format: lines that are numbered from 1 in each episode."""

    name: ClassVar[str] = "parlai"
    about: ClassVar[str] = "PERSONA-CHAT in ParlAI's text format"
    former: ClassVar[tuple[str, ...]] = ("personachat",)
    parts = False

    def fits(self, value: Any) -> bool:
        return _parlai_number(value) > 0

    def breaks(self, previous: Any, value: Any) -> bool:
        return _parlai_number(value) <= _parlai_number(previous)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        return _parlai_rows(rows, fallback)


class DailyDialog(Reader):
    """DailyDialog: lines of text with `__eou__` after each utterance, or rows."""

    name: ClassVar[str] = "dailydialog"
    about: ClassVar[str] = "DailyDialog, as text or as rows"

    def fits(self, value: Any) -> bool:
        line = isinstance(value, str) and "__eou__" in value
        rows = texts(field(value, "dialog")) or (
            has(value, "acts") and texts(field(value, "utterances"))
        )
        return line or rows

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        line = isinstance(rows[0].value, str)
        return (_dailydialog_line if line else _dailydialog_row)(rows, fallback)


class MultiWOZ(Reader):
    """MultiWOZ 2.0 and 2.1: a log in which a user and the system alternate."""

    name: ClassVar[str] = "multiwoz"
    about: ClassVar[str] = "MultiWOZ 2.0 and 2.1, with dialogues keyed by name"

    def fits(self, value: Any) -> bool:
        log: Any = field(value, "log")
        if not isinstance(log, list) or not log:
            return False
        return all(has(item, text=str) for item in cast("list[Any]", log)[:5])

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        row = as_dict(rows[0].value, "the row")
        log = as_list(row.get("log"), "'log'")
        said = [as_dict(item, f"turn {at}").get("text") for at, item in enumerate(log, 1)]
        name = row_id(row, "id", fallback)
        return [
            conversation(name, alternating(said, ("user", "system")), labels(row, ("log", "id")))
        ]


def _personachat_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Convert `{"speaker persona": […], "listener persona": […], "dialogue": ["…", …]}`."""
    row = as_dict(rows[0].value, "the row")
    turns = alternating(as_list(row.get("dialogue"), "'dialogue'"))
    return [conversation(fallback, turns, labels(row, ("dialogue",)))]


def _personachat_history(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Convert `{"personality": […], "utterances": [{"history": […], "candidates": […]}, …]}`.

    This is the form of `personachat_self_original.json`. The last history and its gold reply (the
    last candidate) together form the whole dialogue. The personality describes the second speaker.
    """
    row = as_dict(rows[0].value, "the row")
    utterances = as_list(row.get("utterances"), "'utterances'")
    if not utterances:
        raise RowError("'utterances' must not be empty")
    last = as_dict(utterances[-1], "the last element of 'utterances'")
    texts = as_list(last.get("history"), "'history'")
    gold = as_list(last.get("candidates") or [], "'candidates'")[-1:]
    return [conversation(fallback, alternating([*texts, *gold]), labels(row, ("utterances",)))]


def _parlai_number(value: Any) -> int:
    """Return the number at the beginning of a line of ParlAI text, or 0 without a number."""
    match = _PARLAI.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else 0


def _parlai_rows(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Convert an episode of ParlAI text: persona lines, followed by lines like `text⇥reply⇥…`."""
    personas: dict[str, list[str]] = {}
    texts: list[str] = []
    for line, value, _ in rows:
        match = _PARLAI.fullmatch(text_of(value, "the row"))
        if match is None:
            raise RowError("the line must begin with a line number and a space", line)
        prefix = next((mark for mark in _PERSONAS if match[2].startswith(mark)), None)
        if prefix is not None:
            personas.setdefault(_PERSONAS[prefix], []).append(match[2].removeprefix(prefix))
            continue
        said = match[2].split("\t")[:2]
        if len(said) < 2:
            raise RowError("a tab must separate the utterance from the reply", line)
        texts.extend(said)
    context = {"personas": personas} if personas else {}
    turns = [turn for turn in alternating(texts) if turn.text not in ("__SILENCE__", "")]
    return [conversation(fallback, turns, context)]


def _dailydialog_line(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Convert a line of DailyDialog: utterances, each followed by `__eou__`, and optional labels
    after tabs."""
    said, *cells = text_of(rows[0].value, "the row").split("\t")
    texts = [text.strip() for text in said.split("__eou__")]
    if len(texts) < 2:
        raise RowError("the line must contain __eou__ after each utterance")
    texts = texts if texts[-1] else texts[:-1]
    return [conversation(fallback, alternating(texts), _cells(cells, len(texts)))]


def _cells(cells: Sequence[str], n_turns: int) -> dict[str, Any]:
    """Return XDailyDialog's labels: the topic (a number), the acts (the first list) and the
    emotions (the second list).

    Other cells are kept unchanged.
    """
    labels: dict[str, Any] = {}
    lists = iter(("act", "emotion"))
    for index, cell in enumerate(cells, 1):
        words = cell.split()
        numbers = [int(word) for word in words if word.isascii() and word.isdigit()]
        if not words:
            continue
        if len(numbers) < len(words) or len(numbers) not in (1, n_turns):
            labels[f"label{index}"] = cell
        elif len(numbers) == 1 and "topic" not in labels and index == 1:
            labels["topic"] = numbers[0]
        else:
            labels[next(lists, f"label{index}")] = numbers
    return labels


def _dailydialog_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """Convert `{"dialog": ["…", …], "act": […], "emotion": […]}`, the form of DailyDialog's rows on
    the hub."""
    row = as_dict(rows[0].value, "the row")
    key = next((name for name in ("dialog", "utterances") if name in row), "dialog")
    turns = alternating(as_list(row.get(key), f"{key!r}"))
    return [conversation(fallback, turns, labels(row, (key,)))]
