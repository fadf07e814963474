"""Rendering the turns of a conversation as one text, to count words in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

__all__ = ["RENDERINGS", "Rendering", "render"]

Rendering = Literal["text", "paper"]

RENDERINGS: tuple[Rendering, ...] = get_args(Rendering)


def render(utterances: Sequence[str], rendering: Rendering) -> str:
    """Return one turn per line: as it is (`text`), or as in tables III and V of ConvoGen (`paper`).

    `paper` alternately puts `user1: ` and `user2: ` before the turns, whoever speaks, so that the
    labels count as words. The paper does not state this rule, but it reproduces its numbers.
    """
    if rendering == "text":
        return "\n".join(utterances)
    return "\n".join(f"user{index % 2 + 1}: {text}" for index, text in enumerate(utterances))
