"""Names in a turn: the people whom it addresses, and the people whom it only mentions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from convogen.interaction.utterances import Utterance, read
from convogen.text.language import Language, load_language
from convogen.text.names import called, name_forms, without_suffix

__all__ = ["MOST_NAMES", "Named", "Names", "called_in", "named_in", "names_of"]

MOST_NAMES = 50
"""Maximum number of people in a conversation whose names are detected."""

_BREAKS = re.compile(r"[,.!?;:—–…\n\"“”()¡¿«»„，。！？、；：～「」『』（）।،؛؟]+|\s-+\s")
_MENTION = re.compile(r"@(\w[\w.-]*)")
_ENDING = re.compile(r"['’](?:s|ll|d|re|ve)?\Z")
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True, slots=True)
class Names:
    """The people in a conversation, keyed by the names that may be used for them.

    Attributes:
        whole: Maps each person's full name, in lower case, to the person.
        forms: Maps each name form, as returned by `text.names.called`, to the person.
        words: The words in these forms.
        lang: The language in which people are addressed.
    """

    whole: Mapping[str, str]
    forms: Mapping[str, str]
    words: frozenset[str]
    lang: Language


@dataclass(frozen=True, slots=True)
class Named:
    """The people whom a turn addresses by name, and the people whom it only mentions."""

    called: tuple[str, ...] = ()
    mentioned: frozenset[str] = frozenset()


@lru_cache(maxsize=1024)
def names_of(people: tuple[str, ...], language: str = "en") -> Names:
    """Return the people keyed by name form, without forms that several people share.

    Args:
        people: The people's names, of which the first 50 are used.
        language: The BCP 47 tag of the language in which people are addressed.
    """
    owners = {name: name_forms(name, language) for name in people[:MOST_NAMES]}
    counts = Counter(form for forms in owners.values() for form in forms)
    forms = {form: name for name, own in owners.items() for form in own if counts[form] == 1}
    return Names(
        {name.casefold(): name for name in owners if name},
        forms,
        frozenset(part for own in owners.values() for form in own for part in form.split()),
        load_language(language),
    )


def called_in(text: str, names: Sequence[str], language: str = "en") -> tuple[str, ...]:
    """Return which of `names` a turn addresses; empty if the language has no patterns for
    addressing.

    Args:
        text: The turn, of which the first 2,000 characters are used.
        names: The people who may be addressed: everybody except the speaker.
        language: The BCP 47 tag of the turn's language.
    """
    people = names_of(tuple(names), language)
    if text.isascii():  # most turns name nobody and need no parsing
        lowered = text.lower()
        if not any(word in lowered for word in people.words):
            return ()
    return named_in(read(text), people).called


def named_in(said: Utterance, names: Names) -> Named:
    """Return the people whom a turn names; empty if the language has no patterns for addressing.

    A name is an address if it stands alone between breaks (the ends of the text, punctuation, or
    words such as `hey` before the name), after `@`, or after a vocative particle. "Ana, look" and
    "look, Ana!" therefore address Ana, but "Ana looked" does not. An honorific may be attached, as
    in `田中さん`. In a list such as "I like Ana, Bo and Cy", nobody is addressed.
    """
    lang = names.lang
    if "addressing" not in lang.checks:
        return Named()
    if names.words.isdisjoint(said.words) and said.text.isascii() and "_" not in said.text:
        return Named()
    found = [
        name
        for mention in _MENTION.findall(said.text)
        if (name := _owner(mention, names)) is not None
    ]
    spoken_of = set[str]()
    parts = [part.split() for part in _BREAKS.split(_undotted(said.text, lang))]
    listed = False
    for index, words in enumerate(parts):
        if not words:
            continue
        people, rest = _people(words, names)
        following = parts[index + 1] if index + 1 < len(parts) else []
        goes_on = len(following) > 2 and following[0].lower() in lang.addressing.joins
        if people and not rest and not listed and not (goes_on and _owner(following[1], names)):
            found += people
            continue
        found += _after_particle(words, names)
        mentioned = [*people, *_mentions(rest, names)]
        spoken_of.update(mentioned)
        listed = bool(mentioned) and (not rest or _owner(rest[-1], names) is not None)
    unique = tuple(dict.fromkeys(found))
    return Named(unique, frozenset(spoken_of.difference(unique)))


def _people(words: Sequence[str], names: Names) -> tuple[list[str], Sequence[str]]:
    """Return the people named in a part of a sentence, or the part's words if it contains more than
    names."""
    for start in _starts(words, names.lang):
        whole = _owner(" ".join(start), names)
        if whole is not None:
            return [whole], ()
        people, end = _row(start, names)
        if people and end >= len(start):
            return people, ()
    return [], words


def _starts(words: Sequence[str], lang: Language) -> Iterator[Sequence[str]]:
    """Yield the words of a part of a sentence without leading calling words, such as `hey`.

    In a script without spaces, yield one reading of the part for each position at which a name may
    begin, split at words that join names.
    """
    calls = lang.addressing.calls | lang.addressing.vocatives
    if lang.spaced:
        start = 0
        while start < len(words) and words[start].casefold().strip("'’*_") in calls:
            start += 1
        yield words[start:]
        return
    text = " ".join(words)
    yield _cut(text, lang)
    for call in sorted(calls, key=len, reverse=True):
        if text.startswith(call) and len(text) > len(call):
            yield _cut(text.removeprefix(call).strip(), lang)


def _cut(text: str, lang: Language) -> Sequence[str]:
    """Split text without spaces into names and the words that may join them."""
    return [part for part in _joins(lang.language).split(text) if part.strip()]


@cache
def _joins(language: str) -> re.Pattern[str]:
    joins = load_language(language).addressing.joins
    return re.compile(f"({'|'.join(sorted(joins, key=len, reverse=True))})") if joins else _NEVER


def _row(words: Sequence[str], names: Names) -> tuple[list[str], int]:
    """Return the people named at the beginning of `words`, and the index after them."""
    people: list[str] = []
    at = 0
    while at < len(words):
        named = ((n, _owner(" ".join(words[at : at + n]), names)) for n in (3, 2, 1))
        size, name = next(((n, name) for n, name in named if name is not None), (0, None))
        if name is None:
            break
        people.append(name)
        at += size
        if at < len(words) and words[at].lower() in names.lang.addressing.joins:
            at += 1
    return people, at


def _after_particle(words: Sequence[str], names: Names) -> list[str]:
    """Return the people addressed with a vocative particle, whatever follows their names."""
    particles = names.lang.addressing.vocatives
    starts = (at + 1 for at, word in enumerate(words) if word in particles)
    return [name for start in starts for name in _row(words[start:], names)[0]]


def _mentions(words: Sequence[str], names: Names) -> list[str]:
    if not names.lang.spaced:
        text = " ".join(words).casefold()
        return [name for whole, name in names.whole.items() if whole in text]
    return [
        name
        for word in words
        if word[:1].isupper() or not word[:1].isascii()
        if (name := _owner(_bare(word), names)) is not None
    ]


def _bare(word: str) -> str:
    """Return a word without a possessive or contracted ending, such as `'s`."""
    return _ENDING.sub("", word)


def _owner(words: str, names: Names) -> str | None:
    """Return the person whom a sequence of words names; None if it names nobody.

    A name that is also a common word counts only if it is capitalised. In a script without spaces,
    homophones do not count.
    """
    lang = names.lang
    bare = without_suffix(words, lang).strip().casefold()
    form = called(words, lang)
    name = names.whole.get(words.casefold()) or names.whole.get(bare) or names.forms.get(form)
    if name is None or (form in lang.common_names and words.islower() and not name.islower()):
        return None
    homophone = not lang.spaced and not bare.isascii() and bare not in name.casefold()
    return None if homophone else name


@cache
def _titles(language: str) -> re.Pattern[str]:
    titles = sorted(load_language(language).titles, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(titles)})\.(?=\s)", re.IGNORECASE) if titles else _NEVER


def _undotted(text: str, lang: Language) -> str:
    """Return a text without the full stops after titles, which do not end sentences."""
    return _titles(lang.language).sub(r"\1", text) if "." in text else text
