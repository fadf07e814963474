"""Identification of a conversation's language: by its script, its frequent words, or lingua."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import regex

from convogen.inputs.yaml12 import read_yaml
from convogen.text.extras import optional_module
from convogen.text.segmentation import EXTRAS, primary, unspaced_language

__all__ = ["frequent_words", "function_words", "identify", "language_of"]

MOST_CHARS, FEW_CHARS = 1_000, 400
"""Maximum number of characters read; the first few usually decide."""

LEAST_CHARS = 40
"""Minimum number of characters for lingua: its trigrams are useless for a word or two."""

MANY_WORDS, LEAST_HINT = 80, 0.03
"""A Latin text of at least this many words has at least this share of frequent words, in any
language that lingua knows. Texts below that are no language (codes, random letters), and the
slowest for lingua."""

LEAST_KANA = 0.05
"""Minimum share of kana among Han and kana in Japanese text."""

LEAST_WEIGHT, LEAST_SHARE, LEAST_LEAD = 1.5, 0.1, 1.5
"""Weights that function words need to decide: in total, per word of the text, and relative to the
next language. A word of n languages has weight 1/n."""

_SCRIPTS = {
    "Hangul": "ko",
    "Thai": "th",
    "Hebrew": "he",
    "Greek": "el",
    "Devanagari": "hi",
    "Arabic": "ar",
    "Cyrillic": "ru",
    "Lao": "lo",
    "Khmer": "km",
    "Myanmar": "my",
    "Tibetan": "bo",
    "Georgian": "ka",
    "Armenian": "hy",
    "Bengali": "bn",
    "Tamil": "ta",
    "Telugu": "te",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Sinhala": "si",
    "Ethiopic": "am",
}
"""The language of a script, or the most frequent one if there are several."""

_SHARED = frozenset({"Devanagari", "Arabic", "Cyrillic"})
_LETTERS = {
    "Latin": regex.compile(r"\p{Latin}"),
    "Han": regex.compile(r"\p{Han}"),
    "Kana": regex.compile(r"[\p{Hiragana}\p{Katakana}]"),
    **{script: regex.compile(rf"\p{{{script}}}") for script in _SCRIPTS},
}
_NOT_LATIN = regex.compile(r"[^\P{L}\p{Latin}]")
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_LATIN_WORD = re.compile(r"[a-z]+")


def identify(texts: Iterable[str]) -> str | None:
    """Return the primary BCP 47 subtag of the language that texts are written in, such as `de`.

    The first 1,000 characters decide: by their script if it belongs to one language, otherwise by
    frequent words, and if these are inconclusive, by `lingua` if it is installed.

    Args:
        texts: The turns of a conversation; an iterator is consumed only as far as needed.

    Returns:
        None if there are too few words to tell, or none.
    """
    sample = _beginning(texts)
    script = _script(sample)
    if script is None:
        return None
    if script in _SCRIPTS and script not in _SHARED:
        return _SCRIPTS[script]
    if script in ("zh", "ja"):
        return script
    if len(sample) > 2 * FEW_CHARS and (first := _by_words(_frequent(sample[:FEW_CHARS]))):
        return first
    found = _frequent(sample)
    if language := _by_words(found):
        return language
    asked = script != "Latin" or _may_be_language(found)
    return (_by_lingua(sample, script) if asked else None) or _likeliest(found, script)


class _Said(Protocol):
    @property
    def text(self) -> str: ...


class _Conversation(Protocol):
    @property
    def language(self) -> str | None: ...
    @property
    def turns(self) -> Sequence[_Said]: ...


def language_of(conversation: _Conversation) -> str | None:
    """Return the primary subtag of the language of a conversation; None if it is unknown.

    It is the stated language, unless the script of the turns needs another way of segmenting words
    (spaces, a segmenter, or none); then it is identified. Japanese may lack kana.
    """
    if conversation.language is None:
        return identify(turn.text for turn in conversation.turns)
    stated = primary(conversation.language)
    script = _script(_beginning(turn.text for turn in conversation.turns))
    if script is None or _rule(stated) == _rule(_SCRIPTS.get(script, script)):
        return stated
    found = identify(turn.text for turn in conversation.turns)
    return stated if found is None or (stated, found) == ("ja", "zh") else found


def _rule(language: str | None) -> str:
    """Return how texts in a language are segmented into words."""
    code = unspaced_language(language)
    return "spaces" if code is None else code if code in EXTRAS else "none"


def _beginning(texts: Iterable[str]) -> str:
    taken: list[str] = []
    room = MOST_CHARS
    for text in texts:
        taken.append(text[:room])
        room -= len(taken[-1]) + 1
        if room <= 0:
            break
    return "\n".join(taken)


def _script(text: str) -> str | None:
    """Return the script of most letters, `zh` or `ja` for Han; None if there are no letters."""
    if text.isascii() or _NOT_LATIN.search(text) is None:
        return "Latin" if _LETTERS["Latin"].search(text) else None
    counts = {script: len(letters.findall(text)) for script, letters in _LETTERS.items()}
    han, kana = counts.pop("Han"), counts.pop("Kana")
    counts["ja" if kana > LEAST_KANA * (han + kana) else "zh"] = han + kana
    script = max(counts, key=counts.__getitem__)
    return script if counts[script] else None


class _Frequent(NamedTuple):
    """The words of a text that are frequent in any language, and its total number of words."""

    counts: Counter[str]
    total: int

    def weights(self) -> dict[str, float]:
        """Return the weight of the words by language."""
        known = function_words()
        weights: dict[str, float] = {}
        for word, count in self.counts.items():
            languages = known[word]
            for language in languages:
                weights[language] = weights.get(language, 0.0) + count / len(languages)
        return weights

    def most(self) -> int:
        """Return the number of words frequent in the language that has the most of them."""
        known = function_words()
        numbers: dict[str, int] = {}
        for word, count in self.counts.items():
            for language in known[word]:
                numbers[language] = numbers.get(language, 0) + count
        return max(numbers.values(), default=0)


def _frequent(text: str) -> _Frequent:
    pattern = _LATIN_WORD if text.isascii() else _WORD
    words = pattern.findall(text.lower())
    return _Frequent(Counter(filter(function_words().__contains__, words)), len(words))


def _by_words(found: _Frequent) -> str | None:
    """Return the language whose frequent words a text has; None if no language stands out."""
    weights = found.weights()
    if not weights:
        return None
    best = max(weights, key=weights.__getitem__)
    following = max((weight for other, weight in weights.items() if other != best), default=0.0)
    least = max(LEAST_WEIGHT, LEAST_SHARE * found.total, LEAST_LEAD * following)
    return best if weights[best] >= least else None


def _may_be_language(found: _Frequent) -> bool:
    """Return whether a text is short, or has about as many frequent words as any language."""
    return found.total < MANY_WORDS or found.most() >= LEAST_HINT * found.total


def _likeliest(found: _Frequent, script: str) -> str | None:
    """Return the likeliest language of a script that several languages share; None for Latin."""
    default = _SCRIPTS.get(script)
    if default is None:
        return None
    weights = {default: 0.0} | found.weights()
    return max(weights, key=lambda language: (weights[language], language == default))


@cache
def frequent_words(language: str | None) -> frozenset[str]:
    """Return the words that are frequent in a language, by its BCP 47 tag; none if unknown."""
    code = primary(language) if language else ""
    return frozenset(word for word, codes in function_words().items() if code in codes)


@cache
def function_words() -> Mapping[str, tuple[str, ...]]:
    """Return the languages in which each frequent word is frequent."""
    data = cast("dict[str, str]", read_yaml(Path(__file__).with_name("function_words.yaml")))
    found: dict[str, tuple[str, ...]] = {}
    for language, words in data.items():
        for word in set(words.split()):
            found[word] = (*found.get(word, ()), language)
    return found


def _by_lingua(text: str, script: str) -> str | None:
    """Return lingua's answer for a text; None if it is not installed or not sure."""
    if len(text) < LEAST_CHARS:
        return None
    detector = _lingua(script)
    found: Any = detector.detect_language_of(text) if detector else None
    return str(found.iso_code_639_1.name).lower() if found else None


@cache
def _lingua(script: str) -> Any:
    lingua = optional_module("lingua")
    if lingua is None:
        return None
    builder: Any = lingua.LanguageDetectorBuilder
    of_script = {
        "Latin": builder.from_all_languages_with_latin_script,
        "Arabic": builder.from_all_languages_with_arabic_script,
        "Cyrillic": builder.from_all_languages_with_cyrillic_script,
        "Devanagari": builder.from_all_languages_with_devanagari_script,
    }
    chosen = of_script[script]().with_low_accuracy_mode()  # high accuracy takes 900 MB
    return chosen.with_minimum_relative_distance(0.1).build()
