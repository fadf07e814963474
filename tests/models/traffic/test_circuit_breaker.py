"""The circuit breaker of a failing endpoint: counts, pauses in seconds, and the next probe."""

from __future__ import annotations

import pytest

from convogen.models.traffic.circuit_breaker import Breaker


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def fail(breaker: Breaker, times: int, *, trial: bool = False, **more: float | None) -> list[bool]:
    return [breaker.failed(90.0, more.get("after"), trial=trial) for _ in range(times)]


def tripped(breaker: Breaker) -> Breaker:
    assert fail(breaker, 12) == [False] * 11 + [True]
    return breaker


def test_the_twelfth_call_that_fails_in_a_row_opens_it_for_a_second(
    breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 11)
    assert breaker.admits(clock.now)
    assert not breaker.open
    assert breaker.answered() is False  # after an answer, the count restarts
    tripped(breaker)
    assert breaker.open
    assert breaker.until == 101
    assert [breaker.admits(now) for now in (100.0, 100.999, 101.0)] == [False, False, True]


def test_it_is_tried_by_one_call_at_a_time_after_pauses_of_up_to_half_a_minute(
    breaker: Breaker, clock: Clock
) -> None:
    tripped(breaker)
    pauses: list[float] = []
    for _ in range(7):
        pauses.append(breaker.until - clock.now)
        clock.now = breaker.until
        assert breaker.started() is True
        assert not breaker.admits(clock.now)
        assert fail(breaker, 1, trial=True) == [True]
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    clock.now = breaker.until
    breaker.started()
    assert breaker.answered() is True
    assert breaker.started() is False
    assert (breaker.open, breaker.failing_s, breaker.probes) == (False, 0, False)
    tripped(breaker)
    assert breaker.until == clock.now + 1


def test_every_other_trial_is_a_probe_and_one_given_up_does_not_count(
    breaker: Breaker, clock: Clock
) -> None:
    tripped(breaker)
    probes: list[bool] = []
    for given_up in (False, True, False, False):
        clock.now = breaker.until
        breaker.started()
        probes.append(breaker.probes)
        breaker.given_up(trial=False)  # another call, which started earlier
        assert not breaker.admits(clock.now)
        if given_up:
            breaker.given_up(trial=True)
            assert breaker.admits(clock.now)
        else:
            fail(breaker, 1, trial=True)
    assert probes == [True, False, False, True]


@pytest.mark.parametrize(("after", "pause"), [(None, 1), (0.5, 1), (7.0, 7)])
def test_an_endpoint_that_says_when_is_left_alone_as_long(
    after: float | None, pause: float, breaker: Breaker, clock: Clock
) -> None:
    fail(breaker, 12, after=after)
    assert breaker.until == clock.now + pause


def test_calls_that_were_under_way_change_nothing(breaker: Breaker, clock: Clock) -> None:
    tripped(breaker)
    clock.now = 100.5
    assert fail(breaker, 20, after=50) == [False] * 20
    assert breaker.until == 101


def test_how_long_it_has_been_failing_counts_from_the_first_of_the_row(
    breaker: Breaker, clock: Clock
) -> None:
    assert breaker.failing_s == 0
    breaker.failed(97.0, None, trial=False)
    breaker.failed(99.0, None, trial=False)
    clock.now = 103
    assert breaker.failing_s == 6


def test_fewer_may_be_enough(breaker: Breaker) -> None:
    assert [breaker.failed(90.0, None, most=3, trial=False) for _ in range(3)] == [
        False,
        False,
        True,
    ]


def test_doubt_opens_it_for_one_trial_and_leaves_an_open_one_as_it_is(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.doubt()
    assert (breaker.open, breaker.until) == (True, 101)
    clock.now = 100.5
    breaker.doubt()
    assert breaker.until == 101
    clock.now = 101
    breaker.started()
    assert fail(breaker, 1, trial=True) == [True]
    assert breaker.until == 103
