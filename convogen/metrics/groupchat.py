"""The quality of a group chat, which no paper measures: who speaks, who is left out, who answers.

All functions are pure and take speakers and utterances of equal length, turn by turn.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log
from typing import NamedTuple

from convogen.text.language import Language, load_language
from convogen.text.utterances import FAREWELL_TURNS, is_farewell, repeats

__all__ = [
    "FAREWELL_TURNS",
    "Addressing",
    "addressees",
    "addressing",
    "balance",
    "longest_absence",
    "longest_farewell",
    "self_repetitions",
]

_BREAKS = ',.!?;:—–-…\n"“”()¡¿«»„，。！？、；：～「」『』（）।،؛؟'
_CLAUSE_START = re.compile(f"[{re.escape(_BREAKS)}]")
_LOOK_BACK = 50
_CLIP = 2_000
_NAMES = 50


def balance(speakers: Sequence[str], participants: Sequence[str]) -> float | None:
    """Evenness of participation: entropy of the turns per participant over its maximum, 0 to 1.

    One who never speaks counts in the maximum. None where fewer than two take part.
    """
    counts = Counter(speakers)
    people = len(set(participants) | set(counts))
    if people < 2 or not speakers:
        return None
    shares = [count / len(speakers) for count in counts.values()]
    return max(0.0, -sum(share * log(share) for share in shares) / log(people))


def longest_absence(speakers: Sequence[str], participants: Sequence[str]) -> int:
    """The longest run of turns in which one of the participants says nothing, in turns."""
    last = dict.fromkeys(participants, -1)
    longest = 0
    for at, speaker in enumerate(speakers):
        longest = max(longest, at - last.get(speaker, -1) - 1)
        last[speaker] = at
    return max([longest, *(len(speakers) - 1 - at for at in last.values())])


class Addressing(NamedTuple):
    """Turns that call another participant by name, with a turn to follow.

    `next_turn` of them are answered by the one called in the next turn, `later` at any time.
    """

    addressed: int
    next_turn: int
    later: int


def addressees(text: str, names: Sequence[str], language: str = "en") -> list[str]:
    """Who of `names` is called in `text`: by the full or, where it is one person's, the first name.

    A name is a call where it stands between breaks (the ends of the text, punctuation, a word such
    as `hey` before it): "Ana, look" and "look, Ana!", not "Ana looked". An honorific may be joined
    to it, as in `田中さん`. In a language without such words nobody is called.
    """
    lang = load_language(language)
    if "addressing" not in lang.checks:
        return []
    first = Counter(name.split()[0] for name in names if name.split())
    called: list[str] = []
    for name in names:
        short = name.split()[0] if name.split() else name
        forms = [name, short] if first[short] == 1 else [name]
        if any(_called(text, form, lang) for form in dict.fromkeys(forms) if form):
            called.append(name)
    return called


def _called(text: str, form: str, lang: Language) -> bool:
    at = text.find(form)
    while at >= 0:
        before, after = text[:at], _without_suffix(text[at + len(form) :], lang)
        whole = not (after[:1].isalnum() or (lang.spaced and before[-1:].isalnum()))
        rest = after.lstrip(" ")[:1]
        if whole and (not rest or rest in _BREAKS) and _opens(before, lang):
            return True
        if whole and not lang.addressing.vocatives.isdisjoint(before.split()[-1:]):
            return True
        at = text.find(form, at + 1)
    return False


def _opens(before: str, lang: Language) -> bool:
    """Return whether a name that follows stands at the beginning of a clause, or is called."""
    lead = before.rstrip(" ")
    if not lead or lead[-1] in _BREAKS:
        return True
    clause = lead.split()[-1] if lang.spaced else _CLAUSE_START.split(lead)[-1].strip()
    return clause.casefold() in lang.addressing.calls


def _without_suffix(after: str, lang: Language) -> str:
    """Return what follows a name, without an honorific such as `さん`."""
    bare = after.lstrip(" ")
    for suffix in lang.addressing.suffixes:
        if bare.startswith(suffix):
            return bare[len(suffix) :]
    return after


def addressing(
    speakers: Sequence[str],
    utterances: Sequence[str],
    participants: Sequence[str],
    language: str = "en",
) -> Addressing:
    """Whether those who are called by name answer.

    Only the first 2,000 characters of a turn and the first 50 participants are looked at.
    """
    addressed = next_turn = later = 0
    for at, text in enumerate(utterances[:-1]):
        others = [name for name in participants[:_NAMES] if name != speakers[at]]
        called = addressees(text[:_CLIP], others, language)
        if called:
            addressed += 1
            next_turn += speakers[at + 1] in called
            later += any(name in called for name in speakers[at + 1 :])
    return Addressing(addressed, next_turn, later)


def self_repetitions(speakers: Sequence[str], utterances: Sequence[str]) -> int:
    """Turns that nearly repeat one of the same speaker's fifty turns before it.

    Only the first 2,000 characters of a turn are compared.
    """
    said: dict[str, list[str]] = {}
    found = 0
    for speaker, text in zip(speakers, utterances, strict=True):
        earlier = said.setdefault(speaker, [])
        found += repeats(text[:_CLIP], earlier[-_LOOK_BACK:])
        earlier.append(text[:_CLIP])
    return found


def longest_farewell(utterances: Sequence[str], language: str = "en") -> int:
    """The longest run of turns that are all farewells, in turns."""
    longest = run = 0
    for text in utterances:
        run = run + 1 if is_farewell(text, language) else 0
        longest = max(longest, run)
    return longest
