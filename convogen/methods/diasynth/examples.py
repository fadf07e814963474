"""Few-shot examples: dialogues in the style of a data set, each with its settled characteristics.

The shipped examples were written for convogen in the styles of DialogSum (face-to-face
conversations in whole sentences) and SAMSum (friends who text each other). A user's file contains
examples in the same YAML format, or conversation data that `convogen stats` can read. In
conversation data, the settled part is taken from the `reasoning` and `characteristics` columns,
which this method writes.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import Field, ValidationError

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.inputs.keys import Keys, first_fault
from convogen.inputs.yaml12 import read_yaml
from convogen.methods.diasynth.settling import CHARACTERISTICS, FEELINGS, feelings_of
from convogen.text.identify import identify
from convogen.text.language_tags import language_tag, same_language
from convogen.text.speakers import one_line

__all__ = [
    "ROLE",
    "Example",
    "Examples",
    "in_roles",
    "open_examples",
    "shipped_examples",
    "shown",
]

ROLE = "#Person{}#"
"""DialogSum's label for a speaker, to be formatted with the speaker's number."""

MOST = 2_000
"""Maximum number of conversations read from a corpus."""

ROLE_LABEL = re.compile(r"\W*person\W*\d+\W*", re.IGNORECASE)
"""Matches the role labels in data sets, as opposed to names."""

LONGEST_CHARS = 3_000
"""Maximum length, in characters, of a corpus conversation that is used as an example."""


class Example(Keys):
    """An example dialogue: its topic, its people (each name with a description), its settled part
    and its turns."""

    topic: str = Field(min_length=1)
    people: dict[str, str | None] = Field(min_length=2)
    reasoning: str | None = Field(default=None, min_length=1)
    characteristics: dict[str, str | dict[str, str]] = Field(
        default_factory=dict[str, "str | dict[str, str]"]
    )
    turns: list[tuple[str, str]] = Field(min_length=2)
    language: str | None = Field(
        default=None,
        description="BCP 47 tag of the example's language; detected from the turns by default",
    )


class Examples:
    """The examples from one source; `hash` identifies their content."""

    def __init__(self, examples: list[Example]) -> None:
        self._examples = examples
        text = "\n".join(example.model_dump_json(exclude={"language"}) for example in examples)
        self.hash = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def __len__(self) -> int:
        return len(self._examples)

    def __iter__(self) -> Iterator[Example]:
        return iter(self._examples)

    def draw(self, rng: random.Random, n: int, language: str | None = None) -> list[Example]:
        """Return `n` distinct examples drawn at random, or all examples if there are fewer.

        If a language is given, only examples in that language are returned.
        """
        fit = self.in_languages((language,)) if language else self._examples
        return rng.sample(fit, min(n, len(fit)))

    def in_languages(self, tags: Sequence[str]) -> list[Example]:
        """Return the examples whose language, stated or detected, is one of `tags`."""
        return [
            example
            for example, tag in zip(self._examples, self._languages, strict=True)
            if any(same_language(tag, wanted) for wanted in tags)
        ]

    @cached_property
    def _languages(self) -> list[str | None]:
        return [
            example.language or identify(text for _, text in example.turns)
            for example in self._examples
        ]


def shipped_examples() -> dict[str, Path]:
    """Return the example files that come with convogen, keyed by name."""
    return {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}


def open_examples(source: str) -> Examples:
    """Return the examples in a shipped file, given by name, or in a user's file.

    Raises `SourceError` if the file is missing or malformed, or contains no usable example.
    """
    path = shipped_examples().get(source, Path(source))
    if not path.is_file():
        shipped = ", ".join(shipped_examples())
        raise SourceError(
            f"examples {source}: no such file; allowed: {shipped}, a YAML file with examples, or "
            "a file with conversations"
        )
    own = path.suffix in (".yaml", ".yml")
    examples = _from_yaml(path) if own else _from_corpus(path)
    if not examples:
        raise SourceError(
            f"examples {source}: contains no conversation with two or more speakers and at most "
            f"{LONGEST_CHARS} characters; provide at least one"
        )
    return Examples(examples)


def _from_yaml(path: Path) -> list[Example]:
    data = read_yaml(path)
    if not isinstance(data, list):
        raise SourceError(f"{path}: must be a list of examples, each with topic, people and turns")
    return [_example(path, nth, entry) for nth, entry in enumerate(cast("list[Any]", data), 1)]


def _example(path: Path, nth: int, entry: Any) -> Example:
    try:
        example = Example.model_validate(entry)
    except ValidationError as error:
        said = first_fault(error, f"{nth}")
        raise SourceError(
            f"{path}: {said}; an example may have the keys {', '.join(Example.model_fields)}"
        ) from error
    if example.language:
        try:
            example = example.model_copy(update={"language": language_tag(example.language)})
        except ValueError as error:
            raise SourceError(f"{path}: {nth}.language: {error}") from error
    if several := next((name for name in example.people if one_line(name) != name), None):
        raise SourceError(f"{path}: {nth}.people: the name {several!r:.200} must be a single line")
    settled = example.characteristics
    if settled and settled.keys() != CHARACTERISTICS.keys():
        wrong = ", ".join(sorted(settled.keys() ^ CHARACTERISTICS.keys()))
        allowed = ", ".join(CHARACTERISTICS)
        raise SourceError(
            f"{path}: {nth}.characteristics: missing or unknown names: {wrong}; give all of "
            f"{allowed}, or none of them"
        )
    texts = {key for key, value in settled.items() if isinstance(value, str)} | {FEELINGS}
    if settled.keys() - texts:
        raise SourceError(
            f"{path}: {nth}.characteristics.{min(settled.keys() - texts)}: must be a single "
            f"string; only {FEELINGS} may be given per person"
        )
    if stranger := next((name for name, _ in example.turns if name not in example.people), None):
        raise SourceError(
            f"{path}: {nth}.turns: the speaker {stranger!r} is not listed in people; add the "
            "speaker there"
        )
    return example


def in_roles(example: Example) -> Example:
    """Return an example with DialogSum's role labels as speakers; the texts are unchanged."""
    roles = {name: ROLE.format(number) for number, name in enumerate(example.people, 1)}
    people: dict[str, str | None] = {}
    for name, role in roles.items():
        about, label = example.people[name], "" if ROLE_LABEL.fullmatch(name) else f"{name}. "
        people[role] = f"{label}{about or ''}".strip() or None
    characteristics = dict(example.characteristics)
    if characteristics:
        feelings = feelings_of(characteristics[FEELINGS], list(roles))
        if any(feelings.values()):
            characteristics[FEELINGS] = {roles[name]: how for name, how in feelings.items()}
    turns = [(roles[speaker], text) for speaker, text in example.turns]
    return example.model_copy(
        update={"people": people, "characteristics": characteristics, "turns": turns}
    )


def shown(example: Example, *, reasoning: bool, opening: bool) -> dict[str, Any]:
    """Return an example as the prompt shows it: people, topic and the requested object.

    With `reasoning`, `answer` includes as much of the settled part as the example contains, and
    `whole` is True if the settled part is complete.
    """
    turns = [{"speaker": speaker, "text": text} for speaker, text in example.turns]
    answer: dict[str, Any] = {}
    if reasoning and example.reasoning:
        answer["reasoning"] = example.reasoning
    if reasoning and example.characteristics:
        told = example.characteristics[FEELINGS]
        feelings = feelings_of(told, list(example.people))
        if not any(feelings.values()):
            feelings = dict.fromkeys(example.people, told)
        answer["characteristics"] = {**example.characteristics, FEELINGS: feelings}
    whole = not reasoning or {"reasoning", "characteristics"} <= answer.keys()
    if opening and reasoning:
        answer["n_turns"] = len(turns)
    answer |= {"starter": turns[0]} if opening else {"turns": turns}
    return {
        "people": [f"{name}: {about}" if about else name for name, about in example.people.items()],
        "topic": example.topic,
        "answer": json.dumps(answer, ensure_ascii=False),
        "whole": whole,
    }


def _from_corpus(path: Path) -> list[Example]:
    examples: list[Example] = []
    for conversation in islice(open_corpus(path), MOST):
        turns = [(turn.speaker, " ".join(turn.text.split())) for turn in conversation.turns]
        people = dict.fromkeys(speaker for speaker, _ in turns)
        if len(people) < 2 or sum(len(text) for _, text in turns) > LONGEST_CHARS:
            continue
        topic = conversation.context.get("topic")
        about = topic if isinstance(topic, str) and topic else "something of their lives"
        plain = Example(topic=about, people=dict(people), turns=turns)
        settled = {**_settled_in(conversation.context), "language": conversation.language}
        examples.append(plain.model_copy(update=settled))
    return examples


def _settled_in(context: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settled part that a run of this method stored with a conversation; empty if there
    is none."""
    settled: dict[str, Any] = {}
    if isinstance(reasoning := context.get("reasoning"), str) and reasoning.strip():
        settled["reasoning"] = reasoning
    told: Any = context.get("characteristics")
    if isinstance(told, dict) and {*cast("dict[Any, Any]", told)} == {*CHARACTERISTICS}:
        texts = cast("dict[str, Any]", told)
        if all(isinstance(text, str) for text in texts.values()):
            settled["characteristics"] = texts
    return settled
