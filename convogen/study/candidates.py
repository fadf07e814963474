"""The pairs of dialogues that a study may show."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from convogen.errors import SourceError

__all__ = ["Candidate", "StudyDialogue", "candidate_pairs", "opaque_id"]


@dataclass(frozen=True, slots=True)
class StudyDialogue:
    """A dialogue that a study may show.

    Attributes:
        id: The id of the dialogue within the study.
        source_person: The id of the person who talks or is simulated.
        goal: The name of the goal that the dialogue pursues.
        responder: The chatbot that answers; empty if unknown.
        condition: The name of the dialogue's simulator; empty for natural dialogues.
    """

    id: str
    source_person: str
    goal: str
    responder: str
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A pair that may be shown: the ids of its dialogues, and their common properties.

    `probability` is the probability of drawing the pair; it is set when pairs are drawn.
    """

    id: str
    source_person: str
    goal: str
    condition: str
    natural: str
    simulated: str
    probability: float = 1.0

    @property
    def cell(self) -> tuple[str, str]:
        """The person and goal of the pair; nobody sees two pairs from the same cell."""
        return self.source_person, self.goal


def candidate_pairs(
    natural: Iterable[StudyDialogue], simulated: Iterable[StudyDialogue], seed: int
) -> list[Candidate]:
    """Return one pair per condition, person and goal, in sorted order.

    If several dialogues qualify for a pair, one is drawn at random. Pair ids do not reveal the
    condition.

    Raises:
        SourceError: No two dialogues form a pair.
    """
    drawn = random.Random(f"candidates {seed}")
    natural_by: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in natural:
        natural_by[one.source_person, one.goal, one.responder].append(one.id)
    simulated_by: dict[tuple[str, str, str], list[StudyDialogue]] = defaultdict(list)
    for one in simulated:
        if (one.source_person, one.goal, one.responder) in natural_by:
            simulated_by[one.condition, one.source_person, one.goal].append(one)
    if not simulated_by:
        raise SourceError(
            "no pairs can be shown: no simulated dialogue has the same person, goal and responder "
            "as a natural dialogue"
        )
    found: list[Candidate] = []
    for (condition, person, goal), dialogues in sorted(simulated_by.items()):
        one = drawn.choice(sorted(dialogues, key=lambda each: each.id))
        other = drawn.choice(sorted(natural_by[person, goal, one.responder]))
        found.append(Candidate(opaque_id(other, one.id), person, goal, condition, other, one.id))
    return found


def opaque_id(*parts: str) -> str:
    """Return an id that is derived from `parts` and does not reveal them."""
    text = "\x1f".join(parts)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()
