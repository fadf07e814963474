"""A dialogue as a transcript with one line per turn."""

from __future__ import annotations

from convogen.records import Turn
from convogen.text.transcript import transcript


def test_a_turn_is_a_line() -> None:
    turns = [Turn(speaker="Ada", text="One\n\ntwo."), Turn(speaker="Bo", text="")]
    assert transcript(turns) == "Ada: One two.\nBo: "
    assert transcript([]) == ""
