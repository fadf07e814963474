"""What turn checks need to know about a language: one YAML file each, compiled once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_yaml

__all__ = ["Language", "Rules", "load_language"]

_PIECE = re.compile(r"@(\w+)@")

LANGUAGES = Path(__file__).parent / "languages"


def _joined(pattern: str) -> str:
    """Join the lines of a pattern that a file spreads over several."""
    return "".join(line.strip() for line in pattern.splitlines())


def _alternatives(lines: str) -> str:
    """Join patterns, one per line, into one that matches if any does."""
    return "|".join(line.strip() for line in lines.splitlines())


_Pattern = Annotated[str, BeforeValidator(_joined)]
_Patterns = Annotated[str, BeforeValidator(_alternatives)]
_Words = Annotated[frozenset[str], BeforeValidator(lambda words: frozenset(words.split()))]
_Endings = Annotated[tuple[str, ...], BeforeValidator(lambda words: tuple(words.split()))]


class _Rule(BaseModel):
    """Patterns, and the words of which a text must have one; without any, all texts are tried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: _Words = frozenset()
    patterns: _Patterns


class _RuleGroups(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    refusal: list[_Rule]
    assistant_offer: list[_Rule]
    opening_offer: list[_Rule]
    note: list[_Rule]
    frame: list[_Rule]
    chatbot: list[_Rule]


class _Directions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    inside_sentences: _Patterns
    gestures: _Patterns
    any_marks: _Patterns
    brackets: _Patterns
    spoken: _Patterns
    personal: _Patterns
    bare: _Patterns
    narrated: _Patterns


@dataclass(frozen=True, slots=True)
class Rules:
    """Patterns that mark one kind of fault, each with its trigger words."""

    rules: tuple[tuple[frozenset[str], re.Pattern[str]], ...]
    triggers: frozenset[str]

    def match(self, plain: str, words: frozenset[str]) -> bool:
        """Return whether any pattern is found.

        Args:
            plain: A text in lower case with straight apostrophes.
            words: The words of that text.
        """
        if self.triggers and self.triggers.isdisjoint(words):
            return False
        return any(
            pattern.search(plain) is not None
            for triggers, pattern in self.rules
            if not triggers or not triggers.isdisjoint(words)
        )


class Language(BaseModel):
    """The patterns and wordings of one language, as its file has them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    pieces: dict[str, _Pattern]
    directions: _Directions
    titles: _Words
    article: str
    title_spellings: dict[str, str]
    plain_titles: _Words
    honorifics: _Words
    particles: _Words
    common_names: _Words
    no_gesture: _Words
    farewell: _Pattern
    rules: _RuleGroups
    naming: _Words
    slight: _Words
    endings: _Endings
    complaints: dict[str, str]

    def compile(self, pattern: str, flags: re.RegexFlag = re.IGNORECASE) -> re.Pattern[str]:
        """Compile a pattern in which `@name@` stands for a piece."""
        pieces = {**self.pieces, "no_gesture": f"(?:{'|'.join(sorted(self.no_gesture))})"}
        while _PIECE.search(pattern):
            pattern = _PIECE.sub(lambda name: pieces[name[1]], pattern)
        return re.compile(pattern, flags)

    @cached_property
    def refusal(self) -> Rules:
        return self._compiled(self.rules.refusal)

    @cached_property
    def assistant_offer(self) -> Rules:
        return self._compiled(self.rules.assistant_offer)

    @cached_property
    def opening_offer(self) -> Rules:
        return self._compiled(self.rules.opening_offer)

    @cached_property
    def note(self) -> Rules:
        return self._compiled(self.rules.note)

    @cached_property
    def frame(self) -> Rules:
        return self._compiled(self.rules.frame)

    @cached_property
    def chatbot(self) -> Rules:
        return self._compiled(self.rules.chatbot)

    @cached_property
    def goodbye(self) -> re.Pattern[str]:
        return self.compile(self.farewell)

    def _compiled(self, rules: list[_Rule]) -> Rules:
        compiled = tuple((rule.words, self.compile(rule.patterns, re.MULTILINE)) for rule in rules)
        all_gated = all(rule.words for rule in rules)
        triggers = frozenset[str]().union(*(rule.words for rule in rules if all_gated))
        return Rules(compiled, triggers)


@lru_cache
def load_language(language: str) -> Language:
    """Return what is known about a language.

    Args:
        language: Its code, such as `en`.

    Raises:
        SourceError: There is no file for it, or the file is invalid.
    """
    known = sorted(path.stem for path in LANGUAGES.glob("*.yaml"))
    if language not in known:
        raise SourceError(f"language {language!r}: no patterns; allowed: {', '.join(known)}")
    path = LANGUAGES / f"{language}.yaml"
    data = cast("object", read_yaml(path))
    try:
        loaded = Language.model_validate(data)
        for rules in (*_RuleGroups.model_fields, "goodbye"):
            getattr(loaded, rules)
    except (ValidationError, KeyError, re.error) as error:
        raise SourceError(f"{path}: {error}") from error
    return loaded
