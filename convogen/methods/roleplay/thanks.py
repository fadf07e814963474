"""Detectors for courtesies: texts that only give thanks, say goodbye, or say that the speaker is
done.

A sentence is judged by its clauses, and a clause by its beginning. All functions are pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from convogen.text.budgets import about_words
from convogen.text.language import load_language

__all__ = ["is_thanks", "says_done"]

MOST_WORDS = 40
"""Maximum number of words in a courtesy."""

_SENTENCES = re.compile(r"[.!…]+(?=\W|\Z)|[。！।]+|\n")
_CLAUSES = re.compile(r"[,;:–—，、；：،؛]|\s-\s")
_EDGES = " \t\"'“”„«»‘’*_`()「」『』（）¡～~"
_QUESTION = re.compile(r"[?？؟]")


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns for the beginnings of courteous clauses, taken from `courtesies` in a language's
    file."""

    acknowledges: re.Pattern[str]
    thanks_or_leaves: re.Pattern[str]
    goes_with_thanks: re.Pattern[str]
    says_done: re.Pattern[str]
    asks_on: re.Pattern[str]


@lru_cache
def _patterns(language: str) -> _Patterns | None:
    """Return a language's patterns; None if the language has none."""
    lang = load_language(language)
    found = lang.courtesies
    if found is None:
        return None
    return _Patterns(
        acknowledges=lang.compile(found.lead),
        thanks_or_leaves=lang.compile(f"{found.lead}(?:{found.thanks}|{found.leave})"),
        goes_with_thanks=lang.compile(f"{found.lead}{found.more}"),
        says_done=lang.compile(f"{found.lead}{found.done}"),
        asks_on=lang.compile(found.asks_on),
    )


def is_thanks(text: str, language: str = "en") -> bool:
    """Return whether a short text only gives thanks, accepts thanks, or says goodbye.

    The result is always False for languages without `courtesies`.
    """
    patterns = _patterns(language)
    sentences = _sentences(text, language)
    return (
        patterns is not None
        and all(_is_courteous(sentence, patterns) for sentence in sentences)
        and any(
            patterns.thanks_or_leaves.match(clause)
            for sentence in sentences
            for clause in _clauses(sentence)
        )
    )


def says_done(text: str, language: str = "en") -> bool:
    """Return whether a short text says that the speaker is done, and asks for nothing more."""
    patterns = _patterns(language)
    if patterns is None or patterns.asks_on.search(text):
        return False
    return any(map(patterns.says_done.match, _sentences(text, language)))


def _sentences(text: str, language: str) -> list[str]:
    """Return the sentences of a text; empty if it asks a question or is too long for a courtesy."""
    if _QUESTION.search(text) or about_words(text, language) > MOST_WORDS:
        return []
    found = (one.strip(_EDGES) for one in _SENTENCES.split(text))
    return [one for one in found if re.search(r"\w", one)]


def _clauses(sentence: str) -> list[str]:
    found = (one.strip(_EDGES) for one in _CLAUSES.split(sentence))
    return [one for one in found if re.search(r"\w", one)]


def _is_courteous(sentence: str, patterns: _Patterns) -> bool:
    if patterns.asks_on.search(sentence):
        return False
    return all(
        patterns.acknowledges.fullmatch(clause)
        or patterns.thanks_or_leaves.match(clause)
        or patterns.goes_with_thanks.match(clause)
        or patterns.says_done.match(clause)
        for clause in _clauses(sentence)
    )
