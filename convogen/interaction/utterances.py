"""Properties of a turn that several measures need, such as its words."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CLIP", "Utterance", "only_asks", "read"]

CLIP = 2_000
"""Maximum number of characters of a turn that are analysed."""

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_QUESTION = re.compile(r"[?？؟]")
_PAUSE = re.compile(r"\.{2,}|…")
_STATES = re.compile(r"[.!](?:\s|\Z)|[。！]")
_STRAIGHT = str.maketrans("‘’`", "'''")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A turn as the rules see it.

    Attributes:
        text: The text of the turn, up to `CLIP` characters.
        plain: The text in lower case with straight apostrophes.
        tokens: The words in order.
        words: The distinct words, and the stems of contractions.
        asks: Whether the turn contains a question mark.
    """

    text: str
    plain: str
    tokens: tuple[str, ...]
    words: frozenset[str]
    asks: bool


def read(text: str) -> Utterance:
    """Return a turn with the properties that several rules need."""
    text = text[:CLIP].strip()
    plain = text.translate(_STRAIGHT).lower()
    tokens = _WORD.findall(plain)
    words = frozenset(tokens)
    if "'" in plain:  # a rule's word may be the stem of a contraction: `let's`, `who's`
        words |= {token.partition("'")[0] for token in tokens if "'" in token}
    return Utterance(text, plain, tuple(tokens), words, _QUESTION.search(plain) is not None)


def only_asks(said: Utterance) -> bool:
    """Return whether a turn consists only of questions."""
    return said.asks and _STATES.search(_PAUSE.sub(" ", said.plain)) is None
