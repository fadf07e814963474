"""Rendering of text as paragraphs and blocks of code, never as markup."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from convogen.records import Turn
from convogen.study.dialogues import exchanges

__all__ = ["Block", "Bubble", "blocks", "shown_dialogue"]

_FENCE = re.compile(r"```(?:[ \t]*[\w+#.-]{0,20}[ \t]*\n)?(.*?)(?:```|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of a text: prose, or code enclosed in fences."""

    text: str
    code: bool


@dataclass(frozen=True, slots=True)
class Bubble:
    """An utterance for display.

    Attributes:
        machine: Whether the chatbot wrote the utterance.
        number: The number of the exchange, counted from 1.
        opens: Whether the utterance is the first of its exchange.
        blocks: The utterance's text, split into prose and code.
    """

    machine: bool
    number: int
    opens: bool
    blocks: list[Block]


def blocks(text: str) -> list[Block]:
    """Split text into prose and code; code is enclosed in ``` fences."""
    found: list[Block] = []
    end = 0
    for fence in _FENCE.finditer(text):
        found += _prose(text[end : fence.start()])
        if fence[1].strip():
            found.append(Block(fence[1].strip("\n"), code=True))
        end = fence.end()
    return [*found, *_prose(text[end:])]


def _prose(text: str) -> list[Block]:
    return [Block(part.strip(), code=False) for part in re.split(r"\n\s*\n", text) if part.strip()]


def shown_dialogue(turns: Sequence[Turn]) -> list[Bubble]:
    """Return the utterances of a dialogue in order."""
    found: list[Bubble] = []
    for number, exchange in enumerate(exchanges(turns), 1):
        both = [(turn, False) for turn in exchange.prompts]
        both += [(turn, True) for turn in exchange.replies]
        found += [
            Bubble(machine, number, at == 0, blocks(turn.text))
            for at, (turn, machine) in enumerate(both)
        ]
    return found
