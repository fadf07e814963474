"""Labels before lines, as in a script: the speaker's own name, and other people's names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from convogen.text.language import load_language
from convogen.text.names import Cast, called

__all__ = ["calls_oneself", "has_other_label", "is_addressed", "without_own_labels"]

_OPENING = r"[ \t]*(?:(?:[-*•–—#>|]{1,3}|\(?\d{1,2}[.)])[ \t]+|[>@])?"
_MARK = r"(?P<mark>[*_\[<(【]{1,3})?[ \t]*"
_CLOSING = r"[*_\])>】]{0,3}"
_ASIDE = (
    r"(?:,?[ \t]*[(\[*_]{1,2}[^()\[\]*_\n:]{1,60}[)\]*_]{1,2}"
    r"|,[ \t](?:@adverb@[ \t])?@participle@\b[^\n:,.?!\"“]{0,40})?"
)
_SAYS = r"(?:[ \t]+(?:@adverb@[ \t]+)?@says@(?:[ \t]+@adverb@)?,?)?"
_COLON = r"[ \t]*[:：](?(mark)[*_\]]{0,3})[ \t]*"
_QUOTE = r"(?=[\"“«„「])"
_NAME = r"[^\n:：\"“”*\[\](){{}}<>|【】,!?]{{1,60}}{lazy}"
_MARKS_OPENING = re.compile(r"[\n\[<*(【>|–—\"“«„「-]")
_MARKS_LABEL = re.compile(r"[:：\n<\[*]|[-–—]\s?[\"“«„「]|>\s")
_CALL = re.compile(r"\A(?P<call>[^\n,:;!?…—–，。、！？،؟]{1,60})[,!?，、！？،؟]+\s*(?=\w)")
_ROLL_CALL = re.compile(r"(?:[A-Z][^:.,;!?\n]{0,40}: [a-z][^:.,;!?\n]{0,40}[.,;]\s*){2}")


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns for one language; their groups `name`, `a`, `b`, … must match names in the scene."""

    label: re.Pattern[str]
    opening: re.Pattern[str]
    other: re.Pattern[str]
    roles: re.Pattern[str]
    addressed: re.Pattern[str]


@lru_cache
def _patterns(language: str) -> _Patterns:
    lang = load_language(language)
    name, names = _NAME.format(lazy="?"), _NAME.format(lazy="")

    def compiled(text: str) -> re.Pattern[str]:
        return lang.compile(text, re.IGNORECASE | re.MULTILINE)

    owner = rf"(?P<role>@for_role@[ \t]+)?(?P<name>{name})(?:@of_someone@[ \t]+@reply_nouns@)?"
    return _Patterns(
        label=compiled(rf"^{_OPENING}{_MARK}{owner}{_CLOSING}{_ASIDE}{_SAYS}{_CLOSING}{_COLON}"),
        opening=compiled(
            rf"\A[ \t]*(?:{_OPENING}[*_\[<(]{{0,3}}(?P<a>{names}){_CLOSING}[ \t]*\n\s*"
            rf"|(?:\[(?P<b>{names})\]|<(?P<c>{names})>|\*\*(?P<d>{names})\*\*"
            rf"|\((?:@for_role@ )?(?P<e>{names})\)|【(?P<f>{names})】)[ \t]*(?=[^\s.,;!?])"
            rf"|(?P<g>{name})(?:[ \t]*[-–—][ \t]*|[ \t]+@says@,?[ \t]+){_QUOTE}"
            rf"|(?P<h>{name})[ \t]+(?:[-–—|]|->|=>)[ \t]+(?=(?-i:[A-Z]))"
            rf"|(?P<i>{name})>{{1,2}}[ \t]*)"
        ),
        other=compiled(
            rf"^{_OPENING}[\[<](?P<a>{names})[\]>][ \t]*(?:\n|(?=[^\W\d_]|[\"“]))"
            rf"|^{_OPENING}\*{{1,3}}(?P<e>{names})\*{{1,3}}[ \t]*(?:\n|(?=[\"“]))"
            rf"|^{_OPENING}(?P<b>{name})[ \t]*(?:[-–—][ \t]*{_QUOTE}|>[ \t])"
            rf"|\n[ \t]*(?P<c>{name}) @says@,?[ \t]*{_QUOTE}"
            rf"|(?<=[.!?…\"”’)*\]|/—–-])[ \t]*[|/—–(\[*_]{{0,3}}[ \t]*"
            rf"(?P<d>{name})[*_\]]{{0,2}}(?: @says@)?[ \t]*[:：](?![ \t]*[\"“])"
            rf"|(?<=[\"”])[ \t]*(?P<f>{name})(?: @says@)?[ \t]*[:：]"
        ),
        roles=compiled(r"(?:@roles@|@own_roles@)\Z"),
        addressed=compiled(rf"(?:[\w-]+,? ){{0,2}}?@toward@ (?P<name>{names})\Z"),
    )


def without_own_labels(text: str, cast: Cast, language: str) -> str:
    """Return a text without the speaker's own name at the beginning of its lines."""
    lang, patterns = load_language(language), _patterns(language)
    if ":" in text or "：" in text:
        kept: list[str] = []
        begin = 0
        for label in patterns.label.finditer(text):
            if called(label["name"], lang) in cast.own:
                kept.append(text[begin : label.start()])
                begin = label.end()
        text = "".join([*kept, text[begin:]])
    if _MARKS_OPENING.search(text) is None:
        return text
    opening = patterns.opening.match(text)
    named = opening is not None and called(opening[opening.lastgroup or 0], lang) in cast.own
    return text[opening.end() :] if opening is not None and named else text


def has_other_label(text: str, cast: Cast, language: str, *, roles: bool = True) -> bool:
    """Return whether a label assigns a line to another person or, with `roles`, to a user or
    narrator.

    A roll call on one line (`Pat: drunk. Liam: broke.`) does not count. Neither does a name before
    a quotation (`What did Tom say? Tom: "No."`).
    """
    if _MARKS_LABEL.search(text) is None or ("\n" not in text and _ROLL_CALL.search(text)):
        return False
    lang, patterns = load_language(language), _patterns(language)
    if ":" in text or "：" in text:
        for label in patterns.label.finditer(text):
            name = label["name"]
            if label["role"] is None and (
                called(name, lang) in cast.others or (roles and patterns.roles.match(name))
            ):
                return True
    return any(called(name, lang) in cast.others for name in _other_names(text, patterns))


def _other_names(text: str, patterns: _Patterns) -> Iterator[str]:
    for match in patterns.other.finditer(text):
        if (name := match[match.lastgroup or 0]) is not None:
            yield name


def is_addressed(direction: str, cast: Cast, language: str) -> bool:
    """Return whether a stage direction, such as `to Rosa`, names the person who is addressed."""
    match = _patterns(language).addressed.match(direction)
    return match is not None and called(match["name"], load_language(language)) in cast.others


def calls_oneself(text: str, cast: Cast, language: str) -> bool:
    """Return whether a text begins by addressing its own speaker, as in Ana's `Thanks, Ana, …`.

    The result is always False in a language without words of address. A name that is also an
    ordinary word does not count if it is in lower case. A repeated name does not count either:
    `Ana, Ana, it is always Ana who is late.`
    """
    lang = load_language(language)
    if "addressing" not in lang.checks:
        return False
    for _ in range(2):  # "Thanks, Ana, …": words of address precede the name
        if (opening := _CALL.match(text)) is None:
            return False
        words = opening["call"].split()
        calls = lang.addressing.calls | lang.addressing.vocatives
        while words and words[0].casefold().strip("'’.") in calls:
            del words[0]
        if words:
            name = called(" ".join(words), lang)
            written = name not in lang.common_names or not words[0].islower()
            again = lang.spaced and len(cast.name.findall(text)) > 1
            return written and name in cast.only_own and not again
        text = text[opening.end() :]
    return False
