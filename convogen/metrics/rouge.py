"""ROUGE-L of texts, over all pairs of a set, fast: the LCS of token ids by rapidfuzz.

ROUGE-L: Lin, 2004. Tokens and values are those of the `rouge-score` package, without its stemmer
except for `rouge_l_nearest`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

__all__ = ["rouge_l", "rouge_l_mean", "rouge_l_nearest", "rouge_l_pairs"]

_TOKEN = re.compile(r"[a-z0-9]+")
_BLOCK = 2**24
_UNSTEMMED = 3
"""Tokens of at most so many characters are not stemmed, as in `rouge-score`."""


def _token_ids(texts: Sequence[str], stem: Callable[[str], str]) -> list[str]:
    """Each text as a string with one character a token: the form rapidfuzz is fastest on."""
    known: dict[str, str] = {}
    return [
        "".join(
            known.setdefault(stem(token), chr(len(known) + 1)) for token in _TOKEN.findall(text)
        )
        for text in (text.lower() for text in texts)
    ]


def _stemmer() -> Callable[[str], str]:
    porter: Any = import_module("nltk.stem.porter").PorterStemmer()

    @cache
    def stem(token: str) -> str:
        return porter.stem(token) if len(token) > _UNSTEMMED else token

    return stem


def rouge_l_pairs(
    texts: Sequence[str], workers: int = 1, stemmed: bool = False
) -> NDArray[np.float64]:
    """ROUGE-L F1 (0 to 1) of every pair; shape n(n-1)/2, ordered (0, 1), (0, 2), … (1, 2), ….

    At most 1,114,110 different tokens. `workers` are threads; -1 takes all cores. `stemmed`
    compares the tokens' stems (Porter).
    """
    ids = _token_ids(texts, _stemmer() if stemmed else str)
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


def rouge_l_nearest(texts: Sequence[str]) -> float | None:
    """Mean over the texts of the largest ROUGE-L F1 to any other; None for fewer than two texts.

    Of the stems, and 0 to 1: lower is more diverse. So the authors of DiaSynth measure diversity
    (section 5, table 2; `diversity.py` of their repository), over a file's first 200 dialogues.
    """
    if len(texts) < 2:
        return None
    pairs = rouge_l_pairs(texts, stemmed=True)
    alike = np.zeros((len(texts), len(texts)))
    alike[np.triu_indices(len(texts), k=1)] = pairs
    return float((alike + alike.T).max(axis=1).mean())
