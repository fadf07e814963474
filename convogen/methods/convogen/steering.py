"""Instructions for agents' turns, derived from a conversation in the corpus to match.

One conversation is drawn at random for each task. The features of one speaker's turns, in order,
become the instructions for one agent's turns. Agents are not told how often a feature should occur,
since models do not adhere to rates.
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
        "cut_off_turns": ("break off before the end, with a dash", "finish what you say"),
        "response_starts": (
            "begin with yes, no, okay or the like",
            "do not begin with yes, no, okay or the like",
        ),
        "marker_starts": (
            "begin with well, so, oh, but or the like",
            "do not begin with well, so, oh, but or the like",
        ),
        "assessment_starts": (
            "begin by judging what was said, as in great or that is odd",
            "do not begin by judging what was said, as in great or that is odd",
        ),
        "first_person_starts": ("begin with I, my or we", "do not begin with I, my or we"),
        "question_word_starts": (
            "begin with a question word",
            "do not begin with a question word",
        ),
        "hesitation": ("hesitate, with an um, a pause or a false start", "speak fluently"),
        "self_repair": ("correct yourself in the middle", "do not correct yourself"),
        "hedging": ("hedge, as with maybe or I guess", "do not hedge"),
        "backchannel": (
            "only show that you are listening, as with mm-hm",
            "do more than show that you are listening",
        ),
        "disagreement": ("disagree with what was said", "do not disagree with anybody"),
        "repair_request": ("ask what was said or meant", "do not ask what was said or meant"),
        "counter_questions": (
            "answer the question with a question",
            "do not answer a question with a question",
        ),
        "complaint": ("complain about something", "do not complain"),
        "topic_change": ("change the subject, and say that you do", "keep to the subject"),
    }
)
"""Maps each feature from `convogen.realism.features` to two instructions: one for turns with the
feature and one for turns without it.

Two kinds of features are left out: those that are detected too rarely to be measured (evasion,
silence, corrected misunderstandings), and those that depend on another speaker's turn (refusal and
interruption; `cut_off_turns` is the counterpart of interruption).
"""

REACTIONS = frozenset(
    ("backchannel", "disagreement", "repair_request", "counter_questions", "topic_change")
)
"""Features whose instructions do not apply to the first turn, since they refer to earlier turns."""


def turn_notes(
    shape: Shape, names: Sequence[str], features: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """Return the instructions for each person's turns, in order.

    Args:
        shape: The shape of the drawn conversation, including the features of its turns (`marks`).
        names: The names of the participants, beginning with the first speaker. Each participant
            follows one speaker in the drawn conversation; if there are fewer speakers than
            participants, some participants follow the same speaker.
        features: The features in `STEERABLE` for which instructions are given.
    """
    by_speaker: dict[int, list[str]] = {}
    for speaker, marks in zip(shape.speakers, shape.marks, strict=True):
        by_speaker.setdefault(speaker, []).append(_note("In this turn", marks, features))
    turns = [tuple(notes) for notes in by_speaker.values()]
    return {name: turns[nth % len(turns)] for nth, name in enumerate(names)}


def starter_note(shape: Shape, features: Sequence[str]) -> str | None:
    """Return the instruction for the starter, which is added to the request for an experience; None
    if no feature applies to the starter."""
    possible = [name for name in features if name not in REACTIONS]
    return _note("In the text of the starter", shape.marks[0], possible) if possible else None


def wordings_hash(features: Sequence[str]) -> str:
    """Return a hash of the instructions for the given features, for a run's fingerprint."""
    wordings = {name: STEERABLE[name] for name in features}
    return hashlib.blake2b(f"{wordings}".encode(), digest_size=8).hexdigest()


def _note(place: str, marks: frozenset[str], features: Sequence[str]) -> str:
    wishes = [STEERABLE[name][name not in marks] for name in features]
    return f"({place}: {'; '.join(wishes)}.)"
