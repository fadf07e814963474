"""Intervals and the course of a run, on data whose answer is known."""

from __future__ import annotations

from math import isclose, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, norm

from convogen.records import Experience, Persona, Starter
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
