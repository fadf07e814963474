"""Formatting of a dialogue as a transcript that a person or a model reads."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["Said", "transcript"]


class Said(Protocol):
    """A turn with its speaker and text."""

    @property
    def speaker(self) -> str: ...

    @property
    def text(self) -> str: ...


def transcript(turns: Iterable[Said]) -> str:
    """Return one line per turn: the speaker's name, and the text with white space collapsed."""
    return "\n".join(f"{turn.speaker}: {' '.join(turn.text.split())}" for turn in turns)
