"""Parsing, validation and naming of language tags (BCP 47).

>>> language_tag("DE_ch"), language_label("pt-BR"), language_name("sr-Latn")
('de-CH', 'Brazilian Portuguese (português do Brasil)', 'Serbian in Latin script')
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from convogen.inputs.yaml12 import read_yaml

__all__ = [
    "ENGLISH",
    "is_right_to_left",
    "language_and_script",
    "language_label",
    "language_name",
    "language_tag",
    "languages_text",
    "primary_subtag",
    "same_language",
    "script_of",
]

ENGLISH = "en"
"""The language of prompts, shipped examples and the embedded model."""

_NAMES = Path(__file__).with_name("language_names.yaml")

_USUAL = {
    "de-CH": ("Swiss Standard German", "Schweizer Hochdeutsch"),
    "en-GB": ("British English",),
    "en-US": ("American English",),
    "pt-BR": ("Brazilian Portuguese", "português do Brasil"),
    "pt-PT": ("European Portuguese", "português europeu"),
    "zh-Hans": ("Simplified Chinese", "简体中文"),
    "zh-Hant": ("Traditional Chinese", "繁體中文"),
}
"""Common names, used instead of "language, as used in region"."""

_RIGHT_TO_LEFT = frozenset(("Adlm", "Arab", "Aran", "Hebr", "Mand", "Nkoo", "Rohg", "Syrc", "Thaa"))

_LONGEST_TAG = 60


def language_tag(given: str) -> str:
    """Return a tag in its standard form.

    Raises:
        ValueError: `given` is not the tag of a known language; the message suggests a tag.
    """
    import langcodes

    text = given.strip()
    try:
        tag = langcodes.standardize_tag(text) if 0 < len(text) <= _LONGEST_TAG else ""
        language = langcodes.Language.get(tag, normalize=False)
    except ValueError:
        raise ValueError(_no_tag(given)) from None
    known = bool(tag) and language.is_valid() and not language.extlangs
    if not known or not _named(language.language or ""):
        raise ValueError(_no_tag(given))
    return tag


def language_name(tag: str) -> str:
    """Return a language's English name, with the script and region that its tag states."""
    return _called(tag)[0]


def language_label(tag: str) -> str:
    """Return a language's English and native names, such as `German (Deutsch)`."""
    name, own = _called(tag)
    return f"{name} ({own})" if own and own != name else name


def languages_text(tags: list[str] | tuple[str, ...]) -> str:
    """Return the English names of languages, separated by commas."""
    return ", ".join(map(language_name, tags))


def primary_subtag(tag: str) -> str:
    """Return the language subtag of a tag, without script and region: `de` for `de-CH`."""
    return tag.partition("-")[0].casefold()


@lru_cache(maxsize=256)
def script_of(tag: str) -> str:
    """Return the ISO 15924 code of the script that a language is usually written in."""
    import langcodes

    try:
        return langcodes.Language.get(tag).maximize().script or "Zyyy"
    except ValueError:  # the tag that a corpus states may be invalid
        return "Zyyy"


def language_and_script(tag: str | None) -> str:
    """Return a key that is equal for tags whose texts are interchangeable; None counts as English.

    The key is the same for `de` and `de-CH`, but not for `zh-Hans` and `zh-Hant`.
    """
    return f"{primary_subtag(tag)}-{script_of(tag)}" if tag else "en-Latn"


def same_language(tag: str | None, other: str | None) -> bool:
    """Return whether two tags have the same language and script; None counts as English."""
    return language_and_script(tag) == language_and_script(other)


def is_right_to_left(tag: str) -> bool:
    """Return whether a language is written from right to left."""
    return script_of(tag) in _RIGHT_TO_LEFT


@lru_cache(maxsize=256)
def _called(tag: str) -> tuple[str, str]:
    """Return the English name and the native name ("" if unknown) for a standard tag."""
    import langcodes

    try:
        language = langcodes.Language.get(tag, normalize=False)
    except ValueError:
        return tag, ""
    language_only, script, region = language.language or "", language.script, language.territory
    if language_only == "zh" and (script or region):
        script = script_of(tag)  # the region implies the script
    usual = f"{language_only}-{script or region}"
    name, *own = _USUAL.get(usual) or _named(language_only) or [tag]
    if usual in _USUAL:
        script, region = None, region if script else None
    if script:
        name += f" in {_subtag_name('script', script)} script"
        own = own if script == script_of(language_only) else []
    if region:
        name += f", as used in {_subtag_name('region', region)}"
    return name, own[0] if own else ""


@lru_cache(maxsize=1)
def _names() -> dict[str, list[str]]:
    return read_yaml(_NAMES)


def _named(language: str) -> list[str]:
    """Return a language subtag's English name, followed by its native name if that is known.

    Return an empty list if both names are unknown.
    """
    if language in ("", "mis", "mul", "und", "zxx"):
        return []
    if known := _names().get(language):
        return known
    name = _subtag_name("language", language)
    return [name] if name != language and name != "Private use" else []


@lru_cache(maxsize=64)
def _subtag_name(kind: str, subtag: str) -> str:
    """Return the name of a subtag in the IANA registry, or the subtag if it is not listed."""
    from langcodes.registry_parser import (
        parse_registry,  # pyright: ignore[reportUnknownVariableType]
    )

    for row in cast("Any", parse_registry)():
        if row["Type"] == kind and row.get("Subtag") == subtag:
            return re.sub(r"\s*\([^)]*\)|,.*", "", row["Description"][0])
    return subtag


def _no_tag(given: str) -> str:
    """Return the error message for an invalid tag, which suggests a tag with a similar name."""
    text = " ".join(given.split()).casefold()
    by_name = {name.casefold(): tag for tag, names in _names().items() for name in reversed(names)}
    by_name |= {names[0].casefold(): tag for tag, names in _USUAL.items()}
    near = get_close_matches(text[:_LONGEST_TAG], by_name, 1, 0.75)
    if text.isascii() and len(text) <= 3:  # a code, not a name
        near = []
    primary = re.split(r"[-_ ]", text)[0]
    if near:
        tag = by_name[near[0]]
    elif primary in _names() or (primary := primary[:2]) in _names():
        tag = primary
    else:
        tag = "de"
    shown = f"{given.strip()[:_LONGEST_TAG]!r} is not a known BCP 47 language tag"
    if near or tag != "de":
        return f"{shown}; did you mean {tag}, {language_label(tag)}?"
    return f"{shown}; an example is {tag}, {language_label(tag)}"
