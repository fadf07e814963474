"""Readers for scripts in a column: SAMSum, DialogSum, Synthetic-Persona-Chat and others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from convogen.corpora.base import Reader
from convogen.corpora.chat import name_of
from convogen.corpora.keys import plain_keys
from convogen.corpora.rows import Row, RowError
from convogen.corpora.script import candidate, script_turns
from convogen.corpora.turns import as_dict, conversation, has, labels, text_of
from convogen.records import Conversation

__all__ = ["DialogSum", "SAMSum", "Scripts", "SyntheticPersonaChat"]


class Scripts(Reader):
    r"""A script `Speaker: text\n…` in a column."""

    name: ClassVar[str] = "scripts"
    about: ClassVar[str] = "a script in a column, one 'Speaker: text' per line"
    columns: ClassVar[tuple[str, ...]] = (
        "conversation", "dialog", "transcript", "chat", "messages", "turns", "utterances", "script",
        "text", "content",
    )  # fmt: skip

    def fits(self, value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        row = cast("dict[str, Any]", value)
        key = self.column(row)
        return key is not None and _is_script(row[key])

    def column(self, row: Mapping[str, Any]) -> str | None:
        """Return the key of the script; None if there is no script."""
        plain = plain_keys(row)
        found = (plain[name] for name in self.columns if name in plain)
        return next((key for key in found if isinstance(row[key], str)), None)

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        row = as_dict(rows[0].value, "the row")
        key = self.column(row)
        if key is None:
            raise RowError(
                f"the row must have a script under a key such as {self.columns[0]!r}; its keys "
                f"are: {', '.join(map(repr, row)) or 'none'}"
            )
        name, id_key = name_of(row, fallback)
        turns = script_turns(text_of(row.get(key), f"{key!r}"))
        return [conversation(name, turns, labels(row, (key, id_key)))]


class SAMSum(Scripts):
    """SAMSum: dialogues as scripts, with summaries."""

    name: ClassVar[str] = "samsum"
    about: ClassVar[str] = "SAMSum: a script in the field 'dialogue', with its summary"
    columns: ClassVar[tuple[str, ...]] = ("dialogue",)

    def fits(self, value: Any) -> bool:
        return has(value, dialogue=str)


class DialogSum(SAMSum):
    """DialogSum: like SAMSum, with topics."""

    name: ClassVar[str] = "dialogsum"
    about: ClassVar[str] = "DialogSum: like SAMSum, with the field 'fname' and topics"

    def fits(self, value: Any) -> bool:
        return has(value, "fname", dialogue=str)


class SyntheticPersonaChat(Scripts):
    """Synthetic-Persona-Chat: the personas of both speakers, and a script."""

    name: ClassVar[str] = "synthetic_persona_chat"
    about: ClassVar[str] = "Synthetic-Persona-Chat: the personas of both speakers, and a script"
    columns: ClassVar[tuple[str, ...]] = ("bestgeneratedconversation",)

    def fits(self, value: Any) -> bool:
        return isinstance(value, dict) and self.column(cast("dict[str, Any]", value)) is not None


def _is_script(text: str) -> bool:
    """Return whether the first line of a text and at least one other line name a speaker."""
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    found = [candidate(line) for line in lines[:50]]
    return bool(found) and found[0] is not None and sum(one is not None for one in found) > 1
