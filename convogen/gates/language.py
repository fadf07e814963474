"""Rejects conversations with too few turns in the requested language (English by default).

Only turns of five or more words count, since shorter turns are inconclusive. Languages in Latin,
Cyrillic, Arabic or Devanagari letters are recognised by lingua (extra `lingua`), and all other
languages by their script.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from convogen.gates.base import Candidate, Gate, Rejection
from convogen.models.traffic.session import Session
from convogen.text.language_tags import ENGLISH, language_name
from convogen.text.turn_language import LEAST_WORDS, can_tell, turns_in_language

__all__ = ["LanguageGate"]


class LanguageGate(Gate):
    """Parameters of the `language` gate."""

    name: ClassVar[str] = "language"
    rejections_are_failures: ClassVar[bool] = True

    min_share: float = Field(
        default=0.9,
        gt=0,
        le=1,
        description="minimum share of turns that are in the conversation's language; turns of "
        "fewer than five words do not count",
    )

    def cannot_check(self, languages: Sequence[str]) -> str | None:
        reasons = (can_tell(tag) for tag in languages or (ENGLISH,))
        why = next((reason for reason in reasons if reason), None)
        return why and f"{why}; use --set 'gates=[]' to run without this gate"

    async def check(self, candidate: Candidate, session: Session) -> Rejection | None:
        turns, tag = candidate.conversation.turns, candidate.conversation.language or ENGLISH
        told = turns_in_language([turn.text for turn in turns], tag)
        foreign = [nth for nth, fits in enumerate(told) if fits is False]
        n_told = sum(fits is not None for fits in told)
        share = 1 - len(foreign) / n_told if n_told else 1.0
        if share >= self.min_share:
            return None
        first, said = foreign[0], turns[foreign[0]]
        return Rejection(
            f"turn {first + 1} ({said.speaker}) is not in {language_name(tag)}: "
            f"{said.text[:60]!r}; {share:.0%} of {n_told} turns with {LEAST_WORDS} or more words "
            f"are in this language, but at least {self.min_share:.0%} must be",
            round(share, 4),
        )
