"""Full-text search: splitting text into words, and locating hits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import regex

__all__ = ["Part", "marked", "match_expression", "searchable", "terms_of"]

MOST_TERMS = 12
MOST_CHARS = 200
AROUND = 90
"""Number of characters shown before and after a hit."""

_UNSPACED = regex.compile(
    r"(?<=[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])|"
    r"(?=[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])"
)
_TERM = re.compile(r'"([^"]*)"?|(\S+)')
_WORD = regex.compile(r"[\p{L}\p{N}]")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text; `found` tells whether the part is a search hit."""

    text: str
    found: bool


def searchable(text: str) -> str:
    """Return a text with spaces between characters of scripts that are written without spaces."""
    return text if text.isascii() else _UNSPACED.sub(" ", text)


def terms_of(search: str) -> list[str]:
    """Return the search terms: words, and phrases in quotation marks."""
    found = [phrase or word for phrase, word in _TERM.findall(search[:MOST_CHARS])]
    return [term for term in found if _WORD.search(term)][:MOST_TERMS]


def match_expression(terms: Iterable[str]) -> str:
    """Return an FTS5 expression that requires all terms, each quoted so that it is not an operator.

    A term matches words that begin with it.
    """
    quoted = (searchable(term).replace('"', " ").replace("\0", " ") for term in terms)
    return " ".join(f'"{term}" *' for term in quoted)


def marked(texts: Iterable[str], terms: Sequence[str]) -> list[Part]:
    """Return an excerpt around the first hit in the texts, split into hits and other parts.

    The list is empty if no text contains a hit, for example if text and term differ in accents.
    """
    if not terms:
        return []
    wanted = re.compile("|".join(map(_beginning, terms)), re.IGNORECASE)
    for text in texts:
        if first := wanted.search(text):
            start = max(0, first.start() - AROUND)
            shown = text[start : first.end() + AROUND]
            cut = (
                [Part("…", False)] * (start > 0),
                [Part("…", False)] * (len(text) > start + len(shown)),
            )
            return [*cut[0], *_parts(shown, wanted), *cut[1]]
    return []


def _beginning(term: str) -> str:
    """Return a pattern that matches a term where the search does: at the beginning of a word, or
    anywhere if the term's script has no spaces."""
    pattern = re.escape(term)
    return pattern if _UNSPACED.match(term) else rf"(?<!\w){pattern}"


def _parts(text: str, wanted: re.Pattern[str]) -> list[Part]:
    parts: list[Part] = []
    end = 0
    for match in wanted.finditer(text):
        parts += [Part(text[end : match.start()], False), Part(match[0], True)]
        end = match.end()
    parts.append(Part(text[end:], False))
    return [part for part in parts if part.text]
