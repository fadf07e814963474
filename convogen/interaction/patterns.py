"""How people of a language address one another, and by which words friction is told."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_yaml
from convogen.text.identify import identify
from convogen.text.language import Rules
from convogen.text.segmentation import primary

__all__ = ["BEHAVIOURS", "Behaviour", "Patterns", "load_patterns", "patterns_of"]

Behaviour = Literal[
    "interruption",
    "disagreement",
    "misunderstanding",
    "repair_request",
    "evasion",
    "refusal",
    "complaint",
    "topic_change",
    "silence",
    "self_repair",
    "hesitation",
    "hedging",
    "backchannel",
]
"""What a turn may do: a turn may do several of them at once, or none."""

BEHAVIOURS: tuple[Behaviour, ...] = (
    "interruption",
    "disagreement",
    "misunderstanding",
    "repair_request",
    "evasion",
    "refusal",
    "complaint",
    "topic_change",
    "silence",
    "self_repair",
    "hesitation",
    "hedging",
    "backchannel",
)

LANGUAGES = Path(__file__).parent / "languages"


def _compiled(lines: object) -> re.Pattern[str]:
    """Compile patterns, one per line, into one that matches if any does."""
    if not isinstance(lines, str):
        raise ValueError("must be a text, a pattern per line")  # noqa: TRY004 - pydantic's error
    return re.compile("|".join(f"(?:{line.strip()})" for line in lines.splitlines()))


_Pattern = Annotated[re.Pattern[str], BeforeValidator(_compiled)]
_Words = Annotated[frozenset[str], BeforeValidator(lambda words: frozenset(words.split()))]


class _Rule(BaseModel):
    """Patterns, and the words of which a text must have one; without any, all texts are tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: _Words = frozenset()
    patterns: _Pattern

    @property
    def rules(self) -> Rules:
        return Rules(((self.words, self.patterns),), self.words)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    calls: _Words
    joins: _Words
    everyone: _Rule
    two: _Rule
    suggests: _Rule
    friction: dict[Behaviour, _Rule]
    minimal: _Pattern
    declines: _Pattern
    requests: _Pattern


class Patterns:
    """The patterns of one language.

    Attributes:
        language: Its code.
        calls: Words that may stand before a name that is called.
        joins: Words between names that are called together.
        everyone: Tells that a turn is for everybody.
        two: Tells that a turn is for two people.
        suggests: Tells that a turn proposes something to the group.
        friction: Rules by behaviour; a behaviour without any cannot be told.
        minimal: Matches a reply that says next to nothing.
        declines: Matches a bare no.
        requests: Is found in questions that ask for something to be done or allowed.
    """

    def __init__(self, data: _File) -> None:
        self.language = data.language
        self.calls = data.calls
        self.joins = data.joins
        self.everyone = data.everyone.rules
        self.two = data.two.rules
        self.suggests = data.suggests.rules
        self.friction = {name: data.friction[name].rules for name in BEHAVIOURS}
        self.minimal = data.minimal
        self.declines = data.declines
        self.requests = data.requests


@lru_cache
def load_patterns(language: str) -> Patterns | None:
    """Return the patterns of a language; None if there are none.

    Args:
        language: A primary subtag, such as `en`.

    Raises:
        SourceError: The language's file is invalid.
    """
    path = LANGUAGES / f"{language}.yaml"
    if path.stem not in {known.stem for known in LANGUAGES.glob("*.yaml")}:
        return None
    try:
        return Patterns(_File.model_validate(cast("object", read_yaml(path))))
    except (ValidationError, KeyError, re.error) as error:
        raise SourceError(f"{path}: {error}") from error


def patterns_of(texts: list[str], language: str | None) -> Patterns | None:
    """Return the patterns of a conversation's language; None if it has none or is unknown.

    Args:
        texts: Its turns, by which the language is identified if it is not stated.
        language: Its BCP 47 tag, if it states one.
    """
    code = primary(language) if language else identify(texts)
    return load_patterns(code) if code else None
