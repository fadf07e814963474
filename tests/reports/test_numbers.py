"""Intervals and the course of a run, on data whose answer is known."""

from __future__ import annotations

from math import isclose, nan

import pytest

from convogen.records import Experience, Persona, Starter
from convogen.reports.course import course
from convogen.reports.intervals import mean_interval, ratio_interval, std_interval


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
