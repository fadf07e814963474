"""Interaction measures of a whole corpus: means with intervals, in bounded memory.

The 95% intervals use the normal approximation and treat conversations as independent. They are
truncated to the bounds of the measure.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import inf, sqrt

from convogen.interaction.analysis import MEASURES, analyse
from convogen.interaction.patterns import BEHAVIOURS
from convogen.metrics.friction import RULES, BehaviourTally, Estimate, Friction, Z
from convogen.records import Conversation
from convogen.text.identify import language_of

__all__ = [
    "InteractionStatistics",
    "InteractionTally",
    "interaction_of",
]


_BOUNDS = {"degree": (0.0, inf), "speaker_consistency": (-1.0, 1.0)}
"""The bounds of measures whose range is not 0 to 1."""


@dataclass(frozen=True, slots=True)
class InteractionStatistics:
    """Interaction measures of a corpus.

    Attributes:
        conversations: Number of conversations with two or more speakers. All measures are based on
            these conversations.
        measures: Mean of each measure in `MEASURES` over the conversations that have a value.
        friction: Frequencies of behaviours detected by rules; None if no language in the corpus has
            patterns for such behaviours.
        evidence: Number of turns for each kind of evidence for the addressee.
    """

    conversations: int
    measures: dict[str, Estimate]
    friction: Friction | None
    evidence: dict[str, int]


@dataclass
class _Moments:
    n: int = 0
    total: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        self.n += 1
        self.total += value
        self.squares += value * value

    def merge(self, other: _Moments) -> None:
        self.n += other.n
        self.total += other.total
        self.squares += other.squares

    def estimate(self, bounds: tuple[float, float]) -> Estimate:
        """Return the mean and its interval, truncated to the bounds."""
        mean = self.total / self.n
        spread = max(0.0, self.squares - self.n * mean * mean) / max(1, self.n - 1)
        half = Z * sqrt(spread / self.n)
        low, high = max(bounds[0], mean - half), min(bounds[1], mean + half)
        return Estimate(mean, low, high, self.n)


@dataclass
class InteractionTally:
    """Mergeable sums over conversations."""

    conversations: int = 0
    measures: dict[str, _Moments] = field(default_factory=dict[str, _Moments])
    evidence: Counter[str] = field(default_factory=Counter[str])
    friction: BehaviourTally = field(default_factory=BehaviourTally)

    def add(self, conversation: Conversation) -> None:
        """Count a conversation, unless it has fewer than two speakers or no turns."""
        turns = conversation.turns
        speakers = [turn.speaker for turn in turns]
        if len({*speakers, *conversation.participants}) < 2 or not turns:
            return
        found = analyse(
            speakers,
            [turn.text for turn in turns],
            conversation.participants,
            stated=[turn.addressee for turn in turns],
            language=language_of(conversation),
        )
        self.conversations += 1
        self.evidence.update(one.evidence for one in found.addresses)
        for name, value in found.measures().items():
            if value is not None:
                self.measures.setdefault(name, _Moments()).add(value)
        if found.behaviours is not None:
            self.friction.add(found.behaviours)

    def merge(self, other: InteractionTally) -> None:
        """Add the counts of another tally."""
        self.conversations += other.conversations
        for name, moments in other.measures.items():
            self.measures.setdefault(name, _Moments()).merge(moments)
        self.evidence.update(other.evidence)
        self.friction.merge(other.friction)


def interaction_of(tally: InteractionTally) -> InteractionStatistics:
    """Return the interaction measures computed from a tally."""
    names = (name for name in MEASURES if name in tally.measures)
    return InteractionStatistics(
        conversations=tally.conversations,
        measures={
            name: tally.measures[name].estimate(_BOUNDS.get(name, (0.0, 1.0))) for name in names
        },
        friction=tally.friction.friction(BEHAVIOURS, RULES, RULES),
        evidence=dict(sorted(tally.evidence.items())),
    )
