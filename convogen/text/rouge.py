"""ROUGE-L of two texts (Lin, 2004), on the tokens of the `rouge-score` package."""

from __future__ import annotations

import re

from rapidfuzz.distance import LCSseq

__all__ = ["rouge_l", "tokens"]

_TOKEN = re.compile(r"[a-z0-9]+")


def tokens(text: str) -> list[str]:
    """Return the lower-cased runs of ASCII letters and digits."""
    return _TOKEN.findall(text.lower())


def rouge_l(text: str, reference: str) -> float:
    """Return ROUGE-L F1, 0 to 1, without stemming; 0 if either text has no token."""
    ours, theirs = tokens(text), tokens(reference)
    common = LCSseq.similarity(ours, theirs)
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0
