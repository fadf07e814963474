"""MinHash over character 4-grams (Broder, 1997), which proposes near-copies among many texts.

Equal keys from `band_keys` reveal similar pairs among many texts. `NearCopyIndex` proposes
near-copies of a single text.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cache

import numpy as np
import regex
from numpy.typing import NDArray

__all__ = ["BANDS", "NearCopyIndex", "band_keys", "sorted_words"]

BANDS, _ROWS = 24, 4
_GRAM = 4
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}_]+")

_POINTS = np.arange(64, dtype=np.uint32) << np.uint32(26)
"""Evenly spaced points on the circle of 32-bit hashes, one per byte of a signature."""

_BLOCK = 2_048


def sorted_words(text: str) -> str:
    """Return the sorted words of a text, without case and punctuation."""
    return " ".join(sorted(_WORD.findall(text.casefold())))


@cache
def _factors() -> list[int]:
    drawn = np.random.default_rng(0).integers(1, 2**63, BANDS * _ROWS, dtype=np.uint64)
    return (drawn * 2 + 1).tolist()


def band_keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Return one key per band for each text, as an array of shape (texts, bands).

    The hashes are computed by multiply and shift. At least one text is required.
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
    for index, factor in enumerate(_factors()):
        mixed = grams * np.uint64(factor & (2**64 - 1))
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        smallest = np.minimum.reduceat(mixed, starts)
        keys[:, index // _ROWS] = keys[:, index // _ROWS] * np.uint64(0x100000001B3) + smallest
    return keys


class NearCopyIndex:
    """Index of numbered texts by MinHash signature, for finding near-copies of a new text.

    Near-copies are texts whose similarity (`rapidfuzz.fuzz.ratio` of their sorted words, 0 to 1) is
    `threshold` or more. The index proposes candidates, and the caller compares them. The share of
    equal bytes in two signatures estimates the Jaccard index of the two sets of 4-grams. A text is
    a candidate if that share is high enough for the threshold.

    The index was tested with 23,000 English texts of 150 words. New texts were made from them by
    replacing, dropping and adding words or sentences. At a threshold of 0.8, the first five
    candidates included all 2,123 sources with a similarity of 0.8 or more, 905 of which were above
    0.9. At a threshold of 0.9, the first five candidates included all 935 sources above 0.9. For
    texts of only 8 words, they included 99.8% of 600 sources.

    Each text takes 72 bytes, regardless of its length.
    """

    def __init__(self, threshold: float) -> None:
        # A similarity of 0.8 comes with a Jaccard index of at least 0.53, and 0.9 with at least
        # 0.75. Unrelated English texts have about 0.12. The margin is four standard errors.
        self._least = max(1, round(len(_POINTS) * (2 * threshold - 1.3)))
        self._numbers = array("q")
        self._blocks: list[NDArray[np.uint8]] = []

    def add(self, number: int, text: str) -> None:
        """Add a text, given as its sorted words, under a number."""
        at = len(self._numbers) % _BLOCK
        if at == 0:
            self._blocks.append(np.zeros((len(_POINTS), _BLOCK), np.uint8))
        self._blocks[-1][:, at] = _signature(text)
        self._numbers.append(number)

    def candidates(self, text: str, most: int) -> list[int]:
        """Return the numbers of up to `most` texts that may be near-copies of a text.

        The most similar texts come first; equally similar texts are in the order in which they were
        added.
        """
        if not self._numbers:
            return []
        signature = _signature(text)[:, None]
        shared = np.concatenate(
            [np.add.reduce(block == signature, axis=0, dtype=np.uint8) for block in self._blocks]
        )[: len(self._numbers)]
        found = np.flatnonzero(shared >= self._least)
        best = found[np.argsort(-shared[found].astype(np.int8), kind="stable")[:most]]
        return [self._numbers[at] for at in best.tolist()]


def _signature(text: str) -> NDArray[np.uint8]:
    """Return the last byte of the first hash at or after each point on the circle.

    At each point, the hashes of two texts are equal with a probability equal to the texts' Jaccard
    index, as if each point had its own permutation. Each text is hashed only once.
    """
    codes = np.frombuffer(f"{text:<{_GRAM}}".encode("utf-32-le", "replace"), np.uint32)
    grams = np.zeros(len(codes) - _GRAM + 1, np.uint32)
    for shift in range(_GRAM):
        grams *= np.uint32(0x01000193)
        grams += codes[shift : shift + len(grams)]
    for factor in (0x85EBCA6B, 0xC2B2AE35):  # the finalizer of MurmurHash3
        grams ^= grams >> np.uint32(15)
        grams *= np.uint32(factor)
    grams ^= grams >> np.uint32(16)
    grams.sort()
    first = grams.searchsorted(_POINTS) % len(grams)
    return grams[first].astype(np.uint8)
