"""Exporter of minutes: one row per debate, with the motion and the speeches as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from convogen.extend import Column, Container, Exporter, Item


class Minutes(Exporter):
    """Rows with the motion of a debate and all speeches as one text."""

    name: ClassVar[str] = "minutes"
    container: ClassVar[Container] = "jsonl"
    with_context: ClassVar[bool] = False
    about_rows: ClassVar[str] = "one row per debate; each line of its minutes is a speech"

    separator: str = Field(default=": ", min_length=1, description="text between name and speech")

    def columns(self) -> dict[str, Column]:
        return {"id": "string", "motion": "string", "minutes": "string"}

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        """Yield one row; line breaks within a speech are counted and removed."""
        debate = item.conversation
        counts["line_breaks"] += sum("\n" in turn.text.strip() for turn in debate.turns)
        lines = (
            f"{turn.speaker}{self.separator}{' '.join(turn.text.split())}" for turn in debate.turns
        )
        yield {
            "id": debate.id,
            "motion": debate.context.get("topic"),
            "minutes": "\n".join(lines),
        }
