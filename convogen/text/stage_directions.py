"""Stage directions such as `*sighs*`, `(laughing)` or `[leaves]`, and narration without marks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from convogen.text.labels import is_addressed
from convogen.text.language import load_language
from convogen.text.names import Cast
from convogen.text.narration import is_about

__all__ = ["is_acted", "is_narrated", "without_stage_directions"]

_SPAN = re.compile(
    r"(?:(?<![ \t])[ \t]+)?(?:(?P<star>\*{1,3}(?P<a>[^*\n]{1,300})\*{1,3}"
    r"|(?<![^\W_])_{1,2}(?P<b>[^_\n]{1,300})_{1,2}(?![^\W_]))"
    r"|\((?P<c>[^()\n]{1,300})\)|\[(?P<d>[^\[\]\n]{1,300})\]|（(?P<e>[^（）\n]{1,300})）"
    r"|<(?P<f>[^<>\n]{1,80})>|\{(?P<g>[^{}\n]{1,80})\}|~(?P<h>[^~\n]{1,80})~"
    r"|--(?P<i>[^-\n]{1,80})--)"
)
_MARKS = re.compile(r"[*_(\[（<{~]|--")
_EMPTY = re.compile(r"\(\s*\)|\[\s*\]")
_BEFORE_AN_EDGE = re.compile(r"(?:\A|[.!?…,;:—–\-\"”’)*\]_。！？，、～।॥؟،؛」』])\s*\Z")
_SENTENCE = re.compile(r"[A-Z].*[.!?]\Z", re.DOTALL)
_DASHES = re.compile(r"\A\s*([—–-])")
_WORD = re.compile(r"[^\W_]")


class _Patterns(NamedTuple):
    inside: re.Pattern[str]
    gestures: re.Pattern[str]
    any_marks: re.Pattern[str]
    brackets: re.Pattern[str]
    spoken: re.Pattern[str]
    personal: re.Pattern[str]
    bare: re.Pattern[str]
    narrated: re.Pattern[str]


@lru_cache
def _patterns(language: str) -> _Patterns:
    lang = load_language(language)
    texts = lang.directions
    return _Patterns(
        inside=lang.compile(texts.inside_sentences),
        gestures=lang.compile(texts.gestures),
        any_marks=lang.compile(texts.any_marks),
        brackets=lang.compile(texts.brackets),
        spoken=lang.compile(texts.spoken),
        personal=lang.compile(texts.personal),
        bare=lang.compile(texts.bare),
        narrated=lang.compile(texts.narrated),
    )


def without_stage_directions(text: str, cast: Cast, language: str) -> str:
    """Return a text without stage directions; no words remain if it contains nothing else."""
    lang = load_language(language)
    if _MARKS.search(text) is None or "stage_direction" not in lang.checks:
        return text
    kept: list[str] = []
    begin, unread, spoken = 0, 0, False
    last = next((at for at in range(len(text) - 1, -1, -1) if text[at].isalnum()), -1)
    for span in _SPAN.finditer(text):
        spoken = spoken or _WORD.search(text, unread, span.start()) is not None
        alone = not spoken and last < span.end()
        edge = _at_edge(text, begin, span, lang.spaced)
        unread = span.start()
        if _is_direction(span, alone, edge, cast, language):
            kept.append(text[begin : span.start()])
            begin = unread = span.end()
    return _joined([*kept, text[begin:]]) if kept else text


def _at_edge(text: str, begin: int, span: re.Match[str], spaced: bool) -> bool:
    """Return whether a span stands between sentences rather than within one.

    A span that begins a sentence is not between sentences: `*Nothing* is going to change.` Scripts
    without spaces do not show whether a sentence continues, so the text after the span is not
    checked.
    """
    after = text[span.end() : span.end() + 2]
    if spaced and (after[:1].isalnum() or after.strip(" ").islower()):
        return False
    before = text[max(begin, span.start() - 4) : span.start()]
    return span.start() == begin or _BEFORE_AN_EDGE.search(before) is not None


def _is_direction(
    span: re.Match[str], alone: bool, at_edge: bool, cast: Cast, language: str
) -> bool:
    """Return whether the text between marks is an action rather than speech.

    `alone` is True if the rest of the turn contains no words.
    """
    patterns = _patterns(language)
    content = next(group for group in span.group(*"abcdefghi") if group).strip()
    plain = content.strip(" \t.…,!;:—–-").lower().replace("’", "'")
    brackets = span["star"] is None
    if not at_edge:
        return patterns.inside.match(plain) is not None and len(plain.split()) <= 2
    if patterns.spoken.search(plain):
        return False
    if patterns.gestures.match(plain) or is_about(content, cast, language):
        return True
    if not alone and _SENTENCE.match(content):
        return False
    if patterns.any_marks.match(plain):
        return True
    if brackets and is_addressed(plain, cast, language):
        return True
    if (brackets or alone) and patterns.brackets.match(plain):
        return True
    words = len(plain.split())
    return (
        alone
        and (brackets or (words > 2 and content[0].islower()))
        and patterns.personal.search(plain) is None
    )


def _joined(pieces: list[str]) -> str:
    """Join the remaining parts, with a space if words would run together."""
    text = pieces[0]
    for piece in pieces[1:]:
        if (dash := _DASHES.match(piece)) is not None and text.endswith(dash[1]):
            piece = piece[dash.end() :]
        glue = " " if text[-1:].strip() and piece[:1].isalnum() else ""
        text = f"{text}{glue}{piece}"
    return re.sub(r"\A[\s,;:]+|\A\.(?!\.)\s*", "", _EMPTY.sub("", text).strip())


def is_acted(plain: str, language: str) -> bool:
    """Return whether a turn, given in lower case, is a stage direction without marks."""
    return _patterns(language).bare.match(plain) is not None


def is_narrated(plain: str, language: str) -> bool:
    """Return whether a turn, given in lower case, is narrated, as in `"No," he says, …`."""
    patterns = _patterns(language)
    if patterns.narrated.match(plain) is None:
        return False
    return plain[0] in '"“„«»「『—' or patterns.personal.search(plain) is None
