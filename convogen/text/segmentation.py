"""Words and sentences of a text, by its language.

Scripts with spaces are cut at the word boundaries of Unicode (UAX #29), English at white space as
the papers count it. Chinese, Japanese and Thai need a segmenter, each in an extra of its own and
imported when it is first needed. Lao, Khmer, Burmese and Tibetan have no rule: their texts have no
words, and their lengths are counted in characters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Literal

import regex

from convogen.text.extras import optional_module
from convogen.text.lengths import sentence_ends

__all__ = [
    "EXTRAS",
    "UNSPACED",
    "Unit",
    "at_white_space",
    "can_segment",
    "count_words",
    "length",
    "missing_extra",
    "primary",
    "sentences",
    "unit_of",
    "unspaced_language",
    "unspaced_script",
    "words",
]

Unit = Literal["words", "characters"]
"""Units of lengths."""

EXTRAS = {"zh": ("rjieba",), "ja": ("fugashi", "unidic_lite"), "th": ("pythainlp.tokenize",)}
"""Languages that need a segmenter, and the modules of the extra that has it."""

_CHINESE = frozenset({"yue", "wuu", "nan", "hak", "gan", "cmn", "lzh"})
_NO_RULE = frozenset({"lo", "km", "my", "shn", "mnw", "bo", "dz"})
_TAG = regex.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_SCRIPTS = {
    "ja": r"\p{Hiragana}\p{Katakana}",
    "zh": r"\p{Han}",
    "th": r"\p{Thai}",
    "lo": r"\p{Lao}",
    "km": r"\p{Khmer}",
    "my": r"\p{Myanmar}",
    "bo": r"\p{Tibetan}",
}
UNSPACED = "".join(_SCRIPTS.values())
"""The scripts without spaces between words, for a character class of `regex`."""

_UNSPACED = regex.compile(f"[{UNSPACED}]")
_OF_SCRIPT = {code: regex.compile(f"[{chars}]") for code, chars in _SCRIPTS.items()}
_LETTER = regex.compile(r"\p{L}")
_LETTER_OR_NUMBER = regex.compile(r"[\p{L}\p{N}]")
_OTHER_LETTERS = regex.compile(r"[^\P{L}\p{Latin}]")
_BOUNDARY = regex.compile(r"(?w)\b")
_VISIBLE = regex.compile(r"\X")

LEAST_KANA = 0.05
"""Minimum share of kana among Han and kana in Japanese text."""


def words(text: str, language: str | None = None) -> list[str] | None:
    """Return the words of a text, in their order and as they are written.

    English words, and those of text in Latin letters of unknown language, are separated by white
    space and keep their punctuation. All other words have a letter or a digit, and no punctuation
    around them.

    Args:
        text: Any text.
        language: A BCP 47 tag; None if it is unknown, and the script decides.

    Returns:
        None if there is no rule for the text, or its segmenter is not installed.
    """
    unspaced = unspaced_script(text) if language is None else unspaced_language(language)
    if unspaced is not None:
        cut = _segmenter(unspaced)
        return None if cut is None else [word for word in cut(text) if _is_word(word)]
    if at_white_space(text, language):
        return text.split()
    return [word for word in _BOUNDARY.split(text) if _is_word(word)]


def count_words(text: str, language: str | None = None) -> int | None:
    """Return the number of words of a text; None if `words` returns None."""
    found = words(text, language)
    return None if found is None else len(found)


def sentences(text: str, language: str | None = None) -> list[str]:
    """Return the sentences of a text; text after the last end mark counts as one, too.

    A Thai or Lao sentence ends at a space.
    """
    del language  # the marks of all scripts are known; none ends a sentence in one language only
    ends = sentence_ends(text)
    parts = (text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True))
    return [part for part in parts if part]


def can_segment(language_or_text: str) -> bool:
    """Return whether `words` has a rule for a BCP 47 tag, or else for a text in its script."""
    tag = _TAG.fullmatch(language_or_text)
    code = unspaced_language(language_or_text) if tag else unspaced_script(language_or_text)
    return code is None or _segmenter(code) is not None


def unit_of(language: str | None) -> Unit:
    """Return the unit of text lengths in a language."""
    return "words" if language is None or can_segment(language) else "characters"


def length(text: str, language: str | None = None, unit: Unit = "words") -> int:
    """Return the length of a text in words, or in characters if it has no words here.

    Characters are those that a reader sees (grapheme clusters), without white space.

    Args:
        text: Any text.
        language: A BCP 47 tag; None if it is unknown.
        unit: `characters` counts characters even if there are words.
    """
    counted = count_words(text, language) if unit == "words" else None
    if counted is not None:
        return counted
    return sum(not seen.isspace() for seen in _VISIBLE.findall(text))


def missing_extra(language: str | None) -> str | None:
    """Return the missing extra for a language's segmenter, as `convogen[zh]`; None if none is."""
    code = unspaced_language(language)
    needed = code in EXTRAS and _segmenter(code) is None
    return f"convogen[{code}]" if needed else None


def primary(language: str) -> str:
    """Return the primary subtag of a BCP 47 tag in lower case: `pt` of `pt-BR`."""
    return language.partition("-")[0].partition("_")[0].lower()


def unspaced_language(language: str | None) -> str | None:
    """Return the code of a language that is written without spaces; None for all others."""
    code = primary(language) if language else ""
    if code in _CHINESE:
        return "zh"
    return code if code in EXTRAS or code in _NO_RULE else None


def at_white_space(text: str, language: str | None) -> bool:
    """Return whether a text's words are counted as the papers count English: at white space."""
    if language is not None:
        return primary(language) == "en"
    other = 0 if text.isascii() else len(_OTHER_LETTERS.findall(text))
    return not other or 2 * other < len(_LETTER.findall(text))


def unspaced_script(text: str) -> str | None:
    """Return the language of most of a text's letters if its script has no spaces, else None."""
    if text.isascii() or _UNSPACED.search(text) is None:
        return None
    counts = {code: len(chars.findall(text)) for code, chars in _OF_SCRIPT.items()}
    han, kana = counts.pop("zh"), counts.pop("ja")
    counts["ja" if kana > LEAST_KANA * (han + kana) else "zh"] = han + kana
    code = max(counts, key=counts.__getitem__)
    return code if 2 * counts[code] >= max(1, len(_LETTER.findall(text))) else None


def _is_word(word: str) -> bool:
    return word.isalnum() or _LETTER_OR_NUMBER.search(word) is not None


@cache
def _segmenter(code: str) -> Callable[[str], list[str]] | None:
    """Return the function that segments texts of a language; None if it is not installed."""
    modules: list[Any] = [optional_module(name) for name in EXTRAS.get(code, ())]
    if not modules or None in modules:
        return None
    if code == "zh":
        (rjieba,) = modules
        return lambda text: rjieba.cut(text, False)  # its guesses at unknown words join known ones
    if code == "ja":
        fugashi, dictionary = modules  # explicit, as fugashi prefers any other installed one
        folder = Path(dictionary.DICDIR)
        tagger = fugashi.Tagger(f'-Owakati -r "{folder / "mecabrc"}" -d "{folder}"')
        return lambda text: tagger.parse(text).split()
    (tokenize,) = modules
    return lambda text: tokenize.word_tokenize(text, engine="newmm", keep_whitespace=False)
