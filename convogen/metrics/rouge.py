"""ROUGE-L of texts, over all pairs of a set, fast: the LCS of token ids by rapidfuzz.

ROUGE-L: Lin, 2004. Tokens and values are those of the `rouge-score` package without its stemmer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

__all__ = ["rouge_l", "rouge_l_mean", "rouge_l_pairs"]

_TOKEN = re.compile(r"[a-z0-9]+")
_BLOCK = 2**24


def _token_ids(texts: Sequence[str]) -> list[str]:
    """Each text as a string with one character a token: the form rapidfuzz is fastest on."""
    known: dict[str, str] = {}
    return [
        "".join(known.setdefault(token, chr(len(known) + 1)) for token in _TOKEN.findall(text))
        for text in (text.lower() for text in texts)
    ]


def rouge_l_pairs(texts: Sequence[str], workers: int = 1) -> NDArray[np.float64]:
    """ROUGE-L F1 (0 to 1) of every pair; shape n(n-1)/2, ordered (0, 1), (0, 2), … (1, 2), ….

    At most 1,114,110 different tokens. `workers` are threads; -1 takes all cores.
    """
    ids = _token_ids(texts)
    lengths = np.array([len(text) for text in ids], np.int64)
    step = max(1, _BLOCK // max(1, len(ids)))
    parts: list[NDArray[np.float64]] = [np.empty(0)]
    for start in range(0, len(ids), step):
        rows = ids[start : start + step]
        others = ids[start:]
        common = cdist(rows, others, scorer=LCSseq.similarity, dtype=np.int32, workers=workers)
        both = lengths[start : start + step, None] + lengths[None, start:]
        scores = np.divide(2.0 * common, both, out=np.zeros(both.shape), where=both > 0)
        upper = np.triu_indices(len(rows), k=1, m=len(others))
        parts.append(scores[upper])
    return np.concatenate(parts)


def rouge_l(text: str, reference: str) -> float:
    """ROUGE-L F1 (0 to 1) of a text and its reference."""
    return float(rouge_l_pairs([text, reference])[0])


def rouge_l_mean(texts: Sequence[str]) -> float | None:
    """Mean ROUGE-L F1 over all pairs; None for fewer than two texts."""
    return float(rouge_l_pairs(texts).mean()) if len(texts) > 1 else None
