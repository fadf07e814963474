"""Minutes, read back: a row with a motion, and a text of `SPEAKER: SPEECH` lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

from convogen.extend import Conversation, Reader, Row, RowError, Turn


class Minutes(Reader):
    """Rows of the exporter of the same name."""

    name: ClassVar[str] = "minutes"
    about: ClassVar[str] = "minutes of debates: a motion, and a speech a line"

    def fits(self, value: Any) -> bool:
        return (
            isinstance(value, dict)
            and {"motion", "minutes"} <= cast("dict[str, Any]", value).keys()
        )

    def convert(self, rows: Sequence[Row], fallback: str) -> list[Conversation]:
        """Read one row: `breaks` is the base's, so that no two rows are one debate."""
        value = rows[0].value
        if not self.fits(value) or not isinstance(value["minutes"], str):
            raise RowError("motion and minutes are expected, minutes as a text")
        turns = [
            _turn(number, line) for number, line in enumerate(value["minutes"].splitlines(), 1)
        ]
        if not turns:
            raise RowError("minutes has no line")
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
        raise RowError(f"line {number} of the minutes is no `SPEAKER: SPEECH`")
    return Turn(speaker=speaker.strip(), text=text.strip())
