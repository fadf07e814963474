"""Colours and initials that distinguish the people in a conversation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import regex

from convogen.records import Persona

__all__ = ["TONES", "Person", "people_of"]

TONES = 8
"""Number of colours in `viewer.css`; initials and names also distinguish people."""

_WORDS = regex.compile(r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*")
_LETTERS = regex.compile(r"[\p{L}\p{N}]\p{M}*")
_CLOSE = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}]")


@dataclass(frozen=True, slots=True)
class Person:
    """A person in a conversation; `key` is unique within a page, and `tone` counts from 1."""

    key: str
    name: str
    initials: str
    tone: int
    persona: Persona | None
    spoke: bool


def people_of(
    names: Iterable[str], personas: Iterable[Persona], speakers: Iterable[str], prefix: str = "p"
) -> dict[str, Person]:
    """Return each participant and speaker in a conversation, as a map from name to person.

    Args:
        names: The names of the participants, in order.
        personas: The participants' personas.
        speakers: The speaker of each turn.
        prefix: Prefix for the keys.
    """
    known = {persona.name: persona for persona in personas}
    spoke = set(speakers := list(speakers))
    all_names = list(dict.fromkeys([*names, *speakers]))
    shown = _initials(all_names)
    return {
        name: Person(
            key=f"{prefix}{number}",
            name=name,
            initials=shown[name],
            tone=number % TONES + 1,
            persona=known.get(name),
            spoke=name in spoke,
        )
        for number, name in enumerate(all_names)
    }


def _initials(names: Iterable[str]) -> dict[str, str]:
    """Return distinct initials for each name, or a number if all suitable initials are taken."""
    shown: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        free = (one for one in _candidates(name) if one not in taken)
        shown[name] = next(free, f"{len(shown) + 1}")
        taken.add(shown[name])
    return shown


def _candidates(name: str) -> Iterable[str]:
    words = _WORDS.findall(name)
    if not words:
        return
    letters = [_LETTERS.findall(word) for word in words]
    first, last = letters[0], letters[-1]
    if _CLOSE.match(first[0]):
        yield first[0]
        yield "".join(first[:2])
        return
    if last[-1].isdecimal() and len(words[-1]) > 1 and not first[0].isdecimal():
        yield first[0].upper() + last[-1]
    if len(words) > 1:
        yield (first[0] + last[0]).upper()
    for second in first[1:]:
        yield first[0].upper() + second.lower()
    yield first[0].upper()
    for number in range(2, 10):
        yield f"{first[0].upper()}{number}"
