"""Language data for the turn checks, stored in one YAML file per language and compiled once.

A language may lack any group of patterns, or have no file at all. Checks that need missing patterns
are skipped. `Language.checks` lists the checks that a language supports.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Annotated, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_yaml
from convogen.text.segmentation import primary, unspaced_language

__all__ = [
    "Language",
    "Rules",
    "load_language",
]

_PIECE = re.compile(r"@(\w+)@")

_NEVER = "(?!)"

_BUILT_IN = {
    "begins": r"(?:\A|[.!?…,;:—–。！？，、；~～।॥؟،؛][\"”»’」』)）]*)[\s¡¿]*",
    "ends": (
        r"(?:,? (?:@titles@\.? )?[^\W\d_]+|, [^\W\d_]+ [^\W\d_]+)?\s*"
        r"(?:[.!…~。！～।॥۔]|\Z)"
    ),
    "within": r"[^.?!…。！？؟।\n]",
    "roles": r"(?:user|human|assistant|ai|a\.i\.|ai assistant|system|narrator|chatbot|bot)",
}
"""Pieces for all languages: the place where a clause begins; the end of a sentence that is not a
question, with any name before it; a character within a sentence; labels that are not names."""

LANGUAGES = Path(__file__).parent / "languages"


def _joined(pattern: str) -> str:
    """Join the lines of a pattern that is spread over several lines of a file."""
    return "".join(line.strip() for line in pattern.splitlines())


def _alternatives(lines: str) -> str:
    """Join patterns, one per line, into a pattern that matches if any of the patterns matches."""
    return "|".join(line.strip() for line in lines.splitlines())


_Pattern = Annotated[str, BeforeValidator(_joined)]
_Patterns = Annotated[str, BeforeValidator(_alternatives)]
_Words = Annotated[frozenset[str], BeforeValidator(lambda words: frozenset(words.split()))]
_Endings = Annotated[tuple[str, ...], BeforeValidator(lambda words: tuple(words.split()))]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Rule(_Group):
    """Patterns with their trigger words.

    The patterns are tried only on texts with one of `words`, or on all texts if `words` is empty.
    """

    words: _Words = frozenset()
    patterns: _Patterns


class _RuleGroups(_Group):
    refusal: list[_Rule] = []
    assistant_offer: list[_Rule] = []
    opening_offer: list[_Rule] = []
    note: list[_Rule] = []
    frame: list[_Rule] = []
    chatbot: list[_Rule] = []


class _Directions(_Group):
    inside_sentences: _Patterns = _NEVER
    gestures: _Patterns = _NEVER
    any_marks: _Patterns = _NEVER
    brackets: _Patterns = _NEVER
    spoken: _Patterns = _NEVER
    personal: _Patterns = _NEVER
    bare: _Patterns = _NEVER
    narrated: _Patterns = _NEVER


class _Courtesies(_Group):
    """Beginnings of clauses that acknowledge, thank, say goodbye, continue, or conclude.

    Text that matches `asks_on` is not a courtesy.
    """

    lead: _Pattern
    thanks: _Pattern
    leave: _Pattern
    more: _Pattern = _NEVER
    done: _Pattern = _NEVER
    asks_on: _Pattern


class _Addressing(_Group):
    """Words around a name when a person is addressed.

    `calls` may precede a name that is followed by a pause, and `vocatives` may precede any name.
    `joins` are words between names, and `suffixes` are honorifics after a name.
    """

    calls: _Words = frozenset()
    joins: _Words = frozenset()
    vocatives: _Words = frozenset()
    suffixes: _Endings = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """Patterns that detect one kind of fault, each with its trigger words.

    A pattern is compiled when it is first needed.
    """

    rules: tuple[tuple[frozenset[str], str], ...]
    triggers: frozenset[str]

    def match(self, plain: str, words: frozenset[str]) -> bool:
        """Return whether any pattern matches a text.

        Args:
            plain: The text in lower case, with straight apostrophes.
            words: The words of the text.
        """
        if self.triggers and self.triggers.isdisjoint(words):
            return False
        return any(
            _multiline(pattern).search(plain) is not None
            for triggers, pattern in self.rules
            if not triggers or not triggers.isdisjoint(words)
        )


@cache
def _multiline(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.MULTILINE)


class Language(_Group):
    """The patterns and word lists of one language, as stored in its file."""

    language: str
    pieces: dict[str, _Pattern] = {}
    directions: _Directions = _Directions()
    titles: _Words = frozenset()
    article: str = ""
    title_spellings: dict[str, str] = {}
    plain_titles: _Words = frozenset()
    honorifics: _Words = frozenset()
    particles: _Words = frozenset()
    common_names: _Words = frozenset()
    no_gesture: _Words = frozenset()
    farewell: _Pattern | None = None
    rules: _RuleGroups = _RuleGroups()
    courtesies: _Courtesies | None = None
    addressing: _Addressing = _Addressing()
    naming: _Words = frozenset()
    slight: _Words = frozenset()
    endings: _Endings = ()

    def compile(
        self, pattern: str, flags: re.RegexFlag = re.IGNORECASE, *, own: bool = False
    ) -> re.Pattern[str]:
        """Compile a pattern after replacing each `@name@` with the piece that has this name.

        A piece that this language lacks matches nothing or, if `own` is set, raises `KeyError`.

        Args:
            pattern: The pattern, with references to pieces.
            flags: Flags for the compiled pattern.
            own: Whether the pattern is from the language's own file, so that all pieces must exist.

        Raises:
            KeyError: `own` is set, and the pattern refers to a piece that does not exist.
        """
        return re.compile(self._expanded(pattern, own=own), flags)

    def _expanded(self, pattern: str, *, own: bool) -> str:
        pieces = {
            **_BUILT_IN,
            **self.pieces,
            "titles": f"(?:{'|'.join(sorted(self.titles)) or _NEVER})",
            "no_gesture": f"(?:{'|'.join(sorted(self.no_gesture)) or _NEVER})",
        }
        while _PIECE.search(pattern):
            pattern = _PIECE.sub(
                lambda name: pieces[name[1]] if own else pieces.get(name[1], _NEVER), pattern
            )
        return pattern

    @cached_property
    def spaced(self) -> bool:
        """Return whether the language separates words with spaces."""
        return unspaced_language(self.language) is None

    @cached_property
    def checks(self) -> frozenset[str]:
        """Return the names in `convogen.text.checks.CHECKS` of the checks that this language
        supports."""
        has: dict[str, object] = {
            "refusal": self.rules.refusal,
            "assistant_offer": self.rules.assistant_offer,
            "note": self.rules.note,
            "stage_direction": self.directions.gestures != _NEVER,
            "third_person": "narrated_verb" in self.pieces and "says" in self.pieces,
            "farewell": self.farewell,
            "courtesies": self.courtesies,
            "addressing": self.addressing.calls or self.addressing.suffixes,
            "topic": self.slight,
        }
        return frozenset(name for name, group in has.items() if group)

    @cached_property
    def refusal(self) -> Rules:
        return self._with_triggers(self.rules.refusal)

    @cached_property
    def assistant_offer(self) -> Rules:
        return self._with_triggers(self.rules.assistant_offer)

    @cached_property
    def opening_offer(self) -> Rules:
        return self._with_triggers(self.rules.opening_offer)

    @cached_property
    def note(self) -> Rules:
        return self._with_triggers(self.rules.note)

    @cached_property
    def frame(self) -> Rules:
        return self._with_triggers(self.rules.frame)

    @cached_property
    def chatbot(self) -> Rules:
        return self._with_triggers(self.rules.chatbot)

    @cached_property
    def goodbye(self) -> re.Pattern[str]:
        return self.compile(self.farewell or _NEVER, own=True)

    def _with_triggers(self, rules: list[_Rule]) -> Rules:
        expanded = tuple((rule.words, self._expanded(rule.patterns, own=True)) for rule in rules)
        all_gated = all(rule.words for rule in rules)
        triggers = frozenset[str]().union(*(rule.words for rule in rules if all_gated))
        return Rules(expanded, triggers)


@lru_cache
def load_language(language: str) -> Language:
    """Return a language's data; if the language has no file, all groups are empty.

    Args:
        language: A BCP 47 tag, such as `en` or `pt-BR`; only the primary subtag is used.

    Raises:
        SourceError: The language's file is invalid.
    """
    return _load(unspaced_language(language) or primary(language))


@lru_cache
def _load(language: str) -> Language:
    path = LANGUAGES / f"{language}.yaml"
    if path.name not in {known.name for known in LANGUAGES.glob("*.yaml")}:
        return Language(language=language)
    data = cast("object", read_yaml(path))
    try:
        return Language.model_validate(data)
    except ValidationError as error:
        raise SourceError(f"{path}: {error}") from error
