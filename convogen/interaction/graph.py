"""The weighted, directed graph of who addresses whom, and measures of turn-taking."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log

from convogen.interaction.addressing import Address

__all__ = ["Graph", "gini_of", "graph_of", "speaker_entropy"]


@dataclass(frozen=True, slots=True)
class Graph:
    """The numbers of turns from speakers to addressees; turns to everyone are counted separately.

    Attributes:
        people: The participants.
        weights: Number of turns for each speaker and addressee; a turn to several people counts
            once for each of them.
        to_everyone: Number of turns to the whole group.
    """

    people: tuple[str, ...]
    weights: dict[tuple[str, str], int]
    to_everyone: int

    @property
    def density(self) -> float | None:
        """Share of ordered pairs of people in which the first person addresses the second at least
        once; None for fewer than two people."""
        n = len(self.people)
        return len(self.weights) / (n * (n - 1)) if n > 1 else None

    @property
    def degree(self) -> float | None:
        """Mean number of different people whom a person addresses; None if there are no people."""
        return len(self.weights) / len(self.people) if self.people else None

    @property
    def reciprocity(self) -> float | None:
        """Share of the edge weight that is reciprocated, 0 to 1; None if there are no edges.

        The value is the sum of min(w_ij, w_ji), divided by the sum of w_ij (Squartini, Picciolo,
        Ruzzenenti and Garlaschelli, 2013, "Reciprocity of weighted networks").
        """
        total = sum(self.weights.values())
        if not total:
            return None
        mutual = sum(min(w, self.weights.get((b, a), 0)) for (a, b), w in self.weights.items())
        return mutual / total

    @property
    def out_centralisation(self) -> float | None:
        """Out-degree centralisation: 0 if all people address others equally often, 1 if one person
        does all the addressing."""
        return self._centralisation(0)

    @property
    def in_centralisation(self) -> float | None:
        """In-degree centralisation: 0 if all people are addressed equally often, 1 if all turns
        address one person."""
        return self._centralisation(1)

    def _centralisation(self, end: int) -> float | None:
        """Return Freeman's centralisation of shares of edge weight; None if there are no edges.

        The value is the sum of the differences from the largest share, divided by the maximum of
        this sum, n - 1 (Freeman, 1978, "Centrality in social networks", with strengths instead of
        degrees).
        """
        total, n = sum(self.weights.values()), len(self.people)
        if not total or n < 2:
            return None
        strengths = Counter[str]()
        for pair, weight in self.weights.items():
            strengths[pair[end]] += weight
        shares = [strengths[name] / total for name in self.people]
        return sum(max(shares) - share for share in shares) / (n - 1)


def graph_of(speakers: Sequence[str], found: Sequence[Address], people: Sequence[str]) -> Graph:
    """Return the graph of a conversation from the speakers and addresses of its turns."""
    weights = Counter[tuple[str, str]]()
    to_everyone = 0
    for speaker, address in zip(speakers, found, strict=True):
        if address.everyone and len(address.to) != 1:
            to_everyone += 1
        else:
            weights.update((speaker, name) for name in address.to)
    return Graph(tuple(people), dict(weights), to_everyone)


def speaker_entropy(speakers: Sequence[str]) -> float | None:
    """Return the entropy of speaker changes: 0 for round robin, 1 if all other speakers are equally
    likely.

    The value is the entropy of the next speaker given the current one, divided by its maximum,
    log(n - 1). Only changes of speaker count. The value is None for fewer than three speakers,
    since the next speaker is then certain. Short conversations have lower values than long ones, so
    compare only conversations of similar length.
    """
    n = len(set(speakers))
    if n < 3:
        return None
    following = defaultdict[str, Counter[str]](Counter)
    for speaker, after in pairwise(speakers):
        if speaker != after:
            following[speaker][after] += 1
    changes = sum(counts.total() for counts in following.values())
    entropy = sum(
        -count * log(count / counts.total())
        for counts in following.values()
        for count in counts.values()
    )
    return max(0.0, entropy / changes / log(n - 1))


def gini_of(speakers: Iterable[str]) -> float:
    """Return the Gini coefficient of turns per speaker: 0 if all speakers have equally many turns,
    near 1 if one of many speakers has almost all turns."""
    counts = sorted(Counter(speakers).values())
    n, total = len(counts), sum(counts)
    if n < 2:
        return 0.0
    ranked = sum(rank * count for rank, count in enumerate(counts, 1))
    return 2 * ranked / (n * total) - (n + 1) / n
