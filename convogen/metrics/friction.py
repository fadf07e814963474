"""Counts of the turns with each behaviour in a corpus, in bounded memory.

The 95% intervals treat conversations, not turns, as independent. They are Wilson intervals in which
the number of turns is divided by the design effect of the ratio estimator over conversations (Korn
and Graubard, 1998).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist

__all__ = [
    "MOST_TURNS",
    "RULES",
    "BehaviourTally",
    "Estimate",
    "Friction",
    "Z",
    "share_differences",
]

Z = NormalDist().inv_cdf(0.975)

MOST_TURNS = 4
"""The last bin of a histogram contains the conversations with at least this many turns with a
behaviour."""


RULES = "rules"
"""The value of both `told_by` and `protocol` for behaviours that are detected by rules."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or a share, with its 95% interval.

    Attributes:
        value: The mean or the share.
        low: Lower end of the interval.
        high: Upper end of the interval.
        n: Number of conversations with a value; for a share of turns, the number of turns.
    """

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Friction:
    """The frequency of each behaviour among the turns of a corpus.

    Attributes:
        told_by: Origin of the labels: `rules`, or the name of the judge's model.
        protocol: `rules`, or a hash of the judge's prompt and parameters. Shares from different
            protocols cannot be compared.
        conversations: Number of labelled conversations.
        turns: Number of labelled turns.
        shares: Share of turns with each behaviour.
        histograms: For each behaviour, the shares of conversations with 0, 1, 2, 3, and 4 or more
            such turns.
    """

    told_by: str
    protocol: str
    conversations: int
    turns: int
    shares: dict[str, Estimate]
    histograms: dict[str, tuple[float, ...]]


@dataclass
class BehaviourTally:
    """Mergeable sums over conversations.

    For each behaviour, let x be the number of turns with the behaviour in a conversation, and n the
    number of all its turns. `counts` sums x, `squares` sums x², and `products` sums x·n.
    `conversations_with` counts conversations by x, up to `MOST_TURNS`.
    """

    conversations: int = 0
    turns: int = 0
    turn_squares: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    squares: Counter[str] = field(default_factory=Counter[str])
    products: Counter[str] = field(default_factory=Counter[str])
    conversations_with: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    def add(self, behaviours: Iterable[Collection[str]]) -> None:
        """Count a conversation with at least one turn, given the behaviours of each turn."""
        turns = 0
        counts = Counter[str]()
        for turn in behaviours:
            turns += 1
            counts.update(set(turn))
        self.conversations += 1
        self.turns += turns
        self.turn_squares += turns * turns
        for name, count in counts.items():
            self.counts[name] += count
            self.squares[name] += count * count
            self.products[name] += count * turns
            self.conversations_with[name, min(count, MOST_TURNS)] += 1

    def merge(self, other: BehaviourTally) -> None:
        """Add the counts of another tally."""
        self.conversations += other.conversations
        self.turns += other.turns
        self.turn_squares += other.turn_squares
        self.counts.update(other.counts)
        self.squares.update(other.squares)
        self.products.update(other.products)
        self.conversations_with.update(other.conversations_with)

    def friction(self, names: Sequence[str], told_by: str, protocol: str) -> Friction | None:
        """Return the shares and histograms of the given behaviours; None if there are no turns."""
        if not self.turns:
            return None
        return Friction(
            told_by=told_by,
            protocol=protocol,
            conversations=self.conversations,
            turns=self.turns,
            shares={name: self._share(name) for name in names},
            histograms={name: self._histogram(name) for name in names},
        )

    def _share(self, name: str) -> Estimate:
        p = self.counts[name] / self.turns
        residuals = self.squares[name] - 2 * p * self.products[name] + p * p * self.turn_squares
        m = self.conversations
        variance = max(0.0, residuals) / self.turns**2 * (m / (m - 1)) if m > 1 else 0.0
        n = p * (1 - p) / variance if variance > 0 else float(self.turns)
        low, high = _wilson(p, min(n, float(self.turns)))
        return Estimate(p, low, high, self.turns)

    def _histogram(self, name: str) -> tuple[float, ...]:
        having = [self.conversations_with[name, n] for n in range(1, MOST_TURNS + 1)]
        counts = [self.conversations - sum(having), *having]
        return tuple(count / self.conversations for count in counts)


def share_differences(ours: Friction | None, human: Friction | None) -> dict[str, Estimate]:
    """Return the difference between the generated and the human share of turns with each behaviour.

    Behaviours that were measured on only one side are left out. If the protocols differ, the result
    is empty. The intervals are Newcombe's for the difference between two shares (1998, method 10).
    `n` is the number of generated turns.
    """
    if ours is None or human is None or ours.protocol != human.protocol:
        return {}
    return {
        name: _difference(one, human.shares[name])
        for name, one in ours.shares.items()
        if name in human.shares
    }


def _difference(one: Estimate, other: Estimate) -> Estimate:
    apart = one.value - other.value
    below = sqrt((one.value - one.low) ** 2 + (other.high - other.value) ** 2)
    above = sqrt((one.high - one.value) ** 2 + (other.value - other.low) ** 2)
    return Estimate(apart, apart - below, apart + above, one.n)


def _wilson(p: float, n: float) -> tuple[float, float]:
    """Return Wilson's score interval (1927) for a share `p` of n independent trials."""
    square = Z * Z / n
    centre = (p + square / 2) / (1 + square)
    half = Z / (1 + square) * sqrt(p * (1 - p) / n + square / (4 * n))
    # Rounding errors must not place the share outside its interval.
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))
