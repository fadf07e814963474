"""Estimates of text lengths in words, and of the tokens needed to write them.

Lengths are planned in words in every language. If a text cannot be segmented into words, the number
of words is estimated from the number of characters. The estimate is accurate enough to request a
length, but not to report one.
"""

from __future__ import annotations

from math import ceil

from convogen.text.segmentation import (
    count_words,
    length,
    primary,
    unspaced_language,
    unspaced_script,
)

__all__ = ["about_words", "tokens_of"]

CHARACTERS_PER_WORD = {
    "zh": 1.6,
    "ja": 1.8,
    "th": 2.8,
    "lo": 2.7,
    "km": 2.0,
    "my": 2.9,
}
"""Average number of characters (grapheme clusters) per word. The values for Chinese, Japanese and
Thai were measured on the sentences in `tests/data/segmented`, and the other values on a few
sentences written for convogen."""

_CHARACTERS = 2.5

TOKENS_PER_WORD = {
    "en": 2,
    "zh": 3,
    "ja": 3,
    "th": 5,
    "ko": 5,
    "lo": 11,
    "km": 11,
    "my": 11,
    "bo": 11,
    "el": 6,
    "he": 6,
    "ar": 5,
    "fa": 5,
    "ur": 5,
    "hi": 6,
    "mr": 8,
    "ne": 8,
    "bn": 10,
    "ta": 10,
    "te": 10,
    "kn": 10,
    "ml": 10,
    "gu": 10,
    "pa": 10,
    "si": 10,
    "hy": 10,
    "ka": 14,
    "am": 13,
}
"""Tokens per word for the tokenizer that needs the most tokens, out of those of GPT-4, GPT-4o,
Llama 2 and Llama 3. The value for English is older and leaves some room."""

_TOKENS = 4
"""Tokens per word in all other languages, most of which use Latin or Cyrillic letters."""


def about_words(text: str, language: str | None = None) -> int:
    """Return the number of words in a text, estimated if the text cannot be segmented into words.

    Args:
        text: Any text.
        language: A BCP 47 tag, or None if the language is unknown.
    """
    counted = count_words(text, language)
    if counted is not None:
        return counted
    code = unspaced_language(language) or unspaced_script(text) or ""
    characters = length(text, language, "characters")
    return ceil(characters / CHARACTERS_PER_WORD.get(code, _CHARACTERS))


def tokens_of(words: int, language: str | None = None) -> int:
    """Return an upper estimate of the number of tokens that a text of `words` words needs.

    If `language` is None, English is assumed.
    """
    if language is None:
        return TOKENS_PER_WORD["en"] * words
    code = unspaced_language(language) or primary(language)
    return TOKENS_PER_WORD.get(code, _TOKENS) * words
