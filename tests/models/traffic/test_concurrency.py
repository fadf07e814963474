"""The concurrency limit after windows of calls with given outcomes."""

from __future__ import annotations

import pytest

from convogen.models.traffic.concurrency import ConcurrencyLimit


def window(
    limit: ConcurrencyLimit,
    seconds: float = 1.0,
    *,
    refused: int = 0,
    in_flight: int | None = None,
) -> int:
    """Play one window of calls, all in flight together by default; return the limit after the
    window."""
    epoch, beside = limit.epoch, limit.now if in_flight is None else in_flight
    n = max(32, limit.now)
    for _ in range(n):
        limit.started()
    for _ in range(refused):
        limit.refused(epoch)
    while limit.epoch == epoch:
        limit.answered(epoch, "agent", seconds, beside)
    return limit.now


def test_it_is_doubled_while_throughput_grows_up_to_the_ceiling() -> None:
    limit = ConcurrencyLimit(100, adaptive=True)
    assert [limit.now, *(window(limit) for _ in range(4))] == [16, 32, 64, 100, 100]
    assert ConcurrencyLimit(10, adaptive=True).now == 10


def test_a_window_is_32_calls_or_half_of_those_in_flight_while_it_is_doubled() -> None:
    limit = ConcurrencyLimit(1000, adaptive=True)
    taken: list[int] = []
    for _ in range(4):
        epoch, n, now = limit.epoch, 0, limit.now
        while limit.epoch == epoch:
            limit.answered(limit.started(), "agent", 1.0, now)
            n += 1
        taken.append(n)
    assert taken == [32, 32, 32, 64]  # at 16, 32, 64 and 128
    assert limit.now == 256


@pytest.mark.parametrize(("seconds", "kept"), [(1.5, 32), (1.6, 16)])
def test_twice_the_calls_must_bring_three_tenths_more_throughput(seconds: float, kept: int) -> None:
    """The step pays from 16 × 1.3 = 20.8 calls a second; 32 / 1.5 = 21.3, but 32 / 1.6 = 20."""
    limit = ConcurrencyLimit(100, adaptive=True)
    window(limit)
    after = window(limit, seconds, in_flight=32)
    assert after == (64 if kept == 32 else 16)


def test_after_a_step_that_was_not_worth_it_six_windows_pass_and_steps_are_of_a_quarter() -> None:
    limit = ConcurrencyLimit(100, adaptive=True)
    window(limit)
    assert window(limit, 3.0) == 16
    assert [window(limit) for _ in range(8)] == [16] * 6 + [20, 25]


def test_it_does_not_grow_unless_it_is_reached() -> None:
    limit = ConcurrencyLimit(100, adaptive=True)
    assert window(limit, in_flight=15) == 16
    assert window(limit, in_flight=16) == 32


def test_refusals_of_more_than_a_tenth_lower_it_by_three_tenths_down_to_one() -> None:
    """4 of 32 are 12.5%, and 3 of 32 are 9.4%."""
    few = ConcurrencyLimit(100, adaptive=True)
    assert window(few, refused=3) == 32
    limit = ConcurrencyLimit(100, adaptive=True)
    assert window(limit, refused=4) == 11
    most = ConcurrencyLimit(100, adaptive=True)
    assert [window(most, refused=16) for _ in range(7)] == [11, 7, 4, 2, 1, 1, 1]


def test_refusals_that_do_not_become_fewer_with_fewer_calls_are_borne() -> None:
    """A quarter is refused at 16, and a similar share (0.75 of it or more) at 11, so 16 is
    restored."""
    limit = ConcurrencyLimit(100, adaptive=True)
    assert window(limit, refused=8) == 11
    assert window(limit, refused=8) == 16
    assert window(limit, refused=8) >= 16  # the refusals are now attributed to the endpoint
    fewer = ConcurrencyLimit(100, adaptive=True)
    assert window(fewer, refused=8) == 11
    assert window(fewer, refused=5) == 7  # 5/8 of the previous number, so they decrease


def test_calls_that_keep_taking_longer_lower_it_by_a_tenth_but_not_below_eight() -> None:
    limit = ConcurrencyLimit(100, adaptive=True)
    window(limit, in_flight=10)
    assert window(limit, 2.0, in_flight=10) == 16  # a single window may be chance
    assert window(limit, 2.0, in_flight=10) == 14
    for ceiling, last in ((9, 8), (6, 6)):
        limit = ConcurrencyLimit(ceiling, adaptive=True)
        assert [window(limit, seconds) for seconds in (1, 3, 3, 9, 9, 27, 27)][-1] == last
    again = ConcurrencyLimit(100, adaptive=True)
    for seconds in (1.0, 2.0, 1.0, 2.0, 1.0):
        assert window(again, seconds, in_flight=10) == 16


def test_each_role_is_measured_by_its_own_quickest_call() -> None:
    """Short and long calls alternate, and neither is slow for its role, so the limit is doubled."""
    limit = ConcurrencyLimit(100, adaptive=True)
    for _ in range(3):
        epoch = limit.epoch
        for at in range(32):
            limit.started()
            limit.answered(epoch, *(("agent", 8.0) if at % 2 else ("selector", 0.5)), limit.now)
    assert limit.now == 100


def test_calls_of_an_earlier_window_and_a_limit_that_is_set_change_nothing() -> None:
    limit = ConcurrencyLimit(100, adaptive=True)
    early = limit.started()
    window(limit)
    for _ in range(100):
        limit.refused(early)
        limit.answered(early, "agent", 99.0, 1)
    assert window(limit) == 64
    fixed = ConcurrencyLimit(40, adaptive=False)
    for _ in range(100):
        fixed.answered(fixed.started(), "agent", 1.0, 40)
        fixed.refused(fixed.started())
    assert fixed.now == 40
