"""Dialogues with their targets, which are summaries or labels."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from convogen.corpora import open_corpus
from convogen.corpora.labelled import in_roles, script
from convogen.errors import SourceError
from convogen.records import Conversation

__all__ = [
    "Example",
    "examples_of",
    "matched",
    "names_of",
    "read_examples",
    "read_held_out",
    "said",
    "unseen",
]


@dataclass(frozen=True, slots=True)
class Example:
    """A dialogue as a script with one turn per line, and its target (a summary or a label)."""

    dialogue: str
    target: str


def read_examples(source: str, column: str, n: int | None = None) -> list[Example]:
    """Return the first `n` dialogues in a file or data set that have text in the given column.

    If `n` is None, all such dialogues are returned. Raises `SourceError` if none exist.
    """
    found, columns = list[Example](), dict[str, None]()
    for one in open_corpus(source):
        columns.update(dict.fromkeys(one.context))
        target = one.context.get(column)
        if one.turns and isinstance(target, str) and target.strip():
            found.append(Example(script(one), " ".join(target.split())))
        if n is not None and len(found) == n:
            break
    if not found:
        there = ", ".join(columns) or "none"
        raise SourceError(
            f"{source}: no dialogue has text in the column {column}; choose another column (found: "
            f"{there})"
        )
    return found


def read_held_out(sources: str | Sequence[str], column: str, n: int | None = None) -> list[Example]:
    """Return one list with the first `n` dialogues in each file that have text in a column.

    Raises `SourceError` if a file has no such dialogues.
    """
    each = [sources] if isinstance(sources, str) else sources
    return [one for source in each for one in read_examples(source, column, n)]


def names_of(sources: str | Sequence[str]) -> str:
    """Return the names of the files, without folders and separated by commas."""
    each = [sources] if isinstance(sources, str) else sources
    return ", ".join(Path(source).name for source in each)


def examples_of(conversations: Iterable[Conversation], targets: Sequence[str]) -> list[Example]:
    """Return generated conversations as examples; those with an empty target are left out."""
    pairs = zip(conversations, targets, strict=True)
    return [Example(script(in_roles(one)), target) for one, target in pairs if target]


def unseen(examples: Sequence[Example], held_out: Sequence[Example]) -> list[Example]:
    """Return the examples whose dialogues (as returned by `said`) are not held out."""
    known = {said(one.dialogue) for one in held_out}
    return [one for one in examples if said(one.dialogue) not in known]


def said(dialogue: str) -> str:
    """Return the text of a script in lower case, without speaker names and extra white space."""
    turns = (line.partition(": ")[2] for line in dialogue.splitlines())
    return " ".join(" ".join(turns).casefold().split())


def matched(examples: Sequence[Example], n: int, seed: int) -> list[Example]:
    """Return `n` examples chosen at random, or all examples if there are fewer than `n`.

    `n` is the number of synthetic examples, because the arms should have the same size (DiaSynth,
    section 5.2).
    """
    return random.Random(seed).sample(list(examples), min(n, len(examples)))
