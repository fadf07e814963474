"""The language-dependent turn checks, and the languages that support them."""

from __future__ import annotations

from collections.abc import Iterable

from convogen.text.language import LANGUAGES, load_language

__all__ = ["CHECKS", "checked_as", "checked_languages", "unchecked"]

CHECKS = {
    "refusal": "refusals",
    "assistant_offer": "role breaks and offers of an assistant",
    "note": "notes on the task",
    "stage_direction": "stage directions",
    "third_person": "narration",
    "farewell": "farewells",
    "courtesies": "thanks and courtesies",
    "addressing": "calls by name",
    "topic": "topic deviation",
}
"""The language-dependent checks, with what each of them finds. All other checks work in any
language."""

_TELLING_WORDS = 60
"""Number of words from which any text contains some of its language's frequent words."""


def checked_languages() -> list[str]:
    """Return the languages that have a file of patterns, English first."""
    return sorted(
        (path.stem for path in LANGUAGES.glob("*.yaml")), key=lambda tag: (tag != "en", tag)
    )


def checked_as(language: str | None, texts: Iterable[str]) -> str:
    """Return the language whose patterns are used to check texts.

    Args:
        language: The primary subtag of the texts' language, or None if it is unknown.
        texts: The turns of a conversation.

    Returns:
        `language` if it is known. Otherwise, `en` if the texts have too few words to identify
        their language, and `und`, for which no language-dependent check runs, if they have more.
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
    """Return the names of the `CHECKS` that a language does not support, in their order there."""
    done = load_language(language).checks
    return [name for name in CHECKS if name not in done]
