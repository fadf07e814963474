"""Adaptive limits on the number of concurrent calls to an endpoint."""

from __future__ import annotations

import math

__all__ = ["ConcurrencyLimit"]

START = 16
"""The initial limit on the number of in-flight calls."""

FEWEST_SAMPLES = 32
FLOOR = 8
"""Lowest value to which rising latency alone may reduce the limit."""

WORTH = 0.3
"""Minimum relative gain in throughput for which a larger limit is kept, as a share of the relative
increase in calls in flight."""

SLOWER = 1.5
"""Ratio of the mean slowness of calls to its last good value, above which the endpoint counts as
overloaded."""

HOLD = 6
"""Number of windows for which a limit is kept after a larger limit did not help."""

NOISE_MOST = 0.5
"""Share of refused calls above which the limit is always lowered."""


class ConcurrencyLimit:
    """An adaptive limit on the number of in-flight calls to an endpoint.

    The limit is revised after each window of calls. A window has as many calls as the limit, or
    half as many while the limit is being doubled, but at least `FEWEST_SAMPLES`. The limit is
    doubled while throughput grows. When throughput stops growing, the previous limit is restored
    and later raised in small steps. Refusals, time-outs and rising latency lower the limit. If
    refusals do not become rarer with fewer calls, they have another cause and are tolerated.

    Throughput is the number of in-flight calls divided by their mean slowness (Little's law). A
    call's slowness is its latency relative to the role's fastest call, so that the mean slowness
    does not depend on the mix of roles.
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
        """Register the start of a call; return the current epoch."""
        self._started += 1
        return self.epoch

    def answered(self, epoch: int, role: str, seconds: float, in_flight: int) -> None:
        """Register the reply to a call started in `epoch`, while `in_flight` calls are in
        flight."""
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
        """Register that a call started in `epoch` timed out or was refused because of overload."""
        if self._adaptive and epoch == self.epoch:
            self._refused += 1
            self._close_window()

    def _close_window(self) -> None:
        n = self._answered + self._refused
        enough = self.now // 2 if self._doubling else self.now
        if n < max(enough, FEWEST_SAMPLES):
            return
        share = self._refused / self._started  # refusals arrive sooner than replies
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
        """Lower the limit, or restore it if lowering it did not reduce refusals."""
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
