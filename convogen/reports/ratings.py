"""Models ranked by pairwise verdicts: Bradley-Terry strengths with bootstrap intervals.

A tie is half a win for each (Bradley and Terry, 1952; fitted as Hunter, 2004, section 2). Strengths
are told on Elo's scale: 400 points are odds of ten to one, 1,000 is the mean of the field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Game", "Rating", "bradley_terry", "ratings"]

_RESAMPLES = 1_000
_SEED = 20_231
_PRIOR = 0.5
_ROUNDS = 10_000

Numbers = NDArray[np.float64]
Game = tuple[int, int, float]
"""Two players by number, and what the first wins of the two: 0, 0.5 or 1."""


@dataclass(frozen=True, slots=True)
class Rating:
    """A player's strength on Elo's scale, with its 95% interval.

    Attributes:
        games: Number of games played.
        won: Share of their points won, 0 to 1, a tie being half a point; None without a game.
    """

    name: str
    elo: float
    low: float
    high: float
    games: int
    won: float | None


def ratings(names: Sequence[str], games: Mapping[str, Sequence[Game]]) -> list[Rating]:
    """Return the rating of each player, the strongest first; `games` are by seed.

    Seeds are resampled, all games on one together. Half a tie of every two players is added, so
    that who wins every game is not infinitely strong.
    """
    k = len(names)
    wins = np.zeros((len(games), k, k))
    for at, of in enumerate(games.values()):
        for i, j, points in of:
            wins[at, i, j] += points
            wins[at, j, i] += 1 - points
    prior = _PRIOR / 2 * (1 - np.eye(k))
    rng = np.random.default_rng(_SEED)
    counts = rng.multinomial(len(wins), np.full(len(wins), 1 / len(wins)), _RESAMPLES)
    drawn = np.einsum("bs,sij->bij", counts, wins, optimize=True)
    value = _elo(bradley_terry(wins.sum(axis=0) + prior))
    ends = np.percentile(_elo(bradley_terry(drawn + prior)), (2.5, 97.5), axis=0)
    played = wins.sum(axis=(0, 2)) + wins.sum(axis=(0, 1))
    rows = [
        Rating(
            name=name,
            elo=float(value[at]),
            low=float(ends[0, at]),
            high=float(ends[1, at]),
            games=round(float(played[at])),
            won=float(wins[:, at].sum() / played[at]) if played[at] else None,
        )
        for at, name in enumerate(names)
    ]
    return sorted(rows, key=lambda row: -row.elo)


def bradley_terry(wins: Numbers) -> Numbers:
    """Strengths, their geometric mean 1, from `wins[..., i, j]`, how often i beat j.

    Finite where no group of players has won all or none of its games against the rest.
    """
    games = wins + np.swapaxes(wins, -1, -2)
    won = wins.sum(axis=-1)
    strengths = np.ones(won.shape)
    for _ in range(_ROUNDS):
        pairs = strengths[..., :, None] + strengths[..., None, :]
        new = won / (games / pairs).sum(axis=-1)
        new /= np.exp(np.log(new).mean(axis=-1, keepdims=True))
        if np.abs(np.log(new / strengths)).max() < 1e-9:
            return new
        strengths = new
    return strengths


def _elo(strengths: Numbers) -> Numbers:
    return 1000 + 400 * np.log10(strengths)
