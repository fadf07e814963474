"""Rendering of a conversation as one text, in which words are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

__all__ = ["RENDERINGS", "Rendering", "render"]

Rendering = Literal["text", "paper"]

RENDERINGS: tuple[Rendering, ...] = get_args(Rendering)


def render(utterances: Sequence[str], rendering: Rendering) -> str:
    """Return one turn per line: unchanged (`text`) or as in ConvoGen's tables III and V (`paper`).

    `paper` prefixes the turns with `user1: ` and `user2: ` alternately, regardless of the speaker,
    and these labels count as words. The paper does not state this rule, but the rule reproduces the
    paper's numbers.
    """
    if rendering == "text":
        return "\n".join(utterances)
    return "\n".join(f"user{index % 2 + 1}: {text}" for index, text in enumerate(utterances))
