"""Segmentation of texts into words and sentences, depending on the language.

Text in scripts with spaces is split at Unicode word boundaries (UAX #29), and English text at white
space, as in the papers. Chinese, Japanese and Thai each need a segmenter, which an extra for the
language installs. Segmenters are imported on first use. There are no rules for Lao, Khmer, Burmese
and Tibetan, so the lengths of texts in these languages are counted in characters.
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
"""Units in which lengths are counted."""

EXTRAS = {"zh": ("rjieba",), "ja": ("fugashi", "unidic_lite"), "th": ("pythainlp.tokenize",)}
"""Maps each language that needs a segmenter to the modules that the language's extra installs."""

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
"""Minimum share of kana among the Han and kana characters in a Japanese text."""


def words(text: str, language: str | None = None) -> list[str] | None:
    """Return the words of a text, in order and unchanged.

    English text, and text in Latin letters whose language is unknown, is split at white space, and
    its words keep their punctuation. All other words contain a letter or digit and have no
    punctuation around them.

    Args:
        text: Any text.
        language: A BCP 47 tag, or None if the language is unknown; the script then decides.

    Returns:
        The words, or None if there is no rule for the text or its segmenter is not installed.
    """
    unspaced = unspaced_script(text) if language is None else unspaced_language(language)
    if unspaced is not None:
        cut = _segmenter(unspaced)
        return None if cut is None else [word for word in cut(text) if _is_word(word)]
    if at_white_space(text, language):
        return text.split()
    return [word for word in _BOUNDARY.split(text) if _is_word(word)]


def count_words(text: str, language: str | None = None) -> int | None:
    """Return the number of words in a text, or None if `words` returns None."""
    found = words(text, language)
    return None if found is None else len(found)


def sentences(text: str, language: str | None = None) -> list[str]:
    """Return the sentences of a text, including any unfinished one after the last end mark.

    In Thai and Lao, a space ends a sentence.
    """
    del language  # no end mark depends on the language
    ends = sentence_ends(text)
    parts = (text[a:b].strip() for a, b in zip([0, *ends], [*ends, len(text)], strict=True))
    return [part for part in parts if part]


def can_segment(language_or_text: str) -> bool:
    """Return whether `words` can segment a language, given a BCP 47 tag or a text in its script."""
    tag = _TAG.fullmatch(language_or_text)
    code = unspaced_language(language_or_text) if tag else unspaced_script(language_or_text)
    return code is None or _segmenter(code) is not None


def unit_of(language: str | None) -> Unit:
    """Return the unit in which text lengths are counted in a language."""
    return "words" if language is None or can_segment(language) else "characters"


def length(text: str, language: str | None = None, unit: Unit = "words") -> int:
    """Return a text's length in words, or in characters if the text cannot be segmented into words.

    Characters are grapheme clusters, as a reader sees them. White space is not counted.

    Args:
        text: Any text.
        language: A BCP 47 tag, or None if the language is unknown.
        unit: With `characters`, characters are counted even if the text can be segmented.
    """
    counted = count_words(text, language) if unit == "words" else None
    if counted is not None:
        return counted
    return sum(not seen.isspace() for seen in _VISIBLE.findall(text))


def missing_extra(language: str | None) -> str | None:
    """Return the extra, such as `convogen[zh]`, that would install a language's segmenter.

    Return None if the language needs no segmenter or its segmenter is installed.
    """
    code = unspaced_language(language)
    needed = code in EXTRAS and _segmenter(code) is None
    return f"convogen[{code}]" if needed else None


def primary(language: str) -> str:
    """Return the primary subtag of a BCP 47 tag in lower case: `pt` for `pt-BR`."""
    return language.partition("-")[0].partition("_")[0].lower()


def unspaced_language(language: str | None) -> str | None:
    """Return the code of a language if it is written without spaces, otherwise None."""
    code = primary(language) if language else ""
    if code in _CHINESE:
        return "zh"
    return code if code in EXTRAS or code in _NO_RULE else None


def at_white_space(text: str, language: str | None) -> bool:
    """Return whether a text is split into words at white space, as the papers do for English."""
    if language is not None:
        return primary(language) == "en"
    other = 0 if text.isascii() else len(_OTHER_LETTERS.findall(text))
    return not other or 2 * other < len(_LETTER.findall(text))


def unspaced_script(text: str) -> str | None:
    """Return the language of a text if most of its letters are in a script without spaces."""
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
    """Return the function that segments text in a language, or None if it is not installed."""
    modules: list[Any] = [optional_module(name) for name in EXTRAS.get(code, ())]
    if not modules or None in modules:
        return None
    if code == "zh":
        (rjieba,) = modules
        return lambda text: rjieba.cut(text, False)  # guessing unknown words also joins known ones
    if code == "ja":
        fugashi, dictionary = modules  # by default, fugashi prefers any other dictionary
        folder = Path(dictionary.DICDIR)
        tagger = fugashi.Tagger(f'-Owakati -r "{folder / "mecabrc"}" -d "{folder}"')
        return lambda text: tagger.parse(text).split()
    (tokenize,) = modules
    return lambda text: tokenize.word_tokenize(text, engine="newmm", keep_whitespace=False)
