"""The names of the people in a scene, in all forms that are used to address these people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import regex
from anyascii import anyascii

from convogen.text.language import Language, load_language

__all__ = ["Cast", "called", "cast_of", "name_forms", "without_suffix"]

_EDGES = regex.compile(r"\A[^\w\p{M}#]+|[^\w\p{M}#]+\Z")
_SPACES = re.compile(r"[\s_]+")


@dataclass(frozen=True, slots=True)
class Cast:
    """The names of the speaker and of the other people in a scene, as `called` returns them.

    `others` excludes names that the speaker shares, and `only_own` excludes names that anybody else
    shares. `name` matches the speaker's name in a text. A text that contains none of `words` in
    lower case cannot contain the speaker's name. `spelt` is the source of the pattern `name`, which
    is compiled on first use because few utterances contain their speaker's name, while a run may
    have thousands of people.
    """

    own: frozenset[str]
    only_own: frozenset[str]
    others: frozenset[str]
    spelt: str
    words: frozenset[str]

    @property
    def name(self) -> re.Pattern[str]:
        return _compiled(self.spelt)


@lru_cache(maxsize=4096)
def _compiled(spelt: str) -> re.Pattern[str]:
    return re.compile(spelt, re.IGNORECASE)


@lru_cache(maxsize=1 << 15)
def cast_of(speaker: str, others: tuple[str, ...], language: str) -> Cast:
    """Return the cast of a scene, given the names of its speaker and of the other people."""
    lang = load_language(language)
    titles, core = _split(speaker.replace("_", " ").split(), lang)
    parts = {tuple(part) for part in _parts(core, lang)}
    spelt = {re.escape(text) for part in parts for text in (" ".join(part), _plain(" ".join(part)))}
    if titles:
        title_forms = (titles[-1], _spelt(titles[-1], lang))
        spelt |= {f"{lang.article} {re.escape(form)}".strip() for form in title_forms}
    names = "|".join(sorted(spelt - {""}, key=len, reverse=True)).replace("'", "['’]")
    own = _forms(speaker, lang)
    of_others = frozenset[str]().union(*(_forms(name, lang) for name in others))
    return Cast(
        own=own,
        only_own=own - of_others,
        others=of_others - own,
        spelt=rf"(?<!\w)(?:{names or '(?!)'})(?!\w)",
        words=frozenset(re.findall(r"[^\W_]+", f"{speaker} {anyascii(speaker)}".lower())),
    )


def called(name: str, lang: Language) -> str:
    """Return a name in the form used for comparison: `Dr. Ngozi` becomes `ngozi`."""
    words = _plain(without_suffix(name, lang)).split()
    titles, core = _split(words, lang)
    if len(core) == 1 and not titles and _bare(core[0]) in lang.titles:
        return _spelt(core[0], lang)
    if core and "-" in core[-1] and core[-1].rsplit("-", 1)[1] in lang.honorifics:
        core[-1] = core[-1].rsplit("-", 1)[0]
    if len(core) > 1 and core[-1] in lang.honorifics:
        core.pop()
    return " ".join(core)


def without_suffix(name: str, lang: Language) -> str:
    """Return a name without an attached honorific such as `さん`."""
    bare = _EDGES.sub("", name)
    for suffix in lang.addressing.suffixes:
        if bare.endswith(suffix) and len(bare) > len(suffix):
            return bare.removesuffix(suffix)
    return name


@lru_cache(maxsize=4096)
def name_forms(name: str, language: str = "en") -> frozenset[str]:
    """Return all forms of a person's name, normalized like the result of `called`."""
    return _forms(name, load_language(language))


def _forms(name: str, lang: Language) -> frozenset[str]:
    """Return all forms of a person's name: first names, last names, and a title alone."""
    titles, core = _split(_plain(name).split(), lang)
    forms = {" ".join(part) for part in _parts(core, lang)}
    if titles and _bare(titles[-1]) not in lang.plain_titles:
        forms |= {_spelt(titles[-1], lang)}
    return frozenset(forms - {""})


def _parts(words: Sequence[str], lang: Language) -> list[Sequence[str]]:
    """Return all beginnings and endings of a name, except those with only particles (`van`)."""
    parts = [words[:end] for end in range(1, len(words) + 1)]
    parts += [words[begin:] for begin in range(1, len(words))]
    return [
        part
        for part in parts
        if len(part) == len(words) or not {_bare(word) for word in part} <= lang.particles
    ]


def _split(words: Sequence[str], lang: Language) -> tuple[list[str], list[str]]:
    """Split a name into the titles at its beginning and the remaining words."""
    n = 0
    while n < len(words) - 1 and _bare(words[n]) in lang.titles:
        n += 1
    return list(words[:n]), list(words[n:])


def _plain(name: str) -> str:
    """Return a name in lower-case ASCII, without surrounding punctuation."""
    return _EDGES.sub("", _SPACES.sub(" ", anyascii(name).casefold()).strip())


def _bare(word: str) -> str:
    return word.casefold().strip(".,")


def _spelt(title: str, lang: Language) -> str:
    return lang.title_spellings.get(_bare(title), _bare(title))
