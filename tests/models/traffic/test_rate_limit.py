"""Requests per minute: the delay of the next request in seconds, calculated by hand."""

from __future__ import annotations

import pytest

from convogen.models.traffic.rate_limit import PerMinute


def test_six_seconds_of_the_minute_at_once_then_one_after_the_other() -> None:
    """With 60 per minute, 6 may start together and then one per second."""
    bound = PerMinute(60)
    starts: list[float] = []
    now = 0.0
    for _ in range(10):
        bound.take(1, now)
        starts.append(now)
        now = bound.free_at(now)
    assert starts == pytest.approx([0, 0, 0, 0, 0, 0, 0, 1, 2, 3])
    assert bound.free_at(3.25) == pytest.approx(4)


@pytest.mark.parametrize(
    ("limit", "amount", "free"),
    [
        (60, 6, 0),  # the number that may start together
        (60, 6.5, 0.5),
        (60, 66, 60),
        (600, 66, 0.6),  # 60 together, then 10 per second
        (5, 1, 0),  # always at least one
        (5, 2, 12),  # then one every 12 seconds
        (None, 10**9, 0),
    ],
)
def test_when_the_next_call_may_start(limit: int | None, amount: float, free: float) -> None:
    bound = PerMinute(limit)
    bound.take(amount, 0)
    assert bound.free_at(0) == pytest.approx(free)
    assert bound.free_at(1000) == 1000


def test_what_was_not_used_comes_back_and_idle_time_is_no_credit() -> None:
    bound = PerMinute(60)
    bound.take(20, 100)
    bound.take(-4, 100)  # 16 of the 20 expected
    assert bound.free_at(100) == pytest.approx(110)
    bound.take(-30, 104)  # more than the rest
    bound.take(7, 104)
    assert bound.free_at(104) == pytest.approx(105)
