"""Whom a turn calls by name, and of whom it only speaks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from convogen.interaction.patterns import Patterns, load_patterns
from convogen.interaction.utterances import Utterance, read
from convogen.text.language import load_language
from convogen.text.names import called, name_forms

__all__ = ["MOST_NAMES", "Named", "Names", "called_in", "named_in", "names_of"]

MOST_NAMES = 50
"""People of a conversation who may be called by name."""

_BREAKS = re.compile(r"[,.!?;:—–…\n\"“”()]+|\s-+\s|\.{2,}")
_MENTION = re.compile(r"@(\w[\w.-]*)")
_ENDING = re.compile(r"['’](?:s|ll|d|re|ve)?\Z")


@dataclass(frozen=True, slots=True)
class Names:
    """The people of a conversation by what they may be called, and the words of these forms."""

    forms: Mapping[str, str]
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Named:
    """Who is called in a turn, and who is only spoken of."""

    called: tuple[str, ...] = ()
    mentioned: frozenset[str] = frozenset()


@lru_cache(maxsize=1024)
def names_of(people: tuple[str, ...]) -> Names:
    """Return whom each form means; a form that several people share means none of them."""
    owners = {name: name_forms(name) for name in people[:MOST_NAMES]}
    counts = Counter(form for forms in owners.values() for form in forms)
    forms = {form: name for name, own in owners.items() for form in own if counts[form] == 1}
    return Names(forms, frozenset(part for form in forms for part in form.split()))


def called_in(text: str, others: tuple[str, ...]) -> tuple[str, ...]:
    """Return who of a speaker's others is called by name in an English turn."""
    names, patterns = names_of(others), load_patterns("en")
    lowered = text.lower()
    if patterns is None or not any(word in lowered for word in names.words):
        return ()
    return named_in(read(text), names, patterns).called


def named_in(said: Utterance, names: Names, patterns: Patterns) -> Named:
    """Return who is named in a turn.

    A name is a call if it stands between breaks (the ends of the text, punctuation, words such as
    `hey` before it) or after `@`: "Ana, look" and "look, Ana!", not "Ana looked". In a list such
    as "I like Ana, Bo and Cy" nobody is called.

    Args:
        said: The turn.
        names: Those of everybody but its speaker.
        patterns: Those of its language.
    """
    if names.words.isdisjoint(said.words) and said.text.isascii() and "_" not in said.text:
        return Named()
    found = [
        name
        for mention in _MENTION.findall(said.text)
        if (name := _owner(mention, names)) is not None
    ]
    spoken_of = set[str]()
    parts = [part.split() for part in _BREAKS.split(_undotted(said.text))]
    listed = False
    for index, words in enumerate(parts):
        if not words:
            continue
        people, rest = _people(words, names, patterns)
        following = parts[index + 1] if index + 1 < len(parts) else []
        goes_on = len(following) > 2 and following[0].lower() in patterns.joins
        if people and not rest and not listed and not (goes_on and _owner(following[1], names)):
            found += people
            continue
        mentioned = [*people, *_mentions(rest, names)]
        spoken_of.update(mentioned)
        listed = bool(mentioned) and (not rest or _owner(rest[-1], names) is not None)
    unique = tuple(dict.fromkeys(found))
    return Named(unique, frozenset(spoken_of.difference(unique)))


def _people(
    words: Sequence[str], names: Names, patterns: Patterns
) -> tuple[list[str], Sequence[str]]:
    """Return the people that a part of a sentence consists of, and the words beyond them."""
    start = 0
    while start < len(words) and words[start].lower().strip("'’*_") in patterns.calls:
        start += 1
    whole = _owner(" ".join(words[start:]), names)
    if whole is not None:
        return [whole], ()
    people: list[str] = []
    at = start
    while at < len(words):
        size = next(
            (n for n in (3, 2, 1) if _owner(" ".join(words[at : at + n]), names) is not None), 0
        )
        if not size:
            break
        people.append(str(_owner(" ".join(words[at : at + size]), names)))
        at += size
        if at < len(words) and words[at].lower() in patterns.joins:
            at += 1
    return (people, ()) if at >= len(words) and people else ([], words)


def _mentions(words: Sequence[str], names: Names) -> list[str]:
    return [
        name
        for word in words
        if word[:1].isupper() or not word[:1].isascii()
        if (name := _owner(_bare(word), names)) is not None
    ]


def _bare(word: str) -> str:
    """Return a word without the ending of the genitive or of `is`."""
    return _ENDING.sub("", word)


def _owner(words: str, names: Names) -> str | None:
    """Return whose name some words are; a name that is also a word only if it has a capital."""
    lang = load_language("en")
    form = called(words, lang)
    name = names.forms.get(form)
    if name is None or (form in lang.common_names and words.islower() and not name.islower()):
        return None
    return name


@lru_cache(maxsize=1)
def _titles() -> re.Pattern[str]:
    titles = "|".join(sorted(load_language("en").titles, key=len, reverse=True))
    return re.compile(rf"\b({titles})\.(?=\s)", re.IGNORECASE)


def _undotted(text: str) -> str:
    """Return a text without the full stops of titles, which end no sentence."""
    return _titles().sub(r"\1", text) if "." in text else text
