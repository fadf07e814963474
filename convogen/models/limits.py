"""How much an endpoint gets at once and a minute, and when it is left alone.

All of it goes by the event loop's clock, in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["Breaker", "ConcurrencyLimit", "PerMinute"]

START = 16
"""Calls an endpoint gets at once before anything is known of it."""

FEWEST_SAMPLES = 32
FLOOR = 8
"""Where only the time that calls take speaks for fewer at once, it is never fewer than this."""

WORTH = 0.3
"""Share of more calls in flight that must come back as throughput for a larger limit to stay."""

SLOWER = 1.5
"""Times as slow as at the last good limit: too much at once."""

HOLD = 6
"""Windows a limit is kept after a larger one was not worth it."""

NOISE_MOST = 0.5
"""Share of refusals that may be no fault of ours; of more than this it is ours to give way."""


class ConcurrencyLimit:
    """Calls in flight an endpoint gets, found by trying.

    A window is as many calls as are in flight at once, half of them while the limit is doubled: as
    many as were added. While throughput grows with the limit, it is doubled; once it does not, the
    limit is put back and tried again later in small steps. It is lowered where calls are refused or
    time out, and where the same calls keep taking longer than they did. Refusals that do not become
    fewer with fewer calls are the endpoint's own, and borne.

    Throughput is calls in flight over how slow calls are (Little's law), each call's seconds
    compared with the quickest of its role: so it does not depend on which roles are asked.
    """

    def __init__(self, ceiling: int, *, adaptive: bool) -> None:
        self.now = min(ceiling, START) if adaptive else ceiling
        self.epoch = 0
        self._ceiling = ceiling
        self._adaptive = adaptive
        self._quickest: dict[str, float] = {}
        self._doubling = True
        self._hold = 0
        self._before: tuple[int, float, float] | None = None
        self._good_slowness: float | None = None
        self._slower = False
        self._gave_way: tuple[int, float] | None = None
        self._noise = 0.0
        self._open_window()

    def _open_window(self) -> None:
        self.epoch += 1
        self._started = self._answered = self._refused = 0
        self._slowness = self._in_flight = 0.0
        self._full = False

    def started(self) -> int:
        """A call starts; the epoch it belongs to."""
        self._started += 1
        return self.epoch

    def answered(self, epoch: int, role: str, seconds: float, in_flight: int) -> None:
        """A call that was started in `epoch` came back, with `in_flight` under way beside it."""
        if not self._adaptive or epoch != self.epoch:
            return
        quickest = self._quickest.setdefault(role, seconds)
        rate = 0.25 if seconds < quickest else 0.001
        self._quickest[role] = quickest = max(quickest + rate * (seconds - quickest), 1e-6)
        self._answered += 1
        self._slowness += seconds / quickest
        self._in_flight += in_flight
        self._full |= in_flight >= self.now
        self._close_window()

    def refused(self, epoch: int) -> None:
        """A call that was started in `epoch` was refused for the load, or timed out."""
        if self._adaptive and epoch == self.epoch:
            self._refused += 1
            self._close_window()

    def _close_window(self) -> None:
        n = self._answered + self._refused
        enough = self.now // 2 if self._doubling else self.now
        if n < max(enough, FEWEST_SAMPLES):
            return
        share = self._refused / self._started  # a refusal comes sooner than an answer
        spread = 2 * math.sqrt(self._noise * (1 - self._noise) / n)
        if share > self._noise + max(0.1, spread):
            self._give_way(share)
        else:
            self._gave_way = None
            self._noise = min(self._noise, max(share, 0.95 * self._noise))
            if self._answered:
                self._weigh(self._slowness / self._answered, self._in_flight / self._answered)
        self._open_window()

    def _give_way(self, share: float) -> None:
        """Lower the limit, or put it back where lowering it did not make refusals fewer."""
        if self._gave_way is not None:
            limit, had = self._gave_way
            if share >= 0.75 * had and share < NOISE_MOST:
                self.now, self._noise, self._gave_way = limit, share, None
                return
        self._gave_way = (self.now, share)
        self._doubling, self._before = False, None
        self.now = max(1, int(0.7 * self.now))

    def _weigh(self, slowness: float, in_flight: float) -> None:
        """Decide on the next limit from a window without refusals."""
        throughput = in_flight / slowness
        slower = self._good_slowness is not None and slowness > SLOWER * self._good_slowness
        twice, self._slower = self._slower and slower, slower
        if self._before is not None:
            limit, had, beside = self._before
            self._before = None
            if throughput < had * (1 + WORTH * (in_flight / beside - 1)):
                self.now, self._hold, self._doubling = limit, HOLD, False
                return
        elif twice:
            self.now = max(min(self.now, FLOOR), int(0.9 * self.now))
            self._good_slowness, self._slower, self._doubling = slowness, False, False
            return
        elif slower:
            return
        self._good_slowness = min(slowness, 1.02 * (self._good_slowness or slowness))
        if self._hold:
            self._hold -= 1
        elif self._full and self.now < self._ceiling:
            self._before = (self.now, throughput, in_flight)
            step = self.now if self._doubling else max(1, self.now // 4)
            self.now = min(self._ceiling, self.now + step)


class PerMinute:
    """A bound on requests or tokens a minute, spread over the minute in steps of six seconds."""

    def __init__(self, limit: int | None) -> None:
        self._rate = None if limit is None else limit / 60
        self._burst = 0.0 if limit is None else max(1.0, limit / 10)
        self._level = 0.0
        self._at = 0.0

    def free_at(self, now: float) -> float:
        """When the next call may start: now, or later."""
        if self._rate is None:
            return now
        self._drain(now)
        return now if self._level < self._burst else now + (self._level - self._burst) / self._rate

    def take(self, amount: float, now: float) -> None:
        """Count an amount, which may be negative where less was used than was expected."""
        if self._rate is not None:
            self._drain(now)
            self._level = max(0.0, self._level + amount)

    def _drain(self, now: float) -> None:
        assert self._rate is not None
        self._level = max(0.0, self._level - (now - self._at) * self._rate)
        self._at = now


class Breaker:
    """Leaves an endpoint alone that fails call after call, and tries it with single calls.

    Closed until `FAULTS` calls in a row have failed; then open for a second, and for twice as long
    each time the one call that tries it fails as well, up to half a minute. Every other trial, the
    first included, is to be a probe: it says whether the endpoint fails, or what it was asked.
    """

    FAULTS = 12
    FIRST_S = 1.0
    LONGEST_S = 30.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failed = 0
        self._pause_s = 0.0
        self._trying = False
        self._trials = 0
        self._since: float | None = None
        self.until = 0.0

    @property
    def open(self) -> bool:
        """Whether the endpoint is being left alone."""
        return self._pause_s > 0

    @property
    def failing_s(self) -> float:
        """Seconds since the first of the calls that failed in a row."""
        return 0.0 if self._since is None else self._clock() - self._since

    @property
    def probes(self) -> bool:
        """Whether the trial that was begun last is to be a probe."""
        return self._trials % 2 == 1

    def admits(self, now: float) -> bool:
        """Whether a call may start; while open, one at a time and not before `until`."""
        return not self.open or (now >= self.until and not self._trying)

    def started(self) -> bool:
        """A call starts; True where it is the one that tries an endpoint left alone."""
        self._trying = self.open
        self._trials += self._trying
        return self._trying

    def answered(self) -> bool:
        """A call was answered; True where this closes the breaker."""
        was_open = self.open
        self._failed, self._pause_s, self._trying, self._since = 0, 0.0, False, None
        self._trials = 0
        return was_open

    def given_up(self, trial: bool) -> None:
        """A call ended with neither an answer nor a fault."""
        if trial:
            self._trying = False
            self._trials -= 1

    def failed(
        self, trial: bool, started: float, retry_after_s: float | None, most: int = FAULTS
    ) -> bool:
        """A call begun at `started` failed; True where this opens the breaker (again).

        It is opened by `most` calls that failed in a row.
        """
        if self.open and not trial:
            return False  # it was under way when the breaker opened
        self._since = started if self._since is None else self._since
        self._failed += 1
        if not self.open and self._failed < most:
            return False
        self._trip(retry_after_s or 0.0)
        return True

    def doubt(self) -> None:
        """Open it, if it is not, so that a probe tells whether anything is answered."""
        if not self.open:
            self._trip(0.0)

    def _trip(self, at_least_s: float) -> None:
        self._pause_s = min(2 * self._pause_s, self.LONGEST_S) if self.open else self.FIRST_S
        self._trying = False
        self.until = self._clock() + max(self._pause_s, at_least_s)
