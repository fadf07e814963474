"""Repetition in a data set: which of its texts are near-copies of others.

Iterative sampling is meant to prevent generators from reusing the same names, topics and openings
(ConvoGen, section IV-C). Up to `EXACT_LIMIT` texts, all pairs are compared. For more texts, MinHash
(Broder, 1997) over character 4-grams selects the pairs that are compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz
from rapidfuzz.process import cdist

from convogen.text.near_duplicates import BANDS, band_keys, sorted_words

__all__ = ["EXACT_LIMIT", "NEAR_COPY", "Repetition", "repetition"]

NEAR_COPY = 0.9
"""Token-sort similarity (0 to 1) from which a text counts as a near-copy of another."""

EXACT_LIMIT = 2_000
"""Number of different texts up to which all pairs are compared."""

_CLIP = 1_000
_BLOCK = 1_024
_BUCKET = 50


@dataclass(frozen=True, slots=True)
class Repetition:
    """Counts of texts: all, those with `different` words, and `copies` and near-copies of others.

    `share` is copies over texts; `most` has the most common texts that occur more than once.
    """

    texts: int
    different: int
    copies: int
    share: float
    method: Literal["all pairs", "minhash"]
    most: dict[str, int]


def repetition(texts: Iterable[str], threshold: float = NEAR_COPY) -> Repetition | None:
    """Count the near-copies among texts (their first 1,000 characters); None if there are none.

    Case, punctuation and word order are ignored.
    """
    counts: Counter[str] = Counter()
    shown: dict[str, str] = {}
    for text in texts:
        words = sorted_words(text[:_CLIP])
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
    """Return which texts are near-copies of another that shares a band of their signatures.

    Within a bucket, each text is compared with at most 50 others, so that a data set made from one
    template is still quick to measure; nearly all of its texts are near-copies of a neighbour.
    """
    near = np.zeros(len(texts), bool)
    blocks = range(0, len(texts), _BLOCK)
    keys = np.concatenate([band_keys(texts[start : start + _BLOCK]) for start in blocks])
    seen: set[int] = set()
    for band in range(BANDS):
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
