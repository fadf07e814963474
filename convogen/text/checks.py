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
"""The language-dependent checks, and what each finds; all others work in any language."""

_TELLING_WORDS = 60
"""Number of words from which any text contains frequent words of its language."""


def checked_languages() -> list[str]:
    """Return the languages that have a file of patterns, English first."""
    return sorted(
        (path.stem for path in LANGUAGES.glob("*.yaml")), key=lambda tag: (tag != "en", tag)
    )


def checked_as(language: str | None, texts: Iterable[str]) -> str:
    """Return the language whose patterns are used to check texts.

    Args:
        language: The primary subtag of their language; None if it is unknown.
        texts: The turns of a conversation.

    Returns:
        English if the language is unknown because there are few words; `und`, in which nothing is
        checked, if it is unknown despite many words.
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
    """Return the `CHECKS` that a language does not support, in order."""
    done = load_language(language).checks
    return [name for name in CHECKS if name not in done]
