"""Removal of typographic differences that do not originate from the writers of two corpora.

For example, PERSONA-CHAT is in lower case with spaces around punctuation, and quotation marks are
straight in some corpora and curly in others. If two corpora differ systematically in such a way,
both are converted to the form with less information, and the change is reported. The test is about
the writers, not about file formats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from convogen.realism.samples import Dialogue

__all__ = ["Normalisation", "normalised"]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """A difference that was removed from both corpora.

    Attributes:
        name: `case`, `tokenisation`, `quotes` or `spelling`.
        measure: The compared measure, such as "capitals among letters".
        generated: The value of the measure for the generated corpus, 0 to 1.
        human: The value of the measure for the human corpus, 0 to 1.
        change: The change made to both corpora.
    """

    name: str
    measure: str
    generated: float
    human: float
    change: str


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule that changes both corpora if the share of marked strings is at most `low` in one of
    them and at least `high` in the other."""

    name: str
    measure: str
    marked: re.Pattern[str]
    counted: re.Pattern[str]
    low: float
    high: float
    change: str
    apply: Callable[[str], str]


def normalised(
    generated: Sequence[Dialogue], human: Sequence[Dialogue]
) -> tuple[list[Dialogue], list[Dialogue], list[Normalisation]]:
    """Return both corpora without the typographic differences between them, and a list of the
    differences."""
    ours, theirs = list(generated), list(human)
    changes: list[Normalisation] = []
    for rule in _RULES:
        shares = (_share(rule, ours), _share(rule, theirs))
        if not min(shares) <= rule.low or not max(shares) >= rule.high:
            continue
        changes.append(Normalisation(rule.name, rule.measure, *shares, rule.change))
        ours, theirs = _applied(rule, ours), _applied(rule, theirs)
    return ours, theirs, changes


def _share(rule: _Rule, dialogues: Iterable[Dialogue]) -> float:
    marked = counted = 0
    for dialogue in dialogues:
        for text in dialogue.texts:
            marked += len(rule.marked.findall(text))
            counted += len(rule.counted.findall(text))
    return marked / counted if counted else 0.0


def _applied(rule: _Rule, dialogues: Iterable[Dialogue]) -> list[Dialogue]:
    return [dialogue.with_texts(map(rule.apply, dialogue.texts)) for dialogue in dialogues]


_BEFORE_MARK = re.compile(r"(?<=\w) +(?=[.,!?;:…](?:\s|\Z))")
_BEFORE_CLITIC = re.compile(r"(?<=\w) +(?=(?:n['’]t|['’](?:s|m|re|ve|ll|d))\b)", re.IGNORECASE)
_QUOTES = str.maketrans("‘’‚‛“”„‟", "''''\"\"\"\"")


def _joined(text: str) -> str:
    return _BEFORE_CLITIC.sub("", _BEFORE_MARK.sub("", text))


def _straight(text: str) -> str:
    return text.translate(_QUOTES)


_BRITISH = {
    r"([bcdfghlmnprstv])our(?=s?\b|ed\b|ing\b|ful|ite|able|hood)": r"\1or",
    r"(\w{3})is(?=(?:e[sd]?|ing|ation)\b)": r"\1iz",
    r"\b(cent|met|theat|lit|fib|kilomet|centimet)re(?=s?\b)": r"\1er",
    r"(trave|cance|labe|mode|jewe|fue|signa)ll(?=ed\b|ing\b|er)": r"\1l",
    r"\bgrey": "gray",
    r"\b(m)um(?=s?\b|m)": r"\1om",
    r"\bpyjama": "pajama",
    r"\btyre(?=s?\b)": "tire",
    r"\bprogramme(?=s?\b)": "program",
    r"\bcheque(?=s?\b)": "check",
}
"""British spellings and the American spellings that replace them in both corpora. The first two
patterns also change words without spelling variants ("four", "noise"), which is harmless since both
corpora are changed.
"""
_SPELLINGS = [(re.compile(one, re.IGNORECASE), other) for one, other in _BRITISH.items()]
_BRITISH_WORDS = re.compile(
    r"\b(?:colour|favour(?:ite)?|neighbour|honour|humour|behaviour|flavour|labour|rumour|harbour"
    r"|(?:real|organ|recogn|apolog|critic|memor|special|emphas)is(?:e[sd]?|ing)|centre|theatre"
    r"|travelled|travelling|cancelled|grey|mum|pyjamas|tyres?|programmes?|cheques?)s?\b",
    re.IGNORECASE,
)
_EITHER_SPELLING = re.compile(
    _BRITISH_WORDS.pattern + r"|\b(?:color|favor(?:ite)?|neighbor|honor|humor|behavior|flavor|labor"
    r"|rumor|harbor|(?:real|organ|recogn|apolog|critic|memor|special|emphas)iz(?:e[sd]?|ing)"
    r"|center|theater|traveled|traveling|canceled|gray|mom|pajamas|tires?|programs?|checks?)s?\b",
    re.IGNORECASE,
)


def _american(text: str) -> str:
    for pattern, spelling in _SPELLINGS:
        text = pattern.sub(spelling, text)
    return text


_RULES = (
    _Rule(
        "tokenisation",
        "punctuation preceded by a space",
        re.compile(r"\w +[.,!?](?:\s|\Z)"),
        re.compile(r"\w *[.,!?](?:\s|\Z)"),
        0.1,
        0.5,
        "spaces before punctuation and clitics removed",
        _joined,
    ),
    _Rule(
        "case",
        "capitals at the beginning of turns",
        re.compile(r"\A\W*[^\W\d_a-zß-öø-ÿ]"),
        re.compile(r"\A\W*[^\W\d_]"),
        0.02,
        0.3,
        "lower-cased",
        str.lower,
    ),
    _Rule(
        "quotes",
        "curly quotes among quotation marks",
        re.compile("[‘’“”]"),
        re.compile("[‘’“”'\"]"),
        0.1,
        0.5,
        "made straight",
        _straight,
    ),
    _Rule(
        "spelling",
        "British spellings among words with two spellings",
        _BRITISH_WORDS,
        _EITHER_SPELLING,
        0.2,
        0.6,
        "made American",
        _american,
    ),
)
