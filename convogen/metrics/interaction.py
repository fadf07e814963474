"""How people interact over a whole corpus: means and shares with intervals, in bounded memory.

Intervals are of 95% and take conversations as independent, not turns. Those of means are normal.
Those of shares of turns are Wilson's, with the number of turns divided by the design effect that
the ratio estimator's variance has over conversations (Korn and Graubard, 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist

from convogen.interaction.analysis import MEASURES, analyse
from convogen.interaction.patterns import BEHAVIOURS, Behaviour
from convogen.records import Conversation
from convogen.text.identify import language_of

__all__ = [
    "Estimate",
    "InteractionStatistics",
    "InteractionTally",
    "interaction_of",
    "share_differences",
]

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or a share, with its 95% interval.

    Attributes:
        value: What was measured.
        low: Lower end of the interval.
        high: Upper end.
        n: Conversations that have a value, or turns of which it is a share.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class InteractionStatistics:
    """How people interact in a corpus.

    Attributes:
        conversations: Conversations of two people or more, of which all else tells.
        measures: Mean over conversations of each number of `MEASURES` that any of them has.
        friction: Share of turns with each behaviour; empty without patterns for any language.
        friction_conversations: Conversations in languages with patterns.
        friction_turns: Their turns.
        evidence: Turns by what tells whom they address.
    """

    conversations: int
    measures: dict[str, Estimate]
    friction: dict[str, Estimate]
    friction_conversations: int
    friction_turns: int
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

    def estimate(self) -> Estimate:
        mean = self.total / self.n
        spread = max(0.0, self.squares - self.n * mean * mean) / max(1, self.n - 1)
        half = _Z * sqrt(spread / self.n)
        return Estimate(mean, mean - half, mean + half, self.n)


@dataclass
class InteractionTally:
    """Sums over conversations, which merge.

    Of friction these are, per behaviour, the turns with it, their squares per conversation, and
    their products with the conversation's turns.
    """

    conversations: int = 0
    measures: dict[str, _Moments] = field(default_factory=dict[str, _Moments])
    evidence: Counter[str] = field(default_factory=Counter[str])
    told: int = 0
    turns: int = 0
    turn_squares: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    squares: Counter[str] = field(default_factory=Counter[str])
    products: Counter[str] = field(default_factory=Counter[str])

    def add(self, conversation: Conversation) -> None:
        """Count a conversation; one in which a single person talks is passed over."""
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
        if (counts := found.counts()) is not None:
            self._add_counts(counts, len(found.addresses))

    def _add_counts(self, counts: Mapping[Behaviour, int], turns: int) -> None:
        self.told += 1
        self.turns += turns
        self.turn_squares += turns * turns
        for name, count in counts.items():
            if count:
                self.counts[name] += count
                self.squares[name] += count * count
                self.products[name] += count * turns

    def merge(self, other: InteractionTally) -> None:
        """Add what another tally has counted."""
        self.conversations += other.conversations
        for name, moments in other.measures.items():
            self.measures.setdefault(name, _Moments()).merge(moments)
        self.evidence.update(other.evidence)
        self.told += other.told
        self.turns += other.turns
        self.turn_squares += other.turn_squares
        self.counts.update(other.counts)
        self.squares.update(other.squares)
        self.products.update(other.products)

    def share(self, name: str) -> Estimate:
        """Return the share of turns with a behaviour; there must be turns."""
        p = self.counts[name] / self.turns
        residuals = self.squares[name] - 2 * p * self.products[name] + p * p * self.turn_squares
        m = self.told
        variance = max(0.0, residuals) / self.turns**2 * (m / (m - 1)) if m > 1 else 0.0
        n = p * (1 - p) / variance if variance > 0 else float(self.turns)
        low, high = _wilson(p, min(n, float(self.turns)))
        return Estimate(p, low, high, self.turns)


def interaction_of(tally: InteractionTally) -> InteractionStatistics:
    """Return the measures of a tally."""
    names = (name for name in MEASURES if name in tally.measures)
    return InteractionStatistics(
        conversations=tally.conversations,
        measures={name: tally.measures[name].estimate() for name in names},
        friction={name: tally.share(name) for name in BEHAVIOURS} if tally.turns else {},
        friction_conversations=tally.told,
        friction_turns=tally.turns,
        evidence=dict(sorted(tally.evidence.items())),
    )


def share_differences(
    ours: InteractionStatistics, human: InteractionStatistics
) -> dict[str, Estimate]:
    """Return by how much more of our turns have each behaviour than people's.

    Intervals are Newcombe's of the difference of two shares (1998, method 10). `n` are our turns.
    """
    return {
        name: _difference(one, human.friction[name])
        for name, one in ours.friction.items()
        if name in human.friction
    }


def _difference(one: Estimate, other: Estimate) -> Estimate:
    apart = one.value - other.value
    below = sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    above = sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return Estimate(apart, apart - below, apart + above, one.n)


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Return Wilson's score interval (1927) of a share of n independent trials."""
    square = _Z * _Z / n
    centre = (p + square / 2) / (1 + square)
    half = _Z / (1 + square) * sqrt(p * (1 - p) / n + square / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def tally_interaction(conversations: Iterable[Conversation]) -> InteractionTally:
    """Return the tally of some conversations."""
    tally = InteractionTally()
    for conversation in conversations:
        tally.add(conversation)
    return tally
