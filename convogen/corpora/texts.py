"""Readers for lists of strings. A parallel list or the strings themselves name the speakers;
otherwise, two speakers alternate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from convogen.corpora.base import Reader
from convogen.corpora.chat import name_of
from convogen.corpora.keys import listed, plain_keys
from convogen.corpora.rows import Row, RowError
from convogen.corpora.script import labelled_texts
from convogen.corpora.turns import (
    alternating,
    as_dict,
    as_list,
    conversation,
    labels,
    text_of,
    texts,
)
from convogen.records import Conversation, Turn

__all__ = ["Plain", "TextLists"]


class TextLists(Reader):
    """A list of strings under a key, with or without a parallel list of speakers."""

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
        """Return whether a row with a list of texts also names the speakers."""
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
            raise RowError(
                f"the row must have a list of strings under a key such as {self.columns[0]!r}; "
                f"its keys are: {', '.join(map(repr, row)) or 'none'}"
            )
        said = listed(row[key]) or []
        who = self._list_of(row, self.speakers)
        name, id_key = name_of(row, fallback)
        context = labels(row, (key, who or "", id_key))
        if who is None:
            turns = labelled_texts(said) or alternating(said)
        else:
            names = listed(row[who]) or []
            if len(names) != len(said):
                raise RowError(
                    f"{who!r} and {key!r} must have the same length, but their lengths are "
                    f"{len(names)} and {len(said)}"
                )
            turns = [Turn(speaker=one, text=text) for one, text in zip(names, said, strict=True)]
        return [conversation(name, turns, context)]


class Plain(Reader):
    """Lists of strings: two speakers alternate unless the strings name their speakers."""

    name: ClassVar[str] = "plain"
    about: ClassVar[str] = "one list of strings per conversation"

    def fits(self, value: Any) -> bool:
        return texts(value) or self._is_dream(value)

    @staticmethod
    def _is_dream(value: Any) -> bool:
        """Return whether a row is from DREAM: a list of labelled strings, a list of questions, and
        an id."""
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


def _marked(row: Mapping[str, Any], key: str | None) -> bool:
    return key is not None and bool(labelled_texts(listed(row[key]) or []))
