"""Bradley-Terry strengths, against published values."""

from __future__ import annotations

import numpy as np
import pytest

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
    assert np.isfinite([(row.elo, row.low, row.high) for row in found.values()]).all()
    assert found["a"].elo > found["b"].elo
    assert found["b"].elo == pytest.approx(found["c"].elo, abs=25)
