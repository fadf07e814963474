"""What several measures need of a turn: its words, whether it asks, whom it calls by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from convogen.text.language import load_language
from convogen.text.names import called, name_forms

__all__ = ["CLIP", "MOST_NAMES", "Named", "Utterance", "named_in", "names_of", "read"]

CLIP = 2_000
"""Characters of a turn that are looked at."""

MOST_NAMES = 50
"""People of a conversation who may be called by name."""

_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_QUESTION = re.compile(r"[?？؟]")
_STRAIGHT = str.maketrans("‘’`", "'''")
_BREAKS = re.compile(r"[,.!?;:—–…\n\"“”()]+|\s-+\s|\.{2,}")
_MENTION = re.compile(r"@(\w[\w.-]*)")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A turn as the rules see it.

    Attributes:
        text: What was said, clipped.
        plain: The same in lower case with straight apostrophes.
        tokens: Its words, in order.
        words: The different ones.
        asks: Whether it has a question mark.
    """

    text: str
    plain: str
    tokens: tuple[str, ...]
    words: frozenset[str]
    asks: bool


def read(text: str) -> Utterance:
    """Return a turn with what several rules need of it."""
    text = text[:CLIP].strip()
    plain = text.translate(_STRAIGHT).lower()
    tokens = _WORD.findall(plain)
    words = frozenset(tokens)
    if "'" in plain:  # a rule's word may be the stem of a contraction: `let's`, `who's`
        words |= {token.partition("'")[0] for token in tokens if "'" in token}
    return Utterance(text, plain, tuple(tokens), words, _QUESTION.search(plain) is not None)


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
    return Names(forms, frozenset(part for form in forms for part in _WORD.findall(form)))


def named_in(said: Utterance, speaker: str, names: Names, calls: frozenset[str]) -> Named:
    """Return who is named in a turn, apart from its speaker.

    A name is a call if it stands between breaks (the ends of the text, punctuation, words such as
    `hey` before it) or after `@`: "Ana, look" and "look, Ana!", not "Ana looked". In a list such
    as "I like Ana, Bo and Cy" nobody is called.

    Args:
        said: The turn.
        speaker: Who says it.
        names: Those of everybody in the conversation.
        calls: Words that may stand before a name that is called.
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
        people, rest = _people(words, names, calls)
        following = parts[index + 1] if index + 1 < len(parts) else []
        if people and not rest and not listed and not _goes_on(following, names):
            found += people
            continue
        mentioned = [*people, *_mentions(rest, names)]
        spoken_of.update(mentioned)
        listed = bool(mentioned) and (not rest or _owner(rest[-1], names) is not None)
    unique = tuple(name for name in dict.fromkeys(found) if name != speaker)
    return Named(unique, frozenset(spoken_of.difference(unique, {speaker})))


def _people(
    words: Sequence[str], names: Names, calls: frozenset[str]
) -> tuple[list[str], Sequence[str]]:
    """Return the people that a part of a sentence consists of, and the words beyond them."""
    start = 0
    while start < len(words) and words[start].lower().strip("'’*_") in calls:
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
        if at < len(words) and words[at].lower() in ("and", "or", "&"):
            at += 1
    return (people, ()) if at >= len(words) and people else ([], words)


def _goes_on(words: Sequence[str], names: Names) -> bool:
    """Return whether a part goes on as a list of people of whom something is said."""
    if len(words) < 3 or words[0].lower() not in ("and", "or", "&"):
        return False
    return _owner(words[1], names) is not None


def _mentions(words: Sequence[str], names: Names) -> list[str]:
    return [
        name
        for word in words
        if word[:1].isupper() or not word[:1].isascii()
        if (name := _owner(_bare(word), names)) is not None
    ]


def _bare(word: str) -> str:
    """Return a word without the ending of the genitive or of `is`."""
    return re.sub(r"['’](?:s|ll|d|re|ve)?\Z", "", word)


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
