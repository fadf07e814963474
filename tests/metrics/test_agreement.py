"""Agreement beyond chance, compared with published values."""

from __future__ import annotations

import math

import evalica
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convogen.metrics.agreement import (
    Level,
    agreement_share,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)

LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")

FLEISS = """
0 0 0 0 14/0 2 6 4 2/0 0 3 5 6/0 3 9 2 0/2 2 8 1 1/7 7 0 0 0/3 2 6 3 0/2 5 3 2 2/6 5 2 1 0/0 2 2 3 7
"""
"""Votes of fourteen raters on ten subjects, by category; kappa is 0.210."""

KRIPPENDORFF = """
1 2 3 3 2 1 4 1 2 . . ./1 2 3 3 2 2 4 1 2 5 . 3/. 3 3 3 2 3 4 2 2 5 1 ./1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Ratings of twelve units by four observers, with gaps (Krippendorff, 2011, sections C and D)."""


def test_cohen_by_hand() -> None:
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    assert agreement_share(first, second) == pytest.approx(0.7)
    assert cohen_kappa(first, second) == pytest.approx(0.4)


def test_fleiss_published() -> None:
    subjects = [[int(votes) for votes in row.split()] for row in FLEISS.strip().split("/")]
    rows = [[code for code, votes in enumerate(row) for _ in range(votes)] for row in subjects]
    assert fleiss_kappa(*np.array(rows).T) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorff_published(level: Level, alpha: float) -> None:
    rows = [
        [-1 if cell == "." else int(cell) for cell in row.split()]
        for row in KRIPPENDORFF.strip().split("/")
    ]
    assert krippendorff_alpha(*np.array(rows), level=level) == pytest.approx(alpha, abs=5e-4)


def test_the_level_decides_what_a_near_miss_counts() -> None:
    first = np.array([1, 2, 3, 4, 5, 5, 1])
    near, far = np.where(first < 5, first + 1, 4), np.where(first < 3, 5, 1)
    for level in ("ordinal", "interval"):
        assert krippendorff_alpha(first, near, level=level) > 0.6
        assert krippendorff_alpha(first, far, level=level) < -0.5
    assert krippendorff_alpha(first, near) < 0
    # Only the order counts on an ordinal scale, but the distances count on an interval scale.
    stretched = [np.array([0, 1, 2, 3, 4, 50])[ratings] for ratings in (first, near)]
    ordinal = krippendorff_alpha(first, near, level="ordinal")
    assert krippendorff_alpha(*stretched, level="ordinal") == pytest.approx(ordinal)
    interval = krippendorff_alpha(first, near, level="interval")
    assert krippendorff_alpha(*stretched, level="interval") != pytest.approx(interval)


@given(
    arrays(np.int64, st.tuples(st.integers(2, 4), st.integers(1, 9)), elements=st.integers(-1, 4))
)
def test_alpha_is_that_of_evalica(ratings: np.ndarray) -> None:
    codes = np.where(ratings < 0, np.nan, ratings)
    for level in LEVELS:
        alpha = krippendorff_alpha(*ratings, level=level)
        assert krippendorff_alpha(*codes, level=level) == pytest.approx(alpha, nan_ok=True)
        if ((ratings >= 0).sum(axis=0) < 2).all():
            assert math.isnan(alpha)
            continue
        theirs = evalica.alpha(pd.DataFrame(codes), level)
        same = theirs.alpha if theirs.expected > 0 else math.nan
        assert alpha == pytest.approx(same, nan_ok=True)


@settings(deadline=None, max_examples=50)
@given(arrays(np.int64, (3, 12), elements=st.integers(-1, 3)))
def test_names_and_order_of_the_raters_do_not_matter(ratings: np.ndarray) -> None:
    renamed = np.where(ratings >= 0, 3 - ratings, -1)
    for statistic in (fleiss_kappa, krippendorff_alpha):
        value = statistic(*ratings)
        assert statistic(*ratings[::-1]) == pytest.approx(value, nan_ok=True)
        assert statistic(*renamed) == pytest.approx(value, nan_ok=True)
        assert not value > 1 + 1e-9


def test_resamples_are_taken_one_by_one() -> None:
    rng = np.random.default_rng(3)
    ratings = rng.integers(-1, 3, (3, 5, 40))
    together = fleiss_kappa(*ratings)
    assert together == pytest.approx([float(fleiss_kappa(*ratings[:, at])) for at in range(5)])
    for level in LEVELS:
        alphas = krippendorff_alpha(*ratings, level=level)
        apart = [float(krippendorff_alpha(*ratings[:, at], level=level)) for at in range(5)]
        assert alphas == pytest.approx(apart)
    pair = cohen_kappa(ratings[0], ratings[1])
    assert pair == pytest.approx([float(cohen_kappa(*ratings[:2, at])) for at in range(5)])


def test_nothing_rated_by_two_is_undefined() -> None:
    first, second = np.array([0, -1, 1]), np.array([-1, 0, -1])
    for statistic in (agreement_share, cohen_kappa, fleiss_kappa, krippendorff_alpha):
        assert math.isnan(statistic(first, second))


def test_where_nothing_varies_agreement_is_undefined() -> None:
    always = np.ones(5, int)
    for statistic in (cohen_kappa, fleiss_kappa, krippendorff_alpha):
        assert math.isnan(statistic(always, always))
    for level in ("ordinal", "interval"):
        assert math.isnan(krippendorff_alpha(always, always, level=level))
