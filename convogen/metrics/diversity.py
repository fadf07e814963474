"""Lexical diversity: MTLD and TTR of a text, distinct-n of a corpus, self-BLEU of a sample.

MTLD: McCarthy and Jarvis, 2010; ConvoGen, section IV-B and table V. Distinct-n: Li et al., 2016.
Self-BLEU: Zhu et al., 2018.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convogen.text.extras import optional_module
from convogen.text.segmentation import unspaced_language

__all__ = [
    "MTLD_THRESHOLD",
    "Distinct",
    "Lexical",
    "bleu_tokenizer",
    "lexical",
    "lexical_of",
    "self_bleu",
    "word_hashes",
]

MTLD_THRESHOLD = 0.72
"""The type-token ratio at which a factor of MTLD is full (ConvoGen, section IV-B)."""

_CACHED_WORDS = 50_000

Hashes = NDArray[np.uint64]


class Lexical(NamedTuple):
    """A text's tokens, and its MTLD (in words) and TTR (0 to 1), NaN if it has no word."""

    words: list[str]
    mtld: float
    ttr: float


def lexical(text: str) -> Lexical:
    """Tokens, MTLD and TTR with lexicalrichness' own preprocessing.

    Lower case; digits, hyphens and dashes dropped; ASCII punctuation separates.
    """
    richness: Any = import_module("lexicalrichness").LexicalRichness(text)
    if not richness.words:
        return Lexical([], float("nan"), float("nan"))
    return Lexical(richness.wordlist, richness.mtld(threshold=MTLD_THRESHOLD), richness.ttr)


def lexical_of(words: Sequence[str]) -> Lexical:
    """Return MTLD and TTR of given words; like `lexical`, without case and numbers."""
    tokens = [word.lower() for word in words if not word.isnumeric()]
    if not tokens:
        return Lexical([], float("nan"), float("nan"))
    make: Any = import_module("lexicalrichness").LexicalRichness
    richness = make(tokens, preprocessor=None, tokenizer=None)
    return Lexical(tokens, richness.mtld(threshold=MTLD_THRESHOLD), richness.ttr)


_hashes: dict[str, int] = {}


def word_hashes(words: Sequence[str]) -> Hashes:
    """Return a 64-bit hash of each word, the same in every process."""
    if len(_hashes) > _CACHED_WORDS:
        _hashes.clear()
    for word in words:
        if word not in _hashes:
            digest = blake2b(word.encode(errors="replace"), digest_size=8).digest()
            _hashes[word] = int.from_bytes(digest, "little")
    return np.fromiter(map(_hashes.__getitem__, words), np.uint64, len(words))


class Distinct:
    """An estimate of the number of different n-grams in a stream: bounded memory, mergeable, in any
    order.

    Exact up to `limit` different n-grams; beyond it the `limit` smallest hashes are kept and the
    count is estimated from how densely they lie (k minimum values; Bar-Yossef et al., 2002), with a
    relative standard error of one over the root of `limit`: 0.14% at the default.
    """

    def __init__(self, n: int, limit: int = 2**19) -> None:
        self.n = n
        self.limit = limit
        self.total = 0
        self._kept: Hashes = np.empty(0, np.uint64)
        self._pending: list[Hashes] = []
        self._waiting = 0
        self._dropped = False

    def add(self, hashes: Hashes) -> None:
        """Count the n-grams of one text, given the hashes of its words."""
        if len(hashes) < self.n:
            return
        grams = hashes[: len(hashes) - self.n + 1].copy()
        for shift in range(1, self.n):
            grams ^= grams >> np.uint64(29)
            grams *= np.uint64(0xBF58476D1CE4E5B9)
            grams += hashes[shift : len(hashes) - self.n + 1 + shift]
        grams ^= grams >> np.uint64(32)
        grams *= np.uint64(0x94D049BB133111EB)
        grams ^= grams >> np.uint64(29)
        self.total += len(grams)
        self._take(grams)

    def merge(self, other: Distinct) -> None:
        """Add the counts of another instance."""
        other.settle()
        self.total += other.total
        self._dropped = self._dropped or other._dropped
        self._take(other._kept)

    def _take(self, grams: Hashes) -> None:
        if self._dropped and len(self._kept) == self.limit:
            grams = grams[grams < self._kept[-1]]
        if len(grams):
            self._pending.append(grams)
            self._waiting += len(grams)
        if self._waiting > self.limit // 2:
            self.settle()

    def settle(self) -> None:
        """Merge pending hashes, so that little needs to be sent to another process."""
        if self._pending:
            both = np.concatenate([self._kept, *self._pending])
            self._pending = []
            self._waiting = 0
            both.sort()
            self._kept = both[np.concatenate([[True], both[1:] != both[:-1]])]
            if len(self._kept) > self.limit:
                self._kept = self._kept[: self.limit].copy()
                self._dropped = True

    @property
    def exact(self) -> bool:
        """False if `count` is an estimate."""
        self.settle()
        return not self._dropped

    @property
    def count(self) -> float:
        """Different n-grams."""
        self.settle()
        if not self._dropped:
            return len(self._kept)
        return (self.limit - 1) / (float(self._kept[self.limit - 1]) / 2.0**64)

    @property
    def ratio(self) -> float | None:
        """Distinct-n: different n-grams over all n-grams; None if there are none."""
        return self.count / self.total if self.total else None


def bleu_tokenizer(languages: Iterable[str | None]) -> str:
    """Return the name of the sacrebleu tokenizer that fits texts in all of some languages.

    That is `13a` for English and undecided ones, `intl` (punctuation of all scripts) for others
    with spaces, `zh` for Chinese among them, `ja-mecab` and `ko-mecab` for Japanese and Korean
    alone if sacrebleu's modules for these are installed, and `char` for the rest.
    """
    known = {language or "en" for language in languages}
    unspaced = {unspaced_language(language) for language in known} - {None}
    for code, name, module in (("ja", "ja-mecab", "MeCab"), ("ko", "ko-mecab", "mecab_ko")):
        if known == {code} and optional_module(module) is not None:
            return name
    if unspaced:
        return "zh" if unspaced == {"zh"} else "char"
    return "13a" if known <= {"en"} else "intl"


def self_bleu(texts: Sequence[str], tokenizer: str = "13a") -> float | None:
    """Return the mean BLEU-4 (0 to 1) of each text against all others, by sacrebleu; None for fewer
    than two.

    Higher means more similar. The cost is quadratic in the number of texts. `tokenizer` is the name
    of one of sacrebleu's.
    """
    if len(texts) < 2:
        return None
    bleu: Any = import_module("sacrebleu").BLEU(tokenize=tokenizer, effective_order=True)
    scores = [
        bleu.sentence_score(text, [*texts[:at], *texts[at + 1 :]]).score / 100
        for at, text in enumerate(texts)
    ]
    return min(1.0, float(np.mean(scores)))  # sacrebleu rounds up for equal texts
