"""Topic and overlap checks for simulated users who type to a chatbot.

The failure cases of DialogueForge, section 5.1: copying the chatbot, leaving the task. The rates
are of later utterances of the 413 OASST1 and 1,002 Chatbot Arena seeds of that paper.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from convogen.text.language import Language, load_language

__all__ = ["deviates", "echoes"]

ECHO_WORDS = 5
"""Number of consecutive words that count as copied from another utterance."""

CONTENT_WORDS = 3
"""Minimum number of content words of an utterance that can be off its topic."""


def echoes(text: str, others: Iterable[str]) -> bool:
    """Return whether half of an utterance is word for word in one of the others (0.7% of real)."""
    own = _runs(text)
    return len(own) >= ECHO_WORDS and any(
        2 * len(own & _runs(other)) >= len(own) for other in others
    )


def deviates(
    text: str, grounds: Iterable[str], least: int = CONTENT_WORDS, language: str = "en"
) -> bool:
    """Return whether an utterance has no word with content in common with its grounds.

    An utterance of fewer such words than `least` may refer back. With the task and what was said
    before as `grounds`: 2.3% of real utterances, 54% of those of another dialogue. None does in a
    language without a list of the words that are in any text.
    """
    lang = load_language(language)
    if not lang.slight:
        return False
    said = _content(text, lang)
    if len(said) < least:
        return False
    return not any(said & _content(ground, lang) for ground in grounds)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[at : at + ECHO_WORDS]) for at in range(len(words) - ECHO_WORDS + 1)}


def _content(text: str, lang: Language) -> set[str]:
    """Return the stems of the words of a text, without those that are in any text."""
    words = re.findall(r"[^\W_]+", text.casefold())
    return {_stem(word, lang) for word in words if len(word) > 2 and word not in lang.slight}


def _stem(word: str, lang: Language) -> str:
    for ending in lang.endings:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word.removesuffix(ending)[:6]
    return word[:6]
