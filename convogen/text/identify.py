"""Identification of a conversation's language from its script and frequent words, or by lingua."""

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
"""Maximum number of characters that are read, and the number that usually suffices."""

LEAST_CHARS = 40
"""Minimum number of characters for lingua, whose trigrams are useless for a word or two."""

MANY_WORDS, LEAST_HINT = 80, 0.03
"""In every language that lingua knows, the share of frequent words in a text of `MANY_WORDS` or
more words in Latin letters is at least `LEAST_HINT`. A text with a smaller share consists of codes
or random letters. It is not passed to lingua, which is slowest on such texts."""

LEAST_KANA = 0.05
"""Minimum share of kana among the Han and kana characters in a Japanese text."""

LEAST_WEIGHT, LEAST_SHARE, LEAST_LEAD = 1.5, 0.1, 1.5
"""Thresholds for choosing a language by its function words: their total weight, their weight per
word in the text, and the ratio of their weight to the next language's weight. A function word that
n languages share has weight 1/n."""

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
"""The language of each script, or the most widespread language if several share the script."""

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
    """Return the language that texts are written in, as a primary BCP 47 subtag such as `de`.

    Only the first 1,000 characters are read. A script that only one language uses identifies that
    language. For other scripts, the frequent words decide. If they are inconclusive, `lingua`
    decides, provided that it is installed.

    Args:
        texts: The turns of a conversation; an iterator is consumed only as far as needed.

    Returns:
        The subtag, or None if there are no words or too few to identify the language.
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
    """Return the primary subtag of a conversation's language, or None if the language is unknown.

    The stated language is returned unless the script of the turns requires a different kind of word
    segmentation (by spaces, by a segmenter, or none). In that case, the language is identified from
    the turns. If the stated language is Japanese, text without kana is accepted as Japanese.
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
    """Return how words are segmented: `spaces`, the code of the segmenter, or `none`."""
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
    """Return the script of most letters in a text, or None if the text has no letters.

    For Han and kana characters, the language (`zh` or `ja`) is returned instead.
    """
    if text.isascii() or _NOT_LATIN.search(text) is None:
        return "Latin" if _LETTERS["Latin"].search(text) else None
    counts = {script: len(letters.findall(text)) for script, letters in _LETTERS.items()}
    han, kana = counts.pop("Han"), counts.pop("Kana")
    counts["ja" if kana > LEAST_KANA * (han + kana) else "zh"] = han + kana
    script = max(counts, key=counts.__getitem__)
    return script if counts[script] else None


class _Frequent(NamedTuple):
    """The words in a text that are frequent in some language, and the text's number of words."""

    counts: Counter[str]
    total: int

    def weights(self) -> dict[str, float]:
        """Return the total weight of the words for each language."""
        known = function_words()
        weights: dict[str, float] = {}
        for word, count in self.counts.items():
            languages = known[word]
            for language in languages:
                weights[language] = weights.get(language, 0.0) + count / len(languages)
        return weights

    def most(self) -> int:
        """Return the largest number of words that are frequent in a single language."""
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
    """Return the language that frequent words indicate, or None if no language stands out."""
    weights = found.weights()
    if not weights:
        return None
    best = max(weights, key=weights.__getitem__)
    following = max((weight for other, weight in weights.items() if other != best), default=0.0)
    least = max(LEAST_WEIGHT, LEAST_SHARE * found.total, LEAST_LEAD * following)
    return best if weights[best] >= least else None


def _may_be_language(found: _Frequent) -> bool:
    """Return whether a text is short or has enough frequent words to be in a real language."""
    return found.total < MANY_WORDS or found.most() >= LEAST_HINT * found.total


def _likeliest(found: _Frequent, script: str) -> str | None:
    """Return the likeliest of the languages that share a script, or None for the Latin script."""
    default = _SCRIPTS.get(script)
    if default is None:
        return None
    weights = {default: 0.0} | found.weights()
    return max(weights, key=lambda language: (weights[language], language == default))


@cache
def frequent_words(language: str | None) -> frozenset[str]:
    """Return the frequent words of a language (a BCP 47 tag), or an empty set if none are known."""
    code = primary(language) if language else ""
    return frozenset(word for word, codes in function_words().items() if code in codes)


@cache
def function_words() -> Mapping[str, tuple[str, ...]]:
    """Return a mapping from each frequent word to the languages in which it is frequent."""
    data = cast("dict[str, str]", read_yaml(Path(__file__).with_name("function_words.yaml")))
    found: dict[str, tuple[str, ...]] = {}
    for language, words in data.items():
        for word in set(words.split()):
            found[word] = (*found.get(word, ()), language)
    return found


def _by_lingua(text: str, script: str) -> str | None:
    """Return the language that lingua identifies in a text.

    Return None if the text is too short, lingua is not installed, or its result is uncertain.
    """
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
