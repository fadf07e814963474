"""Courtesies: whether a text only gives thanks, says goodbye, or says that its speaker is done.

Judged by sentence and, within a sentence, by clause, each by how it begins. Pure functions.
"""

from __future__ import annotations

import re

__all__ = ["is_thanks", "says_done"]

MOST_WORDS = 40
"""A text of more words is more than a courtesy."""

_I = r"(?:i|we)(?:['’]?ve| have)?"
_IM = r"(?:i['’]?m|i am|we['’]?re|we are)"
_YOURE = r"(?:you['’]?re|you are)"
_LEAD = (
    r"(?:(?:oh|ah|haha|wow|well|ok|okay|all ?right|right|great|perfect|good|nice|cool|awesome|"
    r"amazing|wonderful|excellent|fantastic|brilliant|sure|yes|yeah|no|and|so|once again|again|"
    r"indeed|understood|got it|i see|makes sense|sounds good|of course|very helpful|really|then|"
    r"many)\b[\s,]*)*"
)
_THANKS = (
    r"(?:(?:(?:i|we)(?: |(?=['’])))?"
    r"(?:really |truly |just |(?:want(?:ed)?|would like|['’]d like) to )*"
    r"(?:thank you|thanks)\b(?! to (?!you\b))|much appreciated|(?:i|we) (?:really )?appreciate\b|"
    rf"{_YOURE} (?:\w+ )?welcome\b|{_YOURE} (?:\w+ ){{0,3}}life ?saver|"
    r"(?:it['’]?s |it was )?my pleasure|no problem\b|no worries\b|any ?time\b|"
    rf"(?:{_IM} )?(?:\w+ )?(?:glad|happy|pleased) (?:i|to|that|we|you)\b.*"
    r"\b(?:help|hear|assist|useful|like|enjoy)\w*|"
    r"don['’]?t mention it|(?:the )?best of luck\b|good luck\b)"
)
_LEAVE = (
    r"(?:good ?bye|bye|farewell|see (?:you|ya)(?: (?:soon|later|tomorrow|again|around|next)\b|$)|"
    r"so long\b|take care\b(?! of (?!your))|good ?night|"
    r"talk (?:to you )?(?:soon|later)|until next time|"
    r"(?:i hope you )?have (?:a|an) (?:\w+ )?(?:good|great|nice|lovely|wonderful|amazing)\b|"
    r"have fun\b)"
)
_AND_MORE = (
    rf"(?:that['’]?s it$|{_YOURE} (?:an?|the|so|such|very|really)\b|you(?:['’]ve| have) been\b|"
    r"(?:that|this|it)(?:['’]s| is| was)? (?:\w+ )?(?:help|great|perfect|useful|amazing)\w*|"
    r"(?:and )?(?:for|as always|as well|too|again|so much|a lot|my friend|enjoy)\b|"
    r"if you (?:ever )?(?:have|need|want)\b.*\b(?:questions?|help|assistance|else|anything|more)\b|"
    r"(?:please )?(?:feel free|don['’]?t hesitate|let me know if|do not hesitate)\b|"
    rf"{_IM} (?:always )?here\b)"
)
_NEED = r"(?:i|we)(?:['’]?ve| have)? (?:need|want)(?:ed)?\b"
_THINK = r"(?:i (?:think|feel|believe|guess|suppose)(?: like| that)? )?"
_GOALS = r"(?:(?:my|our|the|this|both|all|every|of|main|whole|these) )*(?:goals?|everything)\b"
_GREAT = r"something (?:(?:really|very|so) )?(?:big|great|good|amazing|special|wonderful)\b"
_DONE = (
    rf"{_THINK}(?:{_I} (?:now |finally |successfully |already |just )*"
    rf"(?:accomplished|achieved|reached|met|completed|fulfilled) (?:{_GOALS}|{_GREAT})|"
    r"(?:you|this|that|it|(?:your|the|this|that) \w+)(?:['’]?ve|['’]?s| have| has)? "
    r"(?:really |just |finally |all )*helped me (?:to )?"
    rf"(?:accomplish|achieve|reach|meet|complete|fulfil+) {_GOALS}|"
    rf"{_I} (?:now |finally |have |got |gotten |found |found out |know |learn(?:ed|t) |received )*"
    rf"(?:everything|all)(?: the \w+)?(?: that)? {_NEED}|"
    rf"(?:that|this)(?:['’]?s| is| was) (?:all|everything)(?: that)?(?: {_NEED}| for now\b|$)|"
    rf"{_IM} (?:all )?(?:done|finished|all set)(?: here| now)?$|"
    r"(?:(?:my|our|the|both|all) )*goals? (?:is |are |has been |have been )?(?:now )?"
    r"(?:accomplished|achieved|reached|met|complete)$)"
)

_ACKNOWLEDGES = re.compile(_LEAD, re.IGNORECASE)
_THANKS_OR_LEAVES = re.compile(f"{_LEAD}(?:{_THANKS}|{_LEAVE})", re.IGNORECASE)
_GOES_WITH_THANKS = re.compile(f"{_LEAD}{_AND_MORE}", re.IGNORECASE)
_SAYS_DONE = re.compile(f"{_LEAD}{_DONE}", re.IGNORECASE)
_ASKS_ON = re.compile(
    r"\b(?:but|(?<!until )(?<!see you )(?<!see ya )next|instead|also|could you|can you|"
    r"tell me|show me|please (?!feel|don|do not|let me)|now (?!i\b|we\b|have\b|know\b))",
    re.IGNORECASE,
)
_SENTENCES = re.compile(r"[.!…]+(?=\W|\Z)|\n")
_CLAUSES = re.compile(r"[,;:–—]|\s-\s")
_EDGES = " \t\"'“”„«»‘’*_`()"


def is_thanks(text: str) -> bool:
    """Return whether a short text only gives thanks, accepts them, or says goodbye."""
    sentences = _sentences(text)
    return all(map(_is_courteous, sentences)) and any(
        _THANKS_OR_LEAVES.match(clause) for one in sentences for clause in _clauses(one)
    )


def says_done(text: str) -> bool:
    """Return whether a short text says that its speaker is done, and asks for nothing more."""
    return _ASKS_ON.search(text) is None and any(map(_SAYS_DONE.match, _sentences(text)))


def _sentences(text: str) -> list[str]:
    """Return the sentences of a text; none if it asks a question or is too long for a courtesy."""
    if "?" in text or len(text.split()) > MOST_WORDS:
        return []
    found = (one.strip(_EDGES) for one in _SENTENCES.split(text))
    return [one for one in found if re.search(r"\w", one)]


def _clauses(sentence: str) -> list[str]:
    found = (one.strip(_EDGES) for one in _CLAUSES.split(sentence))
    return [one for one in found if re.search(r"\w", one)]


def _is_courteous(sentence: str) -> bool:
    if _ASKS_ON.search(sentence):
        return False
    return all(
        _ACKNOWLEDGES.fullmatch(clause)
        or _THANKS_OR_LEAVES.match(clause)
        or _GOES_WITH_THANKS.match(clause)
        or _SAYS_DONE.match(clause)
        for clause in _clauses(sentence)
    )
