"""Removal of text around the spoken words in a model's reply.

Every step returns the text unchanged if there is nothing to remove. Words are only removed, never
added or changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from convogen.text.labels import without_own_labels
from convogen.text.names import Cast, cast_of
from convogen.text.reasoning import without_template_tokens, without_thinking
from convogen.text.stage_directions import without_stage_directions

__all__ = ["TIDIED", "Spoken", "spoken_part", "without_label"]

TIDIED = (
    "thinking",
    "template_tokens",
    "code_fence",
    "quotes",
    "label",
    "stage_direction",
    "cut_off",
)
"""Kinds of text removed from a reply; `cut_off` is an unfinished sentence."""

MOST_LAYERS = 100
"""Maximum number of passes over a reply; ordinary replies take two."""

_FENCE = re.compile(r"\A(`{3,}|~{3,})(?:[ \t]*[\w+#.-]*[ \t]*\n)?")
_CODE = re.compile(r"\A(`{1,2})([^`]+)\1\Z")
_PAIRS = '"" “” „“ „” «» »« 「」 『』 ＂＂ ”“ ”” ““ "” “" \'\' ‘’ ‚‘ ‹›'.split()
_QUOTED = [
    (a, re.compile(rf"(?:{a}[^{a}{b}]*{b}\s*)+\Z"), re.compile(rf"{a}([^{a}{b}]*){b}"))
    for a, b in _PAIRS
]
_DOUBLE = frozenset('"“”„«»「」『』＂')
_OPENINGS = frozenset(pair[0] for pair in _PAIRS)
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_ELIDED = re.compile(r"\A['‘](?!\w+['’]\Z).*\w['’]\Z", re.DOTALL)
_DOUBLED = re.compile(r"""\A(""|''|``|\\")(?=[^"'`])(.+?)(?:""|''|``|\\")\Z""", re.DOTALL)
_EMPHASIS = re.compile(r"\A(\*{1,3}|_{1,3})(?=\S)([^*_\n]+)(?<=\S)\1\Z")


class Spoken(NamedTuple):
    """The spoken words of a reply, and the kinds of text that were removed (see `TIDIED`).

    If a reply consists only of stage directions, `text` contains them and `silent` is True.
    """

    text: str
    tidied: tuple[str, ...]
    silent: bool = False


def spoken_part(reply: str, cast: Cast, language: str, *, directions: bool = True) -> Spoken:
    """Return the spoken part of a reply, tidied repeatedly until nothing changes.

    Args:
        reply: The model's reply.
        cast: The names in the scene.
        language: The BCP 47 tag of the reply's language.
        directions: Whether stage directions are removed as well.
    """
    text, roles = reply.strip(), "assistant" not in cast.others
    steps: list[tuple[str, Callable[[str], str]]] = [
        ("thinking", lambda text: without_thinking(text)[0]),
        ("template_tokens", lambda text: without_template_tokens(text, roles=roles)[0]),
        ("code_fence", _without_fence),
        ("quotes", _without_quotes),
        ("label", lambda text: without_own_labels(text, cast, language)),
    ]
    tidied: list[str] = []
    for _ in range(MOST_LAYERS):
        before = text
        for kind, step in steps:
            shorter = step(text).strip()
            if shorter != text:
                tidied.append(kind)
                text = shorter
        if directions and text:
            shorter = without_stage_directions(text, cast, language).strip()
            if not any(char.isalnum() for char in shorter) and shorter != text:
                return Spoken(text, tuple(dict.fromkeys(tidied)), silent=True)
            if shorter != text:
                tidied.append("stage_direction")
                text = shorter
        if (plain := _EMPHASIS.match(text)) is not None:
            tidied.append("quotes")
            text = plain[2].strip()
        if text == before:
            break
    return Spoken(text, tuple(dict.fromkeys(tidied)))


def without_label(text: str, label: str) -> str:
    """Return a text without a label such as `Summary:` before it or quotation marks around it."""
    cast = cast_of(label, (), "en")
    text = text.strip()
    while (shorter := without_own_labels(_without_quotes(text), cast, "en").strip()) != text:
        text = shorter
    return text


def _without_fence(text: str) -> str:
    """Remove a code fence around the whole text, or an opening or closing half without the
    other."""
    if (fence := _FENCE.match(text)) is not None:
        return text[fence.end() :].removesuffix(fence[1])
    if text.endswith("\n```") and text.count("```") == 1:
        return text.removesuffix("```")
    inline = _CODE.match(text) if text.startswith("`") else None
    return inline[2] if inline else text


def _without_quotes(text: str) -> str:
    """Remove quotation marks around the whole text, or an unpaired double quote at either end."""
    first, last = text[:1], text[-1:]
    if first in "\"'`\\" and (doubled := _DOUBLED.match(text)) is not None:
        return doubled[2]
    if first in _OPENINGS:
        marked = text.removesuffix(".").removesuffix(",")
        single = first in "'‘‚"
        hidden = _APOSTROPHE.sub("\0", marked) if single else marked
        elided = single and _ELIDED.search(marked) is not None
        for opening, whole, part in _QUOTED:
            if opening == first and whole.match(hidden) and not elided:
                parts = (marked[m.start(1) : m.end(1)].strip() for m in part.finditer(hidden))
                return " ".join(quoted for quoted in parts if quoted)
    if (first in _DOUBLE) == (last in _DOUBLE) or sum(map(text.count, _DOUBLE)) > 1:
        return text
    if first in _DOUBLE:
        return text[1:]
    return text if text[-2:-1].isdigit() else text[:-1]
