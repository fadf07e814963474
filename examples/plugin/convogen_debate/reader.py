"""Reader of minutes: rows with a motion and a text of `SPEAKER: SPEECH` lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from convogen.extend import Conversation, Reader, Row, RowError, Turn


class Minutes(Reader):
    """Rows written by the exporter of the same name."""

    name: ClassVar[str] = "minutes"
    about: ClassVar[str] = "minutes of debates: a motion, and one speech per line"

    def fits(self, value: Any) -> bool:
        return (
            isinstance(value, dict)
            and {"motion", "minutes"} <= cast("dict[str, Any]", value).keys()
        )

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Convert one row; the inherited `breaks` treats every row as a separate debate."""
        value = rows[0].value
        if not self.fits(value) or not isinstance(value["minutes"], str):
            raise RowError("a motion and minutes are required, and minutes must be a string")
        turns = [
            _turn(number, line) for number, line in enumerate(value["minutes"].splitlines(), 1)
        ]
        if not turns:
            raise RowError("the minutes contain no lines")
        return [
            Conversation(
                id=str(value.get("id") or fallback),
                participants=list(dict.fromkeys(turn.speaker for turn in turns)),
                context={"topic": value["motion"]} if value["motion"] else {},
                turns=turns,
            )
        ]


def _turn(number: int, line: str) -> Turn:
    speaker, colon, text = line.partition(":")
    if not (colon and speaker.strip() and text.strip()):
        raise RowError(f"line {number} of the minutes is not of the form `SPEAKER: SPEECH`")
    return Turn(speaker=speaker.strip(), text=text.strip())
