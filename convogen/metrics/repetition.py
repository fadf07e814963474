"""Repetition in a data set: texts that are copies or near-copies of other texts.

Iterative sampling is meant to prevent generators from reusing the same names, topics and openings
(ConvoGen, section IV-C). For up to `EXACT_LIMIT` different texts, all pairs are compared. For more
texts, MinHash (Broder, 1997) over character 4-grams selects the pairs to compare.
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
"""Minimum token-sort similarity (0 to 1) at which two texts count as near-copies."""

EXACT_LIMIT = 2_000
"""Maximum number of different texts for which all pairs are compared."""

_CLIP = 1_000
_BLOCK = 1_024
_BUCKET = 50


@dataclass(frozen=True, slots=True)
class Repetition:
    """Counts of repeated texts, ignoring case, punctuation and word order.

    `different` counts the distinct texts. `copies` counts the texts that are copies or near-copies
    of another text, and `share` is `copies` divided by `texts`. `most` contains the most common of
    the texts that occur more than once.
    """

    texts: int
    different: int
    copies: int
    share: float
    method: Literal["all pairs", "minhash"]
    most: dict[str, int]


def repetition(texts: Iterable[str], threshold: float = NEAR_COPY) -> Repetition | None:
    """Return the counts of copies and near-copies among texts; None if no text contains words.

    Only the first 1,000 characters of each text are compared.
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
    """Return, for each text, whether it is a near-copy of another text with an equal signature
    band.

    Within a bucket, each text is compared with at most 50 other texts. A data set made from one
    template is therefore still quick to measure: nearly all its texts are near-copies of a
    neighbour.
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
