"""ROUGE-L for all pairs in a set of texts; for a single pair, see `convogen.text.rouge`.

The values equal those of the `rouge-score` package. Tokens are not stemmed by default;
`rouge_l_nearest` stems them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cdist

from convogen.text.rouge import tokens
from convogen.text.segmentation import at_white_space

__all__ = ["rouge_l_mean", "rouge_l_nearest", "rouge_l_pairs"]

_BLOCK = 2**24
_UNSTEMMED = 3
"""Tokens with at most this many characters are not stemmed, as in `rouge-score`."""


def _token_ids(
    texts: Sequence[str], languages: Sequence[str | None], stem: Callable[[str], str]
) -> list[str]:
    """Encode each text with one character per token, the form that rapidfuzz compares fastest."""
    known: dict[str, str] = {}
    ids: list[str] = []
    for text, language in zip(texts, languages, strict=True):
        form = stem if at_white_space(text, language) else str
        found = tokens(text, language)
        ids.append("".join(known.setdefault(form(token), chr(len(known) + 1)) for token in found))
    return ids


def _stemmer() -> Callable[[str], str]:
    porter: Any = import_module("nltk.stem.porter").PorterStemmer()

    @cache
    def stem(token: str) -> str:
        return porter.stem(token) if len(token) > _UNSTEMMED else token

    return stem


def rouge_l_pairs(
    texts: Sequence[str],
    workers: int = 1,
    stemmed: bool = False,
    languages: Sequence[str | None] | None = None,
) -> NDArray[np.float64]:
    """Return the ROUGE-L F1 (0 to 1) for every pair of texts.

    Args:
        texts: n texts with at most 1,114,110 different tokens in total.
        workers: Number of threads; -1 for all cores.
        stemmed: Whether to compare the Porter stems of English tokens.
        languages: The language of each text as a BCP 47 tag; None if unknown.

    Returns:
        An array of shape (n(n-1)/2,), ordered (0, 1), (0, 2), … (1, 2), ….
    """
    ids = _token_ids(texts, languages or [None] * len(texts), _stemmer() if stemmed else str)
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


def rouge_l_mean(
    texts: Sequence[str], languages: Sequence[str | None] | None = None
) -> float | None:
    """Return the mean ROUGE-L F1 over all pairs; None for fewer than two texts."""
    return float(rouge_l_pairs(texts, languages=languages).mean()) if len(texts) > 1 else None


def rouge_l_nearest(
    texts: Sequence[str], languages: Sequence[str | None] | None = None
) -> float | None:
    """Return the mean, over all texts, of the highest ROUGE-L F1 with another text.

    The mean is between 0 and 1; lower values mean more diverse texts. English tokens are stemmed.
    The result is None for fewer than two texts. The authors of DiaSynth measure diversity in this
    way on the first 200 dialogues in a file (section 5, table 2; `diversity.py` in their
    repository).
    """
    if len(texts) < 2:
        return None
    pairs = rouge_l_pairs(texts, stemmed=True, languages=languages)
    alike = np.zeros((len(texts), len(texts)))
    alike[np.triu_indices(len(texts), k=1)] = pairs
    return float((alike + alike.T).max(axis=1).mean())
