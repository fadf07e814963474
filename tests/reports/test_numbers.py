"""Intervals and the course of a run, on data with known answers."""

from __future__ import annotations

from math import isclose, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from convogen.records import Experience, Persona, Starter
from convogen.reports.ablation import holm
from convogen.reports.course import course
from convogen.reports.intervals import (
    JACKKNIFE_MAX,
    Interval,
    difference_interval,
    mean_interval,
    ratio_interval,
    statistic_interval,
    std_interval,
)


def test_an_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    values = [float(value % 7) for value in range(200)]
    found = mean_interval([*values, nan])
    assert found is not None
    assert found == mean_interval(values)
    assert found.n == 200
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    # The normal interval of these values: 1.96 · 2.0 / √200 = 0.277 to each side.
    assert found.high - found.low == pytest.approx(2 * 0.277, rel=0.1)


def test_intervals_of_little() -> None:
    assert mean_interval([]) is None
    assert mean_interval([nan]) is None
    one = mean_interval([3.0])
    assert one is not None
    assert (one.value, one.low, one.high, one.n) == (3.0, None, None, 1)
    alike = mean_interval([2.0, 2.0, 2.0])
    assert alike is not None
    assert (alike.low, alike.high) == (2.0, 2.0)
    spread = std_interval([1.0, 3.0])
    assert spread is not None
    assert spread.value == 1.0


def test_an_interval_is_near_the_exact_one_of_a_skewed_statistic() -> None:
    n = 50
    values = norm.ppf((np.arange(n) + 0.5) / n)
    found = std_interval(values)
    assert found is not None
    exact = np.sqrt(n * found.value**2 / chi2.ppf((0.975, 0.025), n - 1))
    # The percentile interval is 0.787 to 1.148: both ends too low.
    assert exact == pytest.approx([0.833, 1.243], abs=1e-3)
    assert found.low == pytest.approx(exact[0], abs=0.02)
    assert found.high == pytest.approx(exact[1], abs=0.06)


@pytest.mark.parametrize("n", [JACKKNIFE_MAX, JACKKNIFE_MAX + 1])
def test_many_conversations_have_an_interval_at_once(n: int) -> None:
    found = mean_interval([0.0, 0.0, 1.0] * (n // 3) + [0.0] * (n % 3))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    se = (2 / 9 / n) ** 0.5
    assert (found.low, found.high) == pytest.approx(
        (found.value - 1.96 * se, found.value + 1.96 * se), abs=0.2 * se
    )


NUMBERS = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0]), min_size=2, max_size=30)


@settings(deadline=None, max_examples=30)
@given(NUMBERS, NUMBERS)
def test_the_ends_are_within_the_range_of_the_data(
    values: list[float], others: list[float]
) -> None:
    for found, least, most in (
        (mean_interval(values), min(values), max(values)),
        (std_interval(values), 0.0, np.ptp(values)),
        (
            difference_interval(np.array(values), np.array(others)),
            min(values) - max(others),
            max(values) - min(others),
        ),
    ):
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        slack = 1e-9 * (1 + abs(least) + abs(most))
        assert least - slack <= found.low <= found.high <= most + slack


def test_what_is_alike_in_one_of_two_samples_has_an_interval() -> None:
    alike = difference_interval(np.full(5, 3.0), np.full(9, 1.0))
    assert alike == Interval(2.0, 2.0, 2.0, 5)
    found = difference_interval(np.full(5, 3.0), np.array([0.0, 1.0, 2.0]))
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high


def test_no_interval_if_a_resample_has_no_value() -> None:
    def inverse(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return 1 / sample.sum(axis=axis)

    assert statistic_interval(inverse, np.array([0.0, 0.0, 1.0])) == Interval(1.0, None, None, 3)
    many = np.repeat([0.0, 1.0], [40, 3])
    assert statistic_interval(inverse, many) == Interval(1 / 3, None, None, 43)
    assert ratio_interval([1, 2], [0, 2]) == Interval(1.5, None, None, 2)


def test_a_ratio_is_pooled() -> None:
    found = ratio_interval([10, 90], [1, 3])
    assert found is not None
    assert isclose(found.value, 25.0)
    assert ratio_interval([], []) is None


def experience(number: int, topic: str) -> Experience:
    people = [Persona(name="Ana"), Persona(name="Bo")]
    starter = Starter(speaker="Ana", text="So.")
    return Experience(
        id=f"e{number}", personas=people, relations="", situation="", topic=topic, starter=starter
    )


def test_the_course_of_a_run() -> None:
    topics = ["the harbour at dawn", "a broken quartz watch", "At dawn, the harbour", "lemons"]
    found = course([experience(*pair) for pair in enumerate(topics)], [40.0, nan, 60.0, 50.0])
    assert found.window == 1
    assert found.experience_at == [1, 2, 3, 4]
    assert found.nearest[0] == 0
    assert found.nearest[2] == 1.0
    assert found.near_copies == [0, 0, 1, 0]
    assert (found.conversation_at, found.mtld) == ([1, 3, 4], [40.0, 60.0, 50.0])


@pytest.mark.parametrize(
    ("n", "window"), [(1, 1), (9, 1), (10, 2), (249, 49), (250, 50), (600, 50)]
)
def test_a_window_is_a_fifth_of_the_run_and_at_most_fifty(n: int, window: int) -> None:
    found = course([], [float(at) for at in range(n)])
    assert found.window == window
    assert found.conversation_at[0] == window
    assert found.conversation_at[-1] == n
    assert found.mtld[0] == pytest.approx((window - 1) / 2)  # the mean of 0 to window - 1
    assert found.mtld[-1] == pytest.approx(n - 1 - (window - 1) / 2)
    assert len(found.mtld) == min(n - window + 1, 200)
    assert (found.experience_at, found.nearest) == ([], [])


def test_what_has_no_value_is_left_out_of_its_windows() -> None:
    found = course([], [1.0, nan, 3.0, nan, nan, 6.0, 7.0, 8.0, 9.0, 10.0])
    assert found.window == 2
    assert found.conversation_at == [2, 3, 4, 6, 7, 8, 9, 10]
    assert found.mtld == [1.0, 3.0, 3.0, 6.0, 6.5, 7.5, 8.5, 9.5]


def test_an_experience_is_held_against_the_thousand_before_it() -> None:
    topics = [f"{at:x}" * 9 for at in range(1002)]
    for repeat_of, similar in ((1, True), (0, False)):
        again = [*topics[:1001], topics[repeat_of]]
        found = course([experience(*pair) for pair in enumerate(again)], [])
        assert (found.nearest[-1] == 1.0) is similar


def test_a_copy_is_nine_tenths_alike() -> None:
    """9 of 10 letters are in order, 2 × 9 / (10 + 10), and 8 of 10."""
    topics = ["aaaaaaaaab", "aaaaaaaaac", "zzzzzzzzxx", "zzzzzzzzyy"]
    found = course([experience(*pair) for pair in enumerate(topics)], [])
    assert found.nearest == pytest.approx([0, 0.9, 0, 0.8])
    assert found.near_copies == [0, 1, 0, 0]


def test_a_difference_is_of_means_and_its_samples_are_drawn_apart() -> None:
    ours, theirs = np.array([3.0, 5.0, 7.0, 5.0]), np.array([1.0, 1.0, 1.0])
    found = difference_interval(ours, theirs)
    assert found is not None
    assert (found.value, found.n) == (4.0, 3)
    assert found.low is not None
    assert found.high is not None
    assert 2 <= found.low < 4 < found.high <= 6
    assert difference_interval(ours, np.array([])) is None
    assert difference_interval(np.array([]), ours) is None
    alone = difference_interval(ours[:1], theirs)
    assert alone is not None
    assert (alone.value, alone.low, alone.high, alone.n) == (2.0, None, None, 1)


def test_a_statistic_without_a_value_for_some_resamples_has_no_interval() -> None:
    def mean_of_positive(sample: np.ndarray, axis: int = -1) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.maximum(sample, 0).sum(axis=axis) / (sample > 0).sum(axis=axis)

    some = statistic_interval(mean_of_positive, np.array([0.0, 0.0, 6.0]))
    assert some is not None
    assert (some.value, some.low, some.high, some.n) == (6.0, None, None, 3)
    whole = statistic_interval(mean_of_positive, np.array([4.0, 6.0]))
    assert whole is not None
    assert (whole.value, whole.low, whole.high) == (5.0, 4.0, 6.0)
    assert statistic_interval(mean_of_positive, np.array([0.0, 0.0])) is None


def test_pooled_ratios_and_deviations_by_hand() -> None:
    """6 words in 2 turns and 2 in 2 give 8/4 when pooled; the variance of 1, 3 and 8 is 26/3."""
    ratio = ratio_interval([6, 2], [2, 2])
    assert ratio is not None
    assert (ratio.value, ratio.low, ratio.high) == (2.0, 1.0, 3.0)
    spread = std_interval([1.0, nan, 3.0, 8.0])
    assert spread is not None
    assert (spread.value, spread.n) == (pytest.approx((26 / 3) ** 0.5), 3)
    assert std_interval([nan]) is None


def test_holms_correction_by_hand() -> None:
    """The smallest is multiplied by 4, the next by 3 and so on; results never decrease, and end
    at 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []
