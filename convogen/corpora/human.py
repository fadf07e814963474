"""Formats of the human corpora, in the shapes their authors released them in.

PERSONA-CHAT (Zhang et al., 2018), DailyDialog (Li et al., 2017), EmpatheticDialogues (Rashkin et
al., 2019), SAMSum (Gliwa et al., 2019), DialogSum (Chen et al., 2021), MELD (Poria et al., 2019).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from convogen.corpora.base import Reader
from convogen.corpora.chat import field
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import (
    alternating,
    as_dict,
    as_list,
    conversation,
    has,
    labels,
    script_turns,
    text_of,
)
from convogen.types import Conversation, Turn

__all__ = [
    "DailyDialog",
    "DialogSum",
    "EmpatheticDialogues",
    "Meld",
    "ParlAI",
    "PersonaChat",
    "SAMSum",
]

_PARLAI = re.compile(r"(\d{1,6}) (.*)", re.DOTALL)
_PERSONAS = {"your persona: ": "user2", "partner's persona: ": "user1"}


class PersonaChat(Reader):
    """PERSONA-CHAT in JSON, its dialogues as they are or as histories."""

    name: ClassVar[str] = "personachat"
    about: ClassVar[str] = "PERSONA-CHAT in JSON"

    def fits(self, value: Any) -> bool:
        return has(value, dialogue=list) or has(value, "personality", utterances=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        whole = has(rows[0].value, "dialogue") or not has(rows[0].value, "utterances")
        return (_personachat_row if whole else _personachat_history)(rows, fallback)


class ParlAI(Reader):
    """PERSONA-CHAT in ParlAI's text: numbered lines, 1 begins an episode."""

    name: ClassVar[str] = "parlai"
    about: ClassVar[str] = "PERSONA-CHAT in ParlAI's text"
    former: ClassVar[tuple[str, ...]] = ("personachat",)

    def fits(self, value: Any) -> bool:
        return _parlai_number(value) > 0

    def breaks(self, previous: Any, value: Any) -> bool:
        return _parlai_number(value) <= _parlai_number(previous)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        return _parlai_rows(rows, fallback)


class DailyDialog(Reader):
    """DailyDialog: lines with __eou__ after each utterance, or rows."""

    name: ClassVar[str] = "dailydialog"
    about: ClassVar[str] = "DailyDialog, as text or as rows"

    def fits(self, value: Any) -> bool:
        line = isinstance(value, str) and "__eou__" in value
        return line or has(value, dialog=list) or has(value, "acts", utterances=list)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        line = isinstance(rows[0].value, str)
        return (_dailydialog_line if line else _dailydialog_row)(rows, fallback)


class EmpatheticDialogues(Reader):
    """EmpatheticDialogues, an utterance a row."""

    name: ClassVar[str] = "empatheticdialogues"
    about: ClassVar[str] = "EmpatheticDialogues, an utterance a row"

    def fits(self, value: Any) -> bool:
        return has(value, "conv_id", "utterance")

    def breaks(self, previous: Any, value: Any) -> bool:
        return field(previous, "conv_id") != field(value, "conv_id")

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        return _empathetic_rows(rows, fallback)


class Meld(Reader):
    """MELD, an utterance a row."""

    name: ClassVar[str] = "meld"
    about: ClassVar[str] = "MELD, an utterance a row"

    def fits(self, value: Any) -> bool:
        return has(value, "Dialogue_ID", "Utterance", "Speaker")

    def breaks(self, previous: Any, value: Any) -> bool:
        return field(previous, "Dialogue_ID") != field(value, "Dialogue_ID")

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        return _meld_rows(rows, fallback)


class SAMSum(Reader):
    """SAMSum: dialogues as scripts, with summaries."""

    name: ClassVar[str] = "samsum"
    about: ClassVar[str] = "SAMSum"

    def fits(self, value: Any) -> bool:
        return has(value, dialogue=str)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        return _script_row(rows, fallback)


class DialogSum(SAMSum):
    """DialogSum: as SAMSum, with topics."""

    name: ClassVar[str] = "dialogsum"
    about: ClassVar[str] = "DialogSum"

    def fits(self, value: Any) -> bool:
        return has(value, "fname", dialogue=str)


def _personachat_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"speaker persona": […], "listener persona": […], "dialogue": ["…", …]}`."""
    row = as_dict(rows[0].value, "the row")
    turns = alternating(as_list(row.get("dialogue"), "'dialogue'"))
    return [conversation(fallback, turns, labels(row, ("dialogue",)))]


def _personachat_history(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"personality": […], "utterances": [{"history": […], "candidates": […]}, …]}`.

    The shape of `personachat_self_original.json`: the last history and its gold reply, which is
    the last candidate, are the whole dialogue. The personality is that of the second speaker.
    """
    row = as_dict(rows[0].value, "the row")
    utterances = as_list(row.get("utterances"), "'utterances'")
    if not utterances:
        raise RowError("no utterances")
    last = as_dict(utterances[-1], "the last of 'utterances'")
    texts = as_list(last.get("history"), "'history'")
    gold = as_list(last.get("candidates") or [], "'candidates'")[-1:]
    return [conversation(fallback, alternating([*texts, *gold]), labels(row, ("utterances",)))]


def _parlai_number(value: Any) -> int:
    """The number a line of ParlAI text begins with; it starts again at 1 with an episode."""
    match = _PARLAI.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) if match else 0


def _parlai_rows(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """An episode of ParlAI text: numbered lines of personas, then of `text⇥reply⇥…`."""
    personas: dict[str, list[str]] = {}
    texts: list[str] = []
    for line, value in rows:
        match = _PARLAI.fullmatch(text_of(value, "the row"))
        if match is None:
            raise RowError("no line number at the start of the line", line)
        prefix = next((mark for mark in _PERSONAS if match[2].startswith(mark)), None)
        if prefix is not None:
            personas.setdefault(_PERSONAS[prefix], []).append(match[2].removeprefix(prefix))
            continue
        said = match[2].split("\t")[:2]
        if len(said) < 2:
            raise RowError("no tab between what was said and the reply", line)
        texts.extend(said)
    context = {"personas": personas} if personas else {}
    turns = [turn for turn in alternating(texts) if turn.text not in ("__SILENCE__", "")]
    return [conversation(fallback, turns, context)]


def _dailydialog_line(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """A line of DailyDialog: utterances, `__eou__` after each."""
    texts = [text.strip() for text in text_of(rows[0].value, "the row").split("__eou__")]
    if len(texts) < 2:
        raise RowError("no __eou__ in the line")
    return [conversation(fallback, alternating(texts if texts[-1] else texts[:-1]), {})]


def _dailydialog_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"dialog": ["…", …], "act": […], "emotion": […]}`, DailyDialog as the hub has it."""
    row = as_dict(rows[0].value, "the row")
    key = next((name for name in ("dialog", "utterances") if name in row), "dialog")
    turns = alternating(as_list(row.get(key), f"{key!r}"))
    return [conversation(fallback, turns, labels(row, (key,)))]


def _empathetic_rows(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """The rows of one `conv_id` of EmpatheticDialogues, `_comma_` put back."""
    first = as_dict(rows[0].value, "the row")
    turns: list[Turn] = []
    for line, value in rows:
        row = as_dict(value, "the row")
        if not isinstance(row.get("utterance"), str) or row.get("speaker_idx") is None:
            raise RowError("too few fields: no 'utterance' or 'speaker_idx'", line)
        text = row["utterance"].replace("_comma_", ",").strip()
        turns.append(Turn(speaker=f"speaker{row['speaker_idx']}", text=text))
    kept = {
        key: first[key].replace("_comma_", ",")
        for key in ("context", "prompt")
        if isinstance(first.get(key), str)
    }
    name = first.get("conv_id")
    return [conversation(name if isinstance(name, str) else fallback, turns, labels(kept, ()))]


def _meld_rows(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """The rows of one `Dialogue_ID` of MELD; emotions and sentiments are lists, one a turn."""
    turns: list[Turn] = []
    context: dict[str, Any] = {"emotions": [], "sentiments": []}
    for line, value in rows:
        row = as_dict(value, "the row")
        speaker, text = row.get("Speaker"), row.get("Utterance")
        if not isinstance(speaker, str) or not isinstance(text, str):
            raise RowError("no 'Speaker' or 'Utterance'", line)
        turns.append(Turn(speaker=speaker, text=text))
        context["emotions"].append(row.get("Emotion"))
        context["sentiments"].append(row.get("Sentiment"))
    first = as_dict(rows[0].value, "the row")
    context |= {key.lower(): first[key] for key in ("Season", "Episode") if first.get(key)}
    name = f"{fallback.rpartition('-')[0]}-{first.get('Dialogue_ID')}"
    return [conversation(name, turns, labels(context, ()))]


def _script_row(rows: Sequence[Row], fallback: str) -> list[Conversation]:
    """`{"dialogue": "A: …\\nB: …"}` with `summary` and, in DialogSum, `topic`; SAMSum's too."""
    row = as_dict(rows[0].value, "the row")
    turns = script_turns(text_of(row.get("dialogue"), "'dialogue'"))
    key = "fname" if "fname" in row else "id"
    name = row.get(key)
    name = str(name) if isinstance(name, str | int) and name != "" else fallback
    return [conversation(name, turns, labels(row, ("dialogue", key)))]
