"""Exports of unchanged conversations: one row per conversation, or one row per turn in CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from convogen.corpora.cells import CSV_SAFE
from convogen.exports.base import TURN, Column, Container, Exporter, Item

__all__ = ["Csv", "HuggingFace", "Jsonl", "Parquet"]


class _Conversations(Exporter):
    """The base class for exports with one row per conversation."""

    about_rows: ClassVar[str] = "one row per conversation"

    def columns(self) -> dict[str, Column]:
        return {
            "id": "string",
            "experience": "string",
            "method": "string",
            "participants": ["string"],
            "turns": [TURN],
            "ended": "string",
        }

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        found = item.conversation
        turns = [{"speaker": turn.speaker, "text": turn.text} for turn in found.turns]
        yield {
            "id": found.id,
            "experience": found.experience,
            "method": found.method,
            "participants": found.participants,
            "turns": turns,
            "ended": found.ended,
        }


class Jsonl(_Conversations):
    """One conversation per line, as JSON."""

    name: ClassVar[str] = "jsonl"
    container: ClassVar[Container] = "jsonl"


class Parquet(_Conversations):
    """One row per conversation, in a Parquet file."""

    name: ClassVar[str] = "parquet"
    container: ClassVar[Container] = "parquet"


class HuggingFace(_Conversations):
    """A `DatasetDict` on disk, for `datasets.load_from_disk`."""

    name: ClassVar[str] = "hf"
    container: ClassVar[Container] = "hf"


class Csv(Exporter):
    """One row per turn, in a flat table that loads anywhere.

    `participants` is a JSON list of all participants, including those who never spoke. Text that a
    spreadsheet would evaluate as a formula is preceded by an apostrophe. The `csv_safe` column
    marks such files, and convogen removes the apostrophes when it reads them.
    """

    name: ClassVar[str] = "csv"
    container: ClassVar[Container] = "csv"
    row_per_turn: ClassVar[bool] = True
    about_rows: ClassVar[str] = (
        "one row per turn; the rows of a conversation are adjacent and in order, and repeat the "
        "conversation's columns"
    )

    csv_safe: bool = Field(
        default=True,
        description="put an apostrophe before text that a spreadsheet would evaluate as a formula",
    )

    @property
    def protects_cells(self) -> bool:
        return self.csv_safe

    def columns(self) -> dict[str, Column]:
        mark: dict[str, Column] = {CSV_SAFE: "bool"} if self.csv_safe else {}
        return {
            "id": "string",
            "experience": "string",
            "method": "string",
            "participants": "string",
            "turn": "int64",
            "speaker": "string",
            "text": "string",
            "ended": "string",
            **mark,
        }

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        found = item.conversation
        mark = {CSV_SAFE: True} if self.csv_safe else {}
        for number, turn in enumerate(found.turns, 1):
            yield {
                "id": found.id,
                "experience": found.experience,
                "method": found.method,
                "participants": json.dumps(found.participants, ensure_ascii=False),
                "turn": number,
                "speaker": turn.speaker,
                "text": turn.text,
                "ended": found.ended,
                **mark,
            }
