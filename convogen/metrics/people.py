"""The personas in a data set: the distributions of their ages, genders and name origins.

Models invent some kinds of people more often than others, as the ConvoGen paper warns in its
conclusion. Only explicit information in personas counts: the age and gender on a card or, in free
text, a stated age and the gender of pronouns and nouns. The origin of a name is looked up in
`names.yaml`, by the last name or, if the last name is not listed, by the first name. Origins
describe names, not people, and not every name is listed.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from convogen.inputs.yaml12 import read_yaml
from convogen.records import Persona
from convogen.text.speakers import without_titles

__all__ = ["UNKNOWN", "People", "origin_of", "people_of"]

UNKNOWN = "not known"

AGES = ((18, "under 18"), (30, "18 to 29"), (45, "30 to 44"), (65, "45 to 64"))
OLDEST = "65 or more"

GENDERS = {
    "women": "f female woman girl women lady",
    "men": "m male man boy men gentleman",
    "nonbinary": "nonbinary enby genderqueer agender",
}
"""Maps each gender to the words for the gender on cards; other values on cards are counted
unchanged."""

SAYS_WOMAN = frozenset("she her hers herself woman girl lady".split())
SAYS_MAN = frozenset("he him his himself man boy gentleman".split())

SCRIPTS = {
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CJK": "Chinese",
    "CYRILLIC": "East European",
    "ARABIC": "Arabic, Persian or Turkish",
    "ETHIOPIC": "African",
    **dict.fromkeys(("DEVANAGARI", "BENGALI", "GUJARATI", "GURMUKHI", "TAMIL"), "South Asian"),
    **dict.fromkeys(("TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "ORIYA"), "South Asian"),
    **dict.fromkeys(("THAI", "LAO", "KHMER", "MYANMAR"), "South-East Asian"),
}
"""Maps the script of a name's letters to the origin of the name."""

MOST_KINDS = 12
"""Maximum number of listed genders and of listed first names; all other genders are summed."""

_AGE = re.compile(
    r"\b(\d{1,3})[- ]years?[- ]old\b|\baged? (\d{1,3})\b"
    r"|\bof (\d{1,3})(?= who| with| and| or|[,.;]|\Z)",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_]+")
_PLAIN = {ord("ł"): "l", ord("ø"): "o", ord("ı"): "i", ord("đ"): "d", ord("ß"): "ss"}


@dataclass(frozen=True, slots=True)
class People:
    """Counts of the personas in a data set for each age band, gender and name origin.

    A persona counts once per planned conversation. `first_names` contains the most common first
    names with their counts.
    """

    people: int
    ages: dict[str, int]
    genders: dict[str, int]
    origins: dict[str, int]
    first_names: dict[str, int]


def people_of(personas: Iterable[Persona]) -> People | None:
    """Return the counts of personas for each age band, gender, name origin and first name.

    The result is None if there are no personas.
    """
    ages, genders, origins, names = (Counter[str]() for _ in range(4))
    for persona in personas:
        ages[_age(persona)] += 1
        genders[_gender(persona)] += 1
        origins[origin_of(persona.name)] += 1
        first = without_titles(persona.name)[1][:1]
        names.update(word[:40] for word in first if word[0].isalpha())
    if not ages:
        return None
    bands = [*(band for _, band in AGES), OLDEST, UNKNOWN]
    return People(
        ages.total(),
        {band: ages[band] for band in bands if ages[band]},
        _commonest(genders),
        dict(sorted(origins.items(), key=lambda pair: (pair[0] == UNKNOWN, -pair[1], pair[0]))),
        dict(names.most_common(MOST_KINDS)),
    )


def _commonest(counts: Counter[str]) -> dict[str, int]:
    """Return the counts of the most common kinds, of all other kinds together, and of `UNKNOWN`."""
    known = [(kind, n) for kind, n in counts.most_common() if kind != UNKNOWN]
    found = dict(known[:MOST_KINDS])
    if rest := sum(n for _, n in known[MOST_KINDS:]):
        found["others"] = rest
    return found | ({UNKNOWN: counts[UNKNOWN]} if counts[UNKNOWN] else {})


def _age(persona: Persona) -> str:
    if persona.card is not None:
        return _band(persona.card.age)
    match = _AGE.search(persona.text or "")
    return _band(int(next(filter(None, match.groups())))) if match else UNKNOWN


def _band(age: int) -> str:
    return next((band for below, band in AGES if age < below), OLDEST)


def _gender(persona: Persona) -> str:
    if persona.card is not None:
        said = persona.card.gender.casefold()
        words = [word.replace("-", "") for word in said.split()]
        kinds = [kind for kind, known in GENDERS.items() if {*words} & {*known.split()}]
        return kinds[0] if len(kinds) == 1 else said[:40]
    words = {*_WORD.findall((persona.text or "").casefold())}
    woman, man = bool(words & SAYS_WOMAN), bool(words & SAYS_MAN)
    if "nonbinary" in words or {"non", "binary"} <= words:
        return "nonbinary"
    return UNKNOWN if woman == man else ("women" if woman else "men")


def origin_of(name: str) -> str:
    """Return the origin of a name: a key in `names.yaml`, or `UNKNOWN`."""
    for letter in name:
        script = unicodedata.name(letter, "").split(" ")[0]
        if script in SCRIPTS:
            return SCRIPTS[script]
    words = without_titles(name)[1]
    ends = [words[-1], words[0]] if len(words) > 1 else words
    known = _origins()
    return next((known[plain] for word in ends if (plain := _plain(word)) in known), UNKNOWN)


def _plain(word: str) -> str:
    """Return a word in a name in lower case, without accents, hyphens or apostrophes."""
    parted = unicodedata.normalize("NFKD", word.casefold())
    return "".join(letter for letter in parted if letter.isalpha()).translate(_PLAIN)


@lru_cache(maxsize=1)
def _origins() -> dict[str, str]:
    data = cast("Mapping[str, str]", read_yaml(Path(__file__).with_name("names.yaml")))
    return {name: origin for origin, names in data.items() for name in names.split()}
