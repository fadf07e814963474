"""Detection of narration, in which the speaker's own name is the subject of a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from convogen.text.language import load_language
from convogen.text.names import Cast

__all__ = ["is_about"]

BEFORE = 80
"""Maximum number of characters read before a name."""

_START = r"(?:\A|[.!?…][\"”’)*]{0,2}\s+|\n\s*)"
_CLAUSE = r"(?:, [^,.?!\n]{1,80},)?"
_NEXT_CLAUSE = r"[,;:.!?…—–][\"”’)*]{0,2}\s+\w"


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Patterns for the text before and after a speaker's name that is the subject of narration.

    After `subject`, any `verb` makes the text narration. After `loose_subject`, only a narrator's
    verb (`narrated`) does. An `auxiliary` counts only before another clause and in a text without a
    `personal` word, because some people speak of themselves by name. `quoted` matches after
    a closing quotation mark. `in_the_role` matches phrases that announce a role, such as `as` or
    `playing`.
    """

    subject: re.Pattern[str]
    loose_subject: re.Pattern[str]
    quoted: re.Pattern[str]
    in_the_role: re.Pattern[str]
    verb: re.Pattern[str]
    narrated: re.Pattern[str]
    auxiliary: re.Pattern[str]
    personal: re.Pattern[str]
    says: re.Pattern[str]
    possessive: re.Pattern[str]
    role_ends: re.Pattern[str]


@lru_cache
def _patterns(language: str) -> _Patterns:
    lang = load_language(language)
    titles = r"(?:@titles@\.? )?"
    narrated = r"(?:(?:@gesture@(?<=[sd])|@says@|@would@)\b|@narrated_verb@)"
    verb = (
        rf"(?:{narrated}|@auxiliaries@ (?:@adverb@ )?@gesture@(?<=g)\b|@told_verb@\b"
        r"|(?!@no_gesture@\b)@verb_of_others@\b(?!['’]))"
    )
    adverbial = rf"{_START}@adverbial@\b[^.?!,\n]{{0,60}},? "

    def compiled(text: str) -> re.Pattern[str]:
        return lang.compile(text, re.IGNORECASE | re.MULTILINE)

    return _Patterns(
        subject=compiled(rf"(?:{_START}|\b@clause_words@,? |{adverbial}){titles}\Z"),
        loose_subject=compiled(rf"(?:,[\"”'’]? |\b@loose_clause_words@ ){titles}\Z"),
        quoted=compiled(rf"[\"”],?[ \t]*(?P<says>@says@ )?{titles}\Z"),
        in_the_role=compiled(rf"\b@in_the_role@ {titles}\Z"),
        verb=compiled(
            rf"{_CLAUSE} @ways@{verb}|@of_someone@ @body@ \w| @both@"
            r"| @participle@ @theirs@\b"
        ),
        narrated=compiled(rf"{_CLAUSE} @ways@{narrated}"),
        auxiliary=compiled(rf"{_CLAUSE} @ways@@auxiliaries@\b[^\n]{{0,200}}?{_NEXT_CLAUSE}"),
        personal=compiled(lang.directions.personal),
        says=compiled(r" (?:@adverb@ )?@says@\b"),
        possessive=compiled(r"@of_someone@ (?:@reply_nouns@|@traits@)\b"),
        role_ends=compiled(r"[,:]| @would_say@\b|\W*\Z"),
    )


def is_about(text: str, cast: Cast, language: str) -> bool:
    """Return whether a text narrates its own speaker, as in `Owen sighs` or `as Owen, I`.

    A name that is also a word, such as Hope, counts only with a verb that only a narrator uses.
    """
    lang, patterns = load_language(language), _patterns(language)
    named = not lang.naming.isdisjoint(re.findall(r"\w+", text.lower()))
    for name in cast.name.finditer(text):
        before, end = text[max(0, name.start() - BEFORE) : name.start()], name.end()
        quoted = patterns.quoted.search(before)
        if quoted is not None and (quoted["says"] or patterns.says.match(text, end)):
            return True
        if patterns.in_the_role.search(before) and patterns.role_ends.match(text, end):
            return True
        if patterns.possessive.match(text, end):
            return True
        narrated = patterns.narrated.match(text, end) is not None
        if narrated and patterns.loose_subject.search(before):
            return True
        common = (
            named
            or name[0].casefold() in lang.common_names
            or name[0].lower().startswith(f"{lang.article} ")
        )
        if patterns.subject.search(before) and (
            narrated or (not common and _has_verb(text, end, patterns))
        ):
            return True
    return False


def _has_verb(text: str, end: int, patterns: _Patterns) -> bool:
    """Return whether the text after a name makes the name the subject of narration."""
    return patterns.verb.match(text, end) is not None or (
        patterns.auxiliary.match(text, end) is not None and patterns.personal.search(text) is None
    )
