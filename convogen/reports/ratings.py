"""Ranking of models by pairwise verdicts: Bradley-Terry strengths with bootstrap intervals.

The model of Bradley and Terry (1952) is fitted by `evalica` with Newman's iteration (2023). A tie
counts as half a win for each player. As a prior, half a tie is added between every two players
(pseudo-games; Whelan, 2017), so that a player who wins or loses every game has a finite strength.
Strengths are on the Elo scale: a difference of 400 points means odds of ten to one, and the mean
over all players is 1,000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.errors import SourceError
from convogen.reports.intervals import bootstrap_ends

__all__ = ["Game", "Rating", "bradley_terry", "ratings"]

_PRIOR = 0.5
_TOLERANCE = 1e-9
_ITERATIONS = 100_000

Numbers = NDArray[np.float64]
Game = tuple[int, int, float]
"""The indices of two players, and the first player's points: 0, 0.5 or 1."""


@dataclass(frozen=True, slots=True)
class Rating:
    """A player's strength on the Elo scale, with its 95% interval.

    Attributes:
        low: Lower end of the interval; None with a single seed.
        high: Upper end of the interval; None with a single seed.
        games: Number of games played.
        won: Share of points won, 0 to 1; a tie counts as half a point.
    """

    name: str
    elo: float
    low: float | None
    high: float | None
    games: int
    won: float


def ratings(names: Sequence[str], games: Mapping[str, Sequence[Game]]) -> list[Rating]:
    """Return the rating of each player, the strongest first.

    Args:
        names: Names of the players.
        games: The games for each seed. Each seed is resampled with all its games. With a single
            seed, there are no intervals.

    Raises:
        SourceError: Some players are not linked to the others by any game, so that there is no
            common scale.
    """
    wins = np.zeros((len(games), len(names), len(names)))
    for at, of in enumerate(games.values()):
        for i, j, points in of:
            wins[at, i, j] += points
            wins[at, j, i] += 1 - points
    _check_linked(names, wins.sum(axis=0))
    prior = _PRIOR / 2 * (1 - np.eye(len(names)))

    @cache  # few seeds or players have few different sums of wins
    def strengths(total: bytes) -> Numbers:
        return bradley_terry(np.frombuffer(total).reshape(prior.shape) + prior)

    def elo(seeds: NDArray[np.int64]) -> Numbers:
        return 1000 + 400 * np.log10(strengths(wins[seeds].sum(axis=0).tobytes()))

    seeds = np.arange(len(wins))
    value = elo(seeds)
    low = high = np.full(len(names), np.nan)
    if len(wins) > 1:
        low, high = bootstrap_ends((seeds,), elo, vectorized=False)
    played = (wins + np.swapaxes(wins, 1, 2)).sum(axis=(0, 2))
    rows = [
        Rating(
            name=name,
            elo=float(value[at]),
            low=None if np.isnan(low[at]) else float(low[at]),
            high=None if np.isnan(high[at]) else float(high[at]),
            games=round(float(played[at])),
            won=float(wins[:, at].sum() / played[at]),
        )
        for at, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row.elo)


def _check_linked(names: Sequence[str], wins: Numbers) -> None:
    graph: Any = import_module("scipy.sparse.csgraph")
    n, group = graph.connected_components(wins + wins.T, directed=False)
    if n > 1:
        pairs = list(zip(group.tolist(), names, strict=True))
        groups = ([name for at, name in pairs if at == number] for number in range(n))
        apart = " | ".join(", ".join(of) for of in groups)
        raise SourceError(
            f"no verdict links {apart}; compare sources from these groups with one another, or "
            "rank each group separately"
        )


def bradley_terry(wins: Numbers) -> Numbers:
    """Return strengths with a geometric mean of 1; `wins[i, j]` is the number of wins of i over j.

    Every player and every group of players must have won and lost against the rest.
    """
    evalica: Any = import_module("evalica")
    pandas: Any = import_module("pandas")
    first, second = np.nonzero(wins)
    found = evalica.bradley_terry(
        first.tolist(),
        second.tolist(),
        [evalica.Winner.X] * len(first),
        index=pandas.RangeIndex(len(wins)),
        weights=wins[first, second].tolist(),
        tolerance=_TOLERANCE,
        limit=_ITERATIONS,
    )
    return found.scores.sort_index().to_numpy()
