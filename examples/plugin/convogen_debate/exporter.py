"""Minutes: a debate a row, the motion and what was said as text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from convogen.extend import Column, Container, Exporter, Item


class Minutes(Exporter):
    """A debate a row: its motion, and the speeches as one text."""

    name: ClassVar[str] = "minutes"
    container: ClassVar[Container] = "jsonl"
    with_context: ClassVar[bool] = False
    about_rows: ClassVar[str] = "a row is a debate; a line of its minutes is a speech"

    separator: str = Field(default=": ", min_length=1, description="between speaker and speech")

    def columns(self) -> dict[str, Column]:
        return {"id": "string", "motion": "string", "minutes": "string"}

    def rows(self, item: Item, counts: Counter[str]) -> Iterator[dict[str, Any]]:
        """Yield one row; line breaks within a speech are not kept, and counted."""
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
