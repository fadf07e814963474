"""The patterns that detect friction and turns addressed to a group, for each language."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_yaml
from convogen.interaction.utterances import Utterance

__all__ = [
    "BEHAVIOURS",
    "BEHAVIOUR_LABELS",
    "OPENERS",
    "OPENER_LABELS",
    "Behaviour",
    "Opener",
    "Patterns",
    "behaviour_term",
    "load_patterns",
]

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
"""The behaviours of a turn; a turn may have several of them or none."""

BEHAVIOUR_LABELS: dict[Behaviour, str] = {
    "interruption": "turns that interrupt",
    "disagreement": "turns that disagree",
    "misunderstanding": "turns that correct a misunderstanding",
    "repair_request": "turns that ask what was meant or said",
    "evasion": "turns that evade a question",
    "refusal": "turns that refuse something",
    "complaint": "turns that complain",
    "topic_change": "turns that change the topic",
    "silence": "turns that say almost nothing when a reply is due",
    "self_repair": "turns in which a speaker corrects themselves",
    "hesitation": "turns that hesitate",
    "hedging": "turns that hedge",
    "backchannel": "turns that only show that somebody is listening",
}
"""Maps each behaviour to its label for readers."""

BEHAVIOURS: tuple[Behaviour, ...] = tuple(BEHAVIOUR_LABELS)

Opener = Literal["response", "marker", "assessment", "first_person", "question_word"]
"""The kinds of words or phrases with which a turn may begin."""

OPENER_LABELS: dict[Opener, str] = {
    "response": "turns that begin with yes, no, okay or the like",
    "marker": "turns that begin with well, so, oh, but or the like",
    "assessment": "turns that begin by judging what was said, as in great or that sounds good",
    "first_person": "turns that begin with I, my, we or the like",
    "question_word": "turns that begin with a question word",
}
"""Maps each kind of opener to its label for readers."""

OPENERS: tuple[Opener, ...] = tuple(OPENER_LABELS)

LANGUAGES = Path(__file__).parent / "languages"


_BEFORE_WORDS = " \t\n\"'“”‘*_(-–—.…¡¿"
"""The characters that may precede the first word of a turn."""


def behaviour_term(name: str) -> str:
    """Return the name of a behaviour for a table or a figure."""
    terms = {"misunderstanding": "misunderstanding corrected", "self_repair": "self-repair"}
    return terms.get(name, name.replace("_", " "))


def _compiled(lines: object) -> re.Pattern[str]:
    """Compile patterns, one per line, into a single pattern that matches if any of the patterns
    matches."""
    if not isinstance(lines, str):
        raise ValueError("must be a string with one pattern per line")
    return re.compile("|".join(f"(?:{line.strip()})" for line in lines.splitlines()))


_Pattern = Annotated[re.Pattern[str], BeforeValidator(_compiled)]
_Words = Annotated[frozenset[str], BeforeValidator(lambda words: frozenset(words.split()))]


class Rule(BaseModel):
    """Patterns that detect one property of a turn.

    Attributes:
        opens: Pattern for the beginning of a turn.
        words: Words, at least one of which a turn must contain for `has` to apply; if empty, `has`
            applies to all turns.
        has: Pattern that matches anywhere in a turn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    opens: _Pattern | None = None
    words: _Words = frozenset()
    has: _Pattern | None = None

    def match(self, said: Utterance) -> bool:
        """Return whether one of the patterns matches a turn."""
        if self.opens is not None and self.opens.match(said.plain) is not None:
            return True
        if self.has is None or (self.words and self.words.isdisjoint(said.words)):
            return False
        return self.has.search(said.plain) is not None


class Patterns(BaseModel):
    """The patterns for one language, as in the language's file.

    Attributes:
        language: The language code.
        everyone: Matches turns to everybody.
        two: Matches turns to two people.
        suggests: Matches proposals to the group.
        friction: Maps each behaviour to its rule.
        minimal: Matches replies that say almost nothing.
        declines: Matches replies that only say no.
        requests: Matches questions that ask for an action or for permission.
        openers: Maps each kind of opener to its pattern; the first match counts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    language: str
    everyone: Rule
    two: Rule
    suggests: Rule
    friction: dict[Behaviour, Rule]
    minimal: _Pattern
    declines: _Pattern
    requests: _Pattern
    openers: dict[Opener, _Pattern]

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if missing := [name for name in BEHAVIOURS if name not in self.friction]:
            raise ValueError(f"friction: has no rules for {', '.join(missing)}; add them")
        if missing := [name for name in OPENERS if name not in self.openers]:
            raise ValueError(f"openers: has no patterns for {', '.join(missing)}; add them")
        return self

    def opener(self, said: Utterance) -> Opener | None:
        """Return the kind of a turn's opener; None if no kind matches."""
        plain = said.plain.lstrip(_BEFORE_WORDS)
        return next((name for name, one in self.openers.items() if one.match(plain)), None)


@lru_cache
def load_patterns(language: str) -> Patterns | None:
    """Return the patterns for a language; None if the language has no patterns.

    Args:
        language: A primary subtag, such as `en`.

    Raises:
        SourceError: If the language's file is invalid.
    """
    path = LANGUAGES / f"{language}.yaml"
    if path.stem not in {known.stem for known in LANGUAGES.glob("*.yaml")}:
        return None
    try:
        return Patterns.model_validate(cast("object", read_yaml(path)))
    except (ValidationError, re.error) as error:
        raise SourceError(f"{path}: {error}") from error
