"""Few-shot examples: dialogues in the manner of a data set, each with what was settled for it.

Those that are shipped were written for convogen in the manner of DialogSum (people face to face,
whole sentences) and of SAMSum (friends who text each other). A file of one's own is YAML like
them, or conversation data that `convogen stats` reads: then without characteristics.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import Field, ValidationError

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.inputs.keys import Keys, first_fault
from convogen.inputs.yaml12 import read_yaml
from convogen.text.speakers import one_line

__all__ = ["CHARACTERISTICS", "Example", "Examples", "open_examples", "shipped_examples"]

CHARACTERISTICS = {
    "ages_and_genders": "how old each of them is, and of what gender",
    "familiarity": "what they are to each other, and how well they know each other",
    "emotional_states": "how each of them feels as it begins",
    "formality": "how formal or casual they are with each other",
    "duration": "how long they talk",
    "medium": "how they talk: face to face, on the phone, by text messages",
    "topic": "what of the subject they really talk about",
    "location": "where they are",
    "agreement": "whether they agree, and over what they do not",
    "natural_features": "what makes it sound real: fillers, pauses, slang, half sentences",
}
"""Table 1: a characteristic, and what the model is told of it."""

MOST = 2_000
"""As many conversations of a corpus are held and drawn from."""

LONGEST_CHARS = 3_000
"""Longer conversations of a corpus are no examples."""


class Example(Keys):
    """A dialogue: its topic, who speaks (name: about them), what was settled, and its turns."""

    topic: str = Field(min_length=1)
    people: dict[str, str | None] = Field(min_length=2)
    characteristics: dict[str, str] = Field(default_factory=dict[str, str])
    turns: list[tuple[str, str]] = Field(min_length=2)


class Examples:
    """The examples of a source; `hash` identifies all of them."""

    def __init__(self, examples: list[Example]) -> None:
        self._examples = examples
        text = "\n".join(example.model_dump_json() for example in examples)
        self.hash = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples)

    def draw(self, rng: random.Random, n: int) -> list[Example]:
        """`n` different ones, or as many as there are."""
        return rng.sample(self._examples, min(n, len(self._examples)))


def shipped_examples() -> dict[str, Path]:
    """The example files that come with convogen, by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def open_examples(source: str) -> Examples:
    """Read a shipped file by its name, or one's own.

    Raises `SourceError` where it is missing, malformed, or holds no example.
    """
    path = shipped_examples().get(source, Path(source))
    if not path.is_file():
        shipped = ", ".join(shipped_examples())
        raise SourceError(
            f"examples {source}: no such file; allowed: {shipped}, a YAML file of examples, or a "
            "file of conversations"
        )
    own = path.suffix in (".yaml", ".yml")
    found = _from_yaml(path) if own else _from_corpus(path)
    if not found:
        raise SourceError(
            f"examples {source}: there is none in it with two who speak and at most "
            f"{LONGEST_CHARS} characters"
        )
    return Examples(found)


def _from_yaml(path: Path) -> list[Example]:
    data = read_yaml(path)
    if not isinstance(data, list):
        raise SourceError(f"{path}: must be a list of examples with topic, people and turns")
    return [_example(path, nth, entry) for nth, entry in enumerate(cast("list[Any]", data), 1)]


def _example(path: Path, nth: int, entry: Any) -> Example:
    try:
        example = Example.model_validate(entry)
    except ValidationError as error:
        said = first_fault(error, f"{nth}")
        raise SourceError(
            f"{path}: {said}; an example has {', '.join(Example.model_fields)}"
        ) from error
    if several := next((name for name in example.people if one_line(name) != name), None):
        raise SourceError(f"{path}: {nth}.people: the name {several!r:.200} must be one line")
    settled = example.characteristics
    if settled and settled.keys() != CHARACTERISTICS.keys():
        wrong = ", ".join(sorted(settled.keys() ^ CHARACTERISTICS.keys()))
        allowed = ", ".join(CHARACTERISTICS)
        raise SourceError(f"{path}: {nth}.characteristics: {wrong}; they are {allowed}, or none")
    if stranger := next((name for name, _ in example.turns if name not in example.people), None):
        raise SourceError(f"{path}: {nth}.turns: {stranger!r} is none of its people")
    return example


def _from_corpus(path: Path) -> list[Example]:
    found: list[Example] = []
    for conversation in islice(open_corpus(path), MOST):
        turns = [(turn.speaker, " ".join(turn.text.split())) for turn in conversation.turns]
        people = dict.fromkeys(speaker for speaker, _ in turns)
        if len(people) < 2 or sum(len(text) for _, text in turns) > LONGEST_CHARS:
            continue
        topic = conversation.context.get("topic")
        about = topic if isinstance(topic, str) and topic else "something of their lives"
        found.append(Example(topic=about, people=dict(people), turns=turns))
    return found
