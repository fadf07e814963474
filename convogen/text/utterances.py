"""Properties of utterances: farewells, lengths, sentences and repetition."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import regex
from rapidfuzz import fuzz

from convogen.text.budgets import about_words
from convogen.text.language import load_language
from convogen.text.lengths import sentence_ends

__all__ = [
    "FAREWELL_TURNS",
    "copies",
    "is_cut_off",
    "is_farewell",
    "is_farewell_loop",
    "length_fault",
    "loops",
    "nearest_sentences",
    "repeats",
    "restates",
    "runs",
    "stutters",
    "whole_sentences",
    "word_runs",
    "words_of",
]

REPEAT_SIMILARITY = 0.9
"""Minimum token-sort similarity (0 to 1) of an utterance that counts as a repetition."""

FAREWELL_TURNS = 3
"""Number of consecutive farewells after which a conversation counts as over."""

FAREWELL_WORDS = 40
"""Maximum number of words in an utterance that counts as a farewell."""

LENGTH_TOLERANCE = 0.4
"""Tolerated deviation from the requested number of words, as a share of this number. A deviation of
3 words is always tolerated."""

RUN_WORDS = 8
"""Number of consecutive words that count as recited from another text."""

LOOP_WORDS = 10
"""Minimum number of repeated words in a loop; people, too, sometimes say `no` nine times."""

LOOP_TIMES, SHORT_LOOP_TIMES, SHORT_LOOP = 2.5, 2.75, 8
"""Number of repetitions that make a loop. Sequences of fewer than `SHORT_LOOP` words need
`SHORT_LOOP_TIMES`, because they are also repeated in songs."""

LOOP_PERIOD = 40
"""Maximum number of words in a sequence whose repetition is detected."""

SALAD_WORDS, SALAD_SHARE = 16, 0.3
"""A text of at least `SALAD_WORDS` words counts as a loop if at most `SALAD_SHARE` of its words are
distinct."""

RESTATED, RESTATED_TIMES, MOST_SENTENCES = 80.0, 2, 60
"""Minimum similarity (0 to 100) of restated sentences, the number of restated sentences that makes
a loop, and the maximum number of sentences that are checked."""

STUTTER_CHARS = 24
"""Minimum length, in characters, of text without spaces in which repetition is detected."""

_LETTERS = regex.compile(r"[\p{L}\p{M}\p{N}]+")
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+(?:'[\p{L}\p{M}\p{N}]+)*")
_ENDED = regex.compile(r"[\p{Sentence_Terminal}…~][^\p{L}\p{N}_]*\Z")
_STUTTER = re.compile(r"(\S{2,6}?)\1{11,}|(\S)\2{27,}")
_SENTENCE_ENDS = regex.compile(r"[\p{Sentence_Terminal}…\n]+\s*")


def is_farewell(text: str, language: str = "en") -> bool:
    """Return whether an utterance says goodbye.

    A long utterance does not count, even if it contains a farewell. The result is always False in a
    language without a pattern for farewells.
    """
    said = load_language(language).goodbye.search(text) is not None
    return said and about_words(text, language) <= FAREWELL_WORDS


def is_farewell_loop(utterances: Sequence[str], language: str = "en") -> bool:
    """Return whether the last `FAREWELL_TURNS` turns are all farewells."""
    last = utterances[-FAREWELL_TURNS:]
    return len(last) == FAREWELL_TURNS and all(is_farewell(text, language) for text in last)


def whole_sentences(text: str) -> str:
    """Return the complete sentences of a cut-off text, or the whole text if it has none."""
    ends = sentence_ends(text)
    return text[: ends[-1]] if ends else text


def nearest_sentences(text: str, words: int, language: str | None = None) -> str:
    """Return the leading sentences of a text whose total length is closest to `words` words."""
    ends = [*sentence_ends(text), len(text)]
    return min(
        (text[:end] for end in ends), key=lambda part: abs(about_words(part, language) - words)
    )


def length_fault(text: str, words: int, language: str | None = None) -> str | None:
    """Return `too_long` or `too_short` if a text is far from the requested number of words.

    `language` is a BCP 47 tag. If it is None, the script of the text determines the segmentation.
    """
    off = about_words(text, language) - words
    if abs(off) <= max(3, LENGTH_TOLERANCE * words):
        return None
    return "too_long" if off > 0 else "too_short"


def is_cut_off(text: str) -> bool:
    """Return whether the last sentence of a text is unfinished."""
    return _ENDED.search(text) is None


def repeats(text: str, earlier: Sequence[str], threshold: float = REPEAT_SIMILARITY) -> bool:
    """Return whether an utterance says nearly the same as an earlier utterance."""
    own, cutoff = _sorted_words(text), 100 * threshold
    return any(fuzz.ratio(own, _sorted_words(other), score_cutoff=cutoff) > 0 for other in earlier)


def copies(words: Sequence[str], earlier: Sequence[str]) -> bool:
    """Return whether at least half of an utterance is copied from an earlier one, word for word.

    Only runs of `RUN_WORDS` or more words count, because people repeat phrases but rarely whole
    sentences.
    """
    own = runs(words)
    for other in earlier if own else ():
        there = _runs_of(other)
        covered = {at + n for at, run in enumerate(own) if run in there for n in range(RUN_WORDS)}
        if 2 * len(covered) >= len(words):
            return True
    return False


def loops(words: Sequence[str]) -> bool:
    """Return whether words form a loop: a sequence repeats, or few of the words are distinct."""
    if len(words) < LOOP_WORDS or len(set(pairwise(words))) == len(words) - 1:
        return False
    if len(words) >= SALAD_WORDS and len(set(words)) <= SALAD_SHARE * len(words):
        return True
    for period in range(1, min(LOOP_PERIOD, int(len(words) / LOOP_TIMES)) + 1):
        times = SHORT_LOOP_TIMES if period < SHORT_LOOP else LOOP_TIMES
        needed = max(LOOP_WORDS, times * period) - period
        run = 0
        for word, later in zip(words, words[period:], strict=False):
            run = run + 1 if word == later else 0
            if run >= needed:
                return True
    return False


def restates(text: str) -> bool:
    """Return whether a text restates its own sentences several times in nearly the same words."""
    sentences = [part for part in _SENTENCE_ENDS.split(text) if len(part.split()) >= 3]
    if len(sentences) <= RESTATED_TIMES:
        return False
    said_again = sum(
        any(fuzz.ratio(sentence, other) >= RESTATED for other in sentences[:at])
        for at, sentence in enumerate(sentences[:MOST_SENTENCES])
    )
    return said_again >= RESTATED_TIMES


def stutters(text: str) -> bool:
    """Return whether a short sequence of characters repeats many times.

    This check is needed for scripts without spaces.
    """
    longest = max(map(len, text.split()), default=0)
    return longest >= STUTTER_CHARS and _STUTTER.search(text) is not None


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, with straight apostrophes."""
    return _WORD.findall(text.lower().replace("’", "'"))


def word_runs(texts: Iterable[str], n: int = RUN_WORDS) -> frozenset[str]:
    """Return all runs of `n` words in texts, in lower case and without punctuation."""
    return frozenset(run for text in texts for run in runs(words_of(text), n))


def runs(words: Sequence[str], n: int = RUN_WORDS) -> list[str]:
    """Return all runs of `n` words, each joined by spaces."""
    return [" ".join(words[at : at + n]) for at in range(len(words) - n + 1)]


@lru_cache(maxsize=4096)
def _runs_of(text: str) -> frozenset[str]:
    return word_runs([text])


@lru_cache(maxsize=4096)
def _sorted_words(text: str) -> str:
    return " ".join(sorted(_LETTERS.findall(text.lower())))
