"""MinHash over character 4-grams (Broder, 1997): which of many texts may be near-copies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["BANDS", "band_keys", "sorted_words"]

BANDS, _ROWS = 24, 4
_GRAM = 4


def sorted_words(text: str) -> str:
    """A text's words in one order, whatever their case, punctuation and order in the text."""
    return " ".join(sorted(re.findall(r"\w+", text.casefold())))


@cache
def _factors() -> list[int]:
    drawn = np.random.default_rng(0).integers(1, 2**63, BANDS * _ROWS, dtype=np.uint64)
    return (drawn * 2 + 1).tolist()


def band_keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """One key a band for each text, none of them empty, shape (texts, bands).

    MinHash by multiply and shift.
    """
    padded = [f"{text:<{_GRAM}}" for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "replace"), np.uint32)
    grams = np.zeros(len(codes) - _GRAM + 1, np.uint64)
    for shift in range(_GRAM):
        grams = grams * np.uint64(0x100000001B3) + codes[shift : shift + len(grams)]
    ends = np.cumsum([len(text) for text in padded])
    inside = np.ones(len(grams), bool)
    for back in range(1, _GRAM):
        inside[ends[:-1] - back] = False
    grams = grams[inside]
    starts = np.concatenate([[0], np.cumsum([len(text) - _GRAM + 1 for text in padded])[:-1]])
    keys = np.zeros((len(texts), BANDS), np.uint64)
    for at, factor in enumerate(_factors()):
        mixed = grams * np.uint64(factor & (2**64 - 1))
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        smallest = np.minimum.reduceat(mixed, starts)
        keys[:, at // _ROWS] = keys[:, at // _ROWS] * np.uint64(0x100000001B3) + smallest
    return keys
