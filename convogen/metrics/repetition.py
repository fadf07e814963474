"""How repetitive a data set is: which of its texts are near-copies of another.

What iterative sampling is meant to mend (ConvoGen, section IV-C): the generator falling back on the
same names, topics and openings. Up to `EXACT_LIMIT` texts all pairs are compared; beyond it MinHash
(Broder, 1997) over character 4-grams proposes pairs and the same comparison decides.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.process import cdist

__all__ = ["EXACT_LIMIT", "NEAR_COPY", "Repetition", "repetition"]

NEAR_COPY = 0.9
"""Token-sort similarity (0 to 1) from which a text counts as a near-copy of another."""

EXACT_LIMIT = 2_000
"""Different texts up to which all pairs are compared."""

_CLIP = 1_000
_BANDS, _ROWS = 24, 4
_GRAM = 4
_BLOCK = 1_024
_BUCKET = 50


@dataclass(frozen=True, slots=True)
class Repetition:
    """Of `texts` texts, `different` differ in words; `copies` equal another, or nearly.

    `share` is copies over texts; `most` has the commonest texts that occur more than once.
    """

    texts: int
    different: int
    copies: int
    share: float
    method: Literal["all pairs", "minhash"]
    most: dict[str, int]


def repetition(texts: Iterable[str], threshold: float = NEAR_COPY) -> Repetition | None:
    """Count the near-copies among texts (their first 1,000 characters); None where there are none.

    Case, punctuation and the order of words make no difference.
    """
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for text in texts:
        words = " ".join(sorted(re.findall(r"\w+", text[:_CLIP].casefold())))
        if words:
            counts[words] += 1
            shown.setdefault(words, text[:80])
    if not counts:
        return None
    different = list(counts)
    exact = len(different) <= EXACT_LIMIT
    near = _all_pairs(different, threshold) if exact else _minhash(different, threshold)
    copies = sum(count for at, (_, count) in enumerate(counts.items()) if count > 1 or near[at])
    most = {shown[words]: count for words, count in counts.most_common(5) if count > 1}
    total = counts.total()
    method = "all pairs" if exact else "minhash"
    return Repetition(total, len(different), copies, copies / total, method, most)


def _all_pairs(texts: Sequence[str], threshold: float) -> NDArray[np.bool_]:
    near = np.zeros(len(texts), bool)
    for start in range(0, len(texts), 256):
        block = texts[start : start + 256]
        scores = cdist(
            block, texts, scorer=fuzz.ratio, score_cutoff=100 * threshold, dtype=np.float32
        )
        np.fill_diagonal(scores[:, start:], 0)
        near[start : start + 256] = scores.max(axis=1) > 0
    return near


def _minhash(texts: Sequence[str], threshold: float) -> NDArray[np.bool_]:
    """Near-copies among texts that share a band of their signatures.

    In a bucket each text is compared with at most 50 others, so that a data set made of one
    template is still quick to measure; there nearly all are near-copies of a neighbour.
    """
    near = np.zeros(len(texts), bool)
    blocks = range(0, len(texts), _BLOCK)
    keys = np.concatenate([_band_keys(texts[start : start + _BLOCK]) for start in blocks])
    seen: set[int] = set()
    for band in range(_BANDS):
        buckets: defaultdict[int, list[int]] = defaultdict(list)
        for at, key in enumerate(keys[:, band].tolist()):
            buckets[key].append(at)
        for members in buckets.values():
            for at, one in enumerate(members):
                for other in members[at + 1 : at + 1 + _BUCKET]:
                    pair = one * len(texts) + other
                    if pair in seen or (near[one] and near[other]):
                        continue
                    seen.add(pair)
                    if fuzz.ratio(texts[one], texts[other], score_cutoff=100 * threshold):
                        near[one] = near[other] = True
    return near


def _band_keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """One key a band for each text, shape (texts, bands): MinHash by multiply and shift."""
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
    factors = np.random.default_rng(0).integers(1, 2**63, _BANDS * _ROWS, dtype=np.uint64) * 2 + 1
    keys = np.zeros((len(texts), _BANDS), np.uint64)
    for at, factor in enumerate(factors.tolist()):
        mixed = grams * np.uint64(factor & (2**64 - 1))
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        smallest = np.minimum.reduceat(mixed, starts)
        keys[:, at // _ROWS] = keys[:, at // _ROWS] * np.uint64(0x100000001B3) + smallest
    return keys
