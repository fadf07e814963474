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
"""The type-token ratio at which an MTLD factor is complete (ConvoGen, section IV-B)."""

_CACHED_WORDS = 50_000

Hashes = NDArray[np.uint64]


class Lexical(NamedTuple):
    """The tokens, MTLD (in words) and TTR (0 to 1) of a text; MTLD and TTR are NaN if the text has
    no words."""

    words: list[str]
    mtld: float
    ttr: float


def lexical(text: str) -> Lexical:
    """Return the tokens, MTLD and TTR of a text, preprocessed by lexicalrichness.

    The text is converted to lower case and split at ASCII punctuation. Digits, hyphens and dashes
    are removed.
    """
    richness: Any = import_module("lexicalrichness").LexicalRichness(text)
    if not richness.words:
        return Lexical([], float("nan"), float("nan"))
    return Lexical(richness.wordlist, richness.mtld(threshold=MTLD_THRESHOLD), richness.ttr)


def lexical_of(words: Sequence[str]) -> Lexical:
    """Return the tokens, MTLD and TTR of a list of words, ignoring case and numbers."""
    tokens = [word.lower() for word in words if not word.isnumeric()]
    if not tokens:
        return Lexical([], float("nan"), float("nan"))
    make: Any = import_module("lexicalrichness").LexicalRichness
    richness = make(tokens, preprocessor=None, tokenizer=None)
    return Lexical(tokens, richness.mtld(threshold=MTLD_THRESHOLD), richness.ttr)


_hashes: dict[str, int] = {}


def word_hashes(words: Sequence[str]) -> Hashes:
    """Return a 64-bit hash of each word, which is the same in every process."""
    if len(_hashes) > _CACHED_WORDS:
        _hashes.clear()
    for word in words:
        if word not in _hashes:
            digest = blake2b(word.encode(errors="replace"), digest_size=8).digest()
            _hashes[word] = int.from_bytes(digest, "little")
    return np.fromiter(map(_hashes.__getitem__, words), np.uint64, len(words))


class Distinct:
    """The number of distinct n-grams in a stream, counted in bounded memory.

    Counts can be merged in any order. The number is exact up to `limit` distinct n-grams. Beyond
    that, it is estimated from the density of the `limit` smallest hashes (k minimum values;
    Bar-Yossef et al., 2002), with a relative standard error of 1 / sqrt(limit): 0.14% by default.
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
        """Merge pending hashes so that less data is sent to another process."""
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
        """Whether `count` is exact rather than an estimate."""
        self.settle()
        return not self._dropped

    @property
    def count(self) -> float:
        """The number of distinct n-grams."""
        self.settle()
        if not self._dropped:
            return len(self._kept)
        return (self.limit - 1) / (float(self._kept[self.limit - 1]) / 2.0**64)

    @property
    def ratio(self) -> float | None:
        """Distinct-n: distinct n-grams divided by all n-grams; None if there are no n-grams."""
        return self.count / self.total if self.total else None


def bleu_tokenizer(languages: Iterable[str | None]) -> str:
    """Return the name of a sacrebleu tokenizer that suits texts in all of these languages.

    - `13a` if every language is English or undecided;
    - `ja-mecab` or `ko-mecab` if the only language is Japanese or Korean and sacrebleu's module for
      that language is installed;
    - `intl`, which splits off punctuation in all scripts, if all languages separate words with
      spaces;
    - `zh` if Chinese is the only language without spaces;
    - `char` otherwise.
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
    """Return the mean BLEU-4 (0 to 1) of each text against all other texts; None for fewer than two
    texts.

    Higher values mean more similar texts. `tokenizer` is the name of a sacrebleu tokenizer. The
    cost is quadratic in the number of texts.
    """
    if len(texts) < 2:
        return None
    bleu: Any = import_module("sacrebleu").BLEU(tokenize=tokenizer, effective_order=True)
    scores = [
        bleu.sentence_score(text, [*texts[:at], *texts[at + 1 :]]).score / 100
        for at, text in enumerate(texts)
    ]
    return min(1.0, float(np.mean(scores)))  # sacrebleu rounds up for equal texts
