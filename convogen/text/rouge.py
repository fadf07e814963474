"""ROUGE-L of two texts (Lin, 2004), with the tokens of the `rouge-score` package.

The package's tokens suit only English. In other languages, all letters and digits count. In scripts
without spaces, each letter is a token, which makes a segmenter unnecessary.
"""

from __future__ import annotations

import re

import regex
from rapidfuzz.distance import LCSseq

from convogen.text.identify import identify
from convogen.text.segmentation import UNSPACED, at_white_space, primary

__all__ = ["rouge_l", "tokens"]

_TOKEN = re.compile(r"[a-z0-9]+")
_UNICODE_TOKEN = regex.compile(
    rf"[\p{{L}}&&[{UNSPACED}]]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+", regex.VERSION1
)
_SYMBOL = regex.compile(r"(?!\s)\X")


def tokens(text: str, language: str | None = None) -> list[str]:
    """Return the lower-cased tokens of a text.

    Args:
        text: Any text.
        language: A BCP 47 tag, or None if the language is unknown. For English, and for text in
            Latin letters whose language is unknown, tokens are runs of ASCII letters and digits. If
            a text that is not known to be English has no such tokens, all of its letters and digits
            are used. If the text has neither letters nor digits, its symbols are used.
    """
    lowered = text.lower()
    found = (_TOKEN if at_white_space(text, language) else _UNICODE_TOKEN).findall(lowered)
    if found or text.isascii() or (language is not None and primary(language) == "en"):
        return found
    return _UNICODE_TOKEN.findall(lowered) or _SYMBOL.findall(lowered)


def rouge_l(text: str, reference: str, language: str | None = None) -> float:
    """Return the ROUGE-L F1 of two texts (0 to 1), without stemming.

    The score is 0 if either text has no tokens. The BCP 47 tag `language` determines the tokens; if
    it is None, the language is identified.
    """
    if language is None and not (text + reference).isascii():
        language = identify((reference, text))
    ours, theirs = tokens(text, language), tokens(reference, language)
    common = LCSseq.similarity(ours, theirs)
    return 2 * common / (len(ours) + len(theirs)) if common else 0.0
