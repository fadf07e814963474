"""The language-dependent turn checks, and the languages that support them."""

from __future__ import annotations

from collections.abc import Iterable

from convogen.text.language import LANGUAGES, load_language

__all__ = ["CHECKS", "checked_as", "checked_languages", "unchecked"]

CHECKS = {
    "refusal": "refusals",
    "assistant_offer": "role breaks and assistant-like offers",
    "note": "notes on the task",
    "stage_direction": "stage directions",
    "third_person": "narration",
    "farewell": "farewells",
    "courtesies": "thanks and courtesies",
    "addressing": "addressing by name",
    "topic": "topic deviation",
}
"""Maps each language-dependent check to what it finds. All other checks work in any language."""

_TELLING_WORDS = 60
"""Every text with at least this number of words contains frequent words from its language."""


def checked_languages() -> list[str]:
    """Return the languages that have a pattern file, English first."""
    return sorted(
        (path.stem for path in LANGUAGES.glob("*.yaml")), key=lambda tag: (tag != "en", tag)
    )


def checked_as(language: str | None, texts: Iterable[str]) -> str:
    """Return the language whose patterns are used to check texts.

    Args:
        language: The primary subtag of the texts' language, or None if it is unknown.
        texts: The turns of a conversation.

    Returns:
        `language` if it is known. Otherwise, `en` if the texts are too short to identify their
        language, or `und` if they are longer. No language-dependent check runs for `und`.
    """
    if language is not None:
        return language
    n = 0
    for text in texts:
        n += len(text.split())
        if n >= _TELLING_WORDS:
            return "und"
    return "en"


def unchecked(language: str) -> list[str]:
    """Return the names of the checks in `CHECKS` that a language does not support, in order."""
    done = load_language(language).checks
    return [name for name in CHECKS if name not in done]
