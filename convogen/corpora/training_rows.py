"""Readers for training data: preference pairs, and prompts with answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from convogen.corpora.base import Reader
from convogen.corpora.chat import name_of
from convogen.corpora.keys import are_messages, listed
from convogen.corpora.messages import read_messages
from convogen.corpora.rows import Row, RowError
from convogen.corpora.turns import as_dict, as_list, conversation, has, labels
from convogen.records import Conversation, Turn

__all__ = ["Instructions", "Preferences"]

_TOLD = re.compile(r"(?:^|\n\n)(Human|Assistant|H|A): ?")
_PAIRS = (
    ("prompt", "completion"), ("instruction", "output"), ("instruction", "response"),
    ("prompt", "response"), ("question", "answer"), ("question", "response"), ("query", "response"),
    ("prompt", "output"), ("input", "output"), ("inputs", "targets"), ("human", "assistant"),
    ("user", "assistant"), ("user", "bot"), ("human", "bot"), ("input", "response"),
)  # fmt: skip


class Preferences(Reader):
    """Two answers to one prompt, of which only the chosen answer becomes part of a conversation."""

    name: ClassVar[str] = "preferences"
    about: ClassVar[str] = "'chosen' and 'rejected' (not read), with or without 'prompt'"

    def fits(self, value: Any) -> bool:
        return has(value, "chosen", "rejected") and all(
            isinstance(value[key], str) or are_messages(listed(value[key]))
            for key in ("chosen", "rejected")
        )

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Return the prompt with the chosen answer; the last turn of the rejected answer becomes a
        label."""
        row = as_dict(rows[0].value, "the row")
        name, id_key = name_of(row, fallback)
        before, context, left_out = _column_turns(row.get("prompt"), "user", "'prompt'")
        turns, more, others = _column_turns(row.get("chosen"), "assistant", "'chosen'")
        rejected, _, _ = _column_turns(row.get("rejected"), "assistant", "'rejected'")
        if turns[: len(before)] != before:
            turns = [*before, *turns]
        context |= more | labels(row, ("prompt", "chosen", "rejected", id_key))
        if rejected:
            context["rejected"] = rejected[-1].text
        return [conversation(name, turns, context, left_out=left_out + others)]


class Instructions(Reader):
    """A prompt and its answer in two columns, as in Alpaca and Dolly."""

    name: ClassVar[str] = "instructions"
    about: ClassVar[str] = "a prompt and its completion, or Alpaca's instruction, input and output"

    def fits(self, value: Any) -> bool:
        return self._pair(value) is not None

    @staticmethod
    def _pair(value: Any) -> tuple[str, str] | None:
        for pair in _PAIRS:
            if has(value, *pair):
                row = cast("dict[str, Any]", value)
                if all(isinstance(row[key], str) or are_messages(listed(row[key])) for key in pair):
                    return pair
        return None

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        row = as_dict(rows[0].value, "the row")
        pair = self._pair(row)
        if pair is None:
            raise RowError(
                f"the row must have a prompt and an answer under keys such as 'prompt' and "
                f"'completion'; its keys are: {', '.join(map(repr, row)) or 'none'}"
            )
        name, id_key = name_of(row, fallback)
        asked, answer = row[pair[0]], row[pair[1]]
        used = [*pair, id_key, "history"]
        for more in ("input", "context"):
            extra = row.get(more)
            if pair[0] == "instruction" and isinstance(asked, str) and isinstance(extra, str):
                asked = f"{asked}\n{extra}".strip()
                used.append(more)
        earlier = _history(row.get("history"))
        before, context, left_out = _column_turns(asked, "user", f"{pair[0]!r}")
        after, more_context, others = _column_turns(answer, "assistant", f"{pair[1]!r}")
        context |= more_context | labels(row, used)
        turns = [*earlier, *before, *after]
        return [conversation(name, turns, context, left_out=left_out + others)]


def _history(value: Any) -> list[Turn]:
    """Return the turns of earlier questions and answers, which are given as `[["…", "…"], …]`."""
    turns: list[Turn] = []
    for number, pair in enumerate(as_list(value or [], "'history'"), 1):
        texts = as_list(pair, f"round {number} of 'history'")
        for speaker, text in zip(("user", "assistant"), texts, strict=False):
            turns.append(Turn(speaker=speaker, text=str(text)))
    return turns


def _column_turns(
    value: Any, speaker: str, what: str
) -> tuple[list[Turn], dict[str, Any], Counter[str]]:
    """Return the turns and labels in a column, and the counts of the messages left out.

    The column contains messages, a transcript with `Human:` and `Assistant:`, or a single text.
    """
    if value is None:
        return [], {}, Counter()
    found = listed(value)
    if found is not None and are_messages(found):
        messages = read_messages(found)
        return messages.turns, messages.labels, messages.left_out
    if not isinstance(value, str):
        raise RowError(f"{what} must be a string or a list of messages, not {type(value).__name__}")
    parts = _TOLD.split(value)
    if len(parts) > 1 and not parts[0].strip():
        pairs = zip(parts[1::2], parts[2::2], strict=True)
        return [Turn(speaker=who, text=text.strip()) for who, text in pairs], {}, Counter()
    return [Turn(speaker=speaker, text=value.strip())], {}, Counter()
