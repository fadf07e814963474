"""Bradley-Terry strengths, compared with published values."""

from __future__ import annotations

import numpy as np
import pytest

from convogen.errors import SourceError
from convogen.reports.ratings import Game, bradley_terry, ratings

LEAGUE = """
0 7 9 7 7 9 11/6 0 7 5 11 9 9/4 6 0 7 7 8 12/6 8 6 0 6 7 10/6 2 6 7 0 7 12/
4 4 5 6 6 0 6/2 4 1 3 1 7 0
"""
"""Wins among seven baseball teams in 1987 (Agresti, Categorical Data Analysis, table 10.10)."""


def test_published_strengths() -> None:
    wins = np.array([[float(won) for won in row.split()] for row in LEAGUE.strip().split("/")])
    found = np.log(bradley_terry(wins))
    expected = [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.00]
    assert found - found[-1] == pytest.approx(expected, abs=6e-3)
    assert found.mean() == pytest.approx(0)


def test_two_players_by_hand() -> None:
    games: dict[str, list[Game]] = {f"s{at}": [(0, 1, 1.0 if at < 15 else 0.0)] for at in range(20)}
    first, second = ratings(["strong", "weak"], games)
    assert [first.name, second.name] == ["strong", "weak"]
    assert first.elo + second.elo == pytest.approx(2000)
    assert first.elo - second.elo == pytest.approx(400 * np.log10(15.25 / 5.25))
    assert second.low < second.elo < second.high < first.elo
    assert (first.games, first.won) == (20, 0.75)


def test_who_always_wins_is_finite_and_ties_are_even() -> None:
    always: dict[str, list[Game]] = {f"s{at}": [(0, 1, 1.0), (1, 2, 0.5)] for at in range(10)}
    found = {row.name: row for row in ratings(["a", "b", "c"], always)}
    assert np.isfinite([[row.elo, row.low, row.high] for row in found.values()]).all()
    assert found["a"].elo > found["b"].elo
    assert found["b"].elo == pytest.approx(found["c"].elo, abs=25)


@pytest.mark.parametrize("n", [1, 10, 1_000])
def test_who_never_loses_is_rated_by_the_prior(n: int) -> None:
    games: dict[str, list[Game]] = {f"s{at}": [(0, 1, 1.0)] for at in range(n)}
    first, second = ratings(["a", "b"], games)
    assert first.elo - second.elo == pytest.approx(400 * np.log10((n + 0.25) / 0.25))
    # All resamples are equal, and a single seed has no interval.
    ends = (first.low, first.high)
    assert ends == ((None, None) if n == 1 else pytest.approx((first.elo,) * 2))


def test_seeds_are_drawn_whole_and_the_same_each_time() -> None:
    rng = np.random.default_rng(5)
    games: dict[str, list[Game]] = {
        f"s{at}": [(i, j, float(rng.choice([0, 0.5, 1]))) for i in range(3) for j in range(i)]
        for at in range(30)
    }
    found = ratings(["a", "b", "c"], games)
    assert found == ratings(["a", "b", "c"], games)
    # Each game counted twice on its seed has the intervals of fewer seeds, not of more games.
    doubled = ratings(["a", "b", "c"], {seed: [*of, *of] for seed, of in games.items()})
    for one, other in zip(found, doubled, strict=True):
        width = other.high - other.low
        assert width == pytest.approx(one.high - one.low, rel=0.05)


def test_players_that_never_met_are_not_ranked() -> None:
    names = ["a", "b", "c", "d", "e"]
    games: dict[str, list[Game]] = {"s": [(0, 1, 1.0), (2, 3, 0.5)], "t": [(3, 2, 0.0)]}
    with pytest.raises(SourceError, match=r"^no verdict links a, b \| c, d \| e; .* separately$"):
        ratings(names, games)
    joined = ratings(names, {**games, "u": [(1, 2, 0.0), (4, 0, 0.5)]})
    assert len(joined) == 5


def test_games_are_counted_and_points_shared_by_hand() -> None:
    """a beats b twice and ties with c once."""
    games: dict[str, list[Game]] = {"s0": [(0, 1, 1.0), (0, 2, 0.5)], "s1": [(1, 0, 0.0)]}
    found = {row.name: row for row in ratings(["a", "b", "c"], games)}
    assert {name: row.games for name, row in found.items()} == {"a": 3, "b": 2, "c": 1}
    assert {name: row.won for name, row in found.items()} == {
        "a": pytest.approx(2.5 / 3), "b": 0, "c": 0.5,
    }  # fmt: skip
    assert [*found] == sorted(found, key=lambda name: -found[name].elo)
    assert sum(row.elo for row in found.values()) == pytest.approx(3000)


def test_ten_times_the_odds_are_400_points() -> None:
    """20 wins and 2 losses give odds of 10; in a chain of such odds, neighbours are 400 points
    apart."""
    found = bradley_terry(np.array([[0.0, 20.0], [2.0, 0.0]]))
    assert found == pytest.approx([10**0.5, 10**-0.5])
    chain = np.array([[0.0, 10.0, 100.0], [1.0, 0.0, 10.0], [1.0, 1.0, 0.0]])
    assert bradley_terry(chain) == pytest.approx([10, 1, 0.1])
