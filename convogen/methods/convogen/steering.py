"""How an agent is told to make a turn: marked as a turn of the matched conversation is.

People are not told a rate, which models do not keep, but for each turn what is in it and what is
not: the marks of the turns of one speaker in the conversation drawn for the task, in their order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from convogen.corpora.conversation_shapes import Shape

__all__ = ["STEERABLE", "starter_note", "turn_notes", "wordings_hash"]

STEERABLE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "question_turns": ("end with a question", "do not ask anything"),
        "exclaiming_turns": ("use an exclamation mark", "use no exclamation marks"),
        "ended_turns": ("end with a punctuation mark", "leave out the punctuation at the end"),
        "lower_case_starts": (
            "begin in lower case, as people do when they type",
            "begin with a capital letter",
        ),
        "capitals": ("use capital letters as usual", "write without capital letters"),
        "commas": ("use at least one comma", "use no commas"),
        "dashes": ("use a dash, a colon or a semicolon", "use no dashes, colons or semicolons"),
        "contractions": ("use a contraction", "write everything out, without contractions"),
        "numbers": ("give a number, in digits", "use no digits"),
        "short_turns": (
            "only react, in one to three words",
            "say more than three words",
        ),
        "formatted_turns": ("break it into lines, as in a message", "write it as plain text"),
    }
)
"""For features of `convogen.realism.features`, what a turn that has any of it, and one that has
none, is to do."""


def turn_notes(
    shape: Shape, names: Sequence[str], features: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return for each person what each of their turns is to be like, in the order of the turns.

    Args:
        shape: The conversation drawn, with marks.
        names: Who takes part; the first speaks first. Each gets the turns of one of its speakers,
            some the same if there are fewer.
        features: Those that it is marked by, of `STEERABLE`.
    """
    by_speaker: dict[int, list[str]] = {}
    for speaker, marks in zip(shape.speakers, shape.marks, strict=True):
        by_speaker.setdefault(speaker, []).append(_note("In this turn", marks, features))
    turns = [tuple(notes) for notes in by_speaker.values()]
    return {name: turns[nth % len(turns)] for nth, name in enumerate(names)}


def starter_note(shape: Shape, features: Sequence[str]) -> str | None:
    """Return what the starter is to be like, for the request for an experience; None if that does
    not matter."""
    return _note("In the text of the starter", shape.marks[0], features) if features else None


def wordings_hash() -> str:
    """Return what identifies the wordings, for a run's fingerprint."""
    return hashlib.blake2b(f"{dict(STEERABLE)}".encode(), digest_size=8).hexdigest()


def _note(place: str, marks: frozenset[str], features: Sequence[str]) -> str:
    wishes = [STEERABLE[name][name not in marks] for name in features]
    return f"({place}: {'; '.join(wishes)}.)"
