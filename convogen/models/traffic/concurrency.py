"""Adaptive concurrency per endpoint, on the event loop's clock."""

from __future__ import annotations

import math

__all__ = ["ConcurrencyLimit"]

START = 16
"""The initial limit of in-flight calls."""

FEWEST_SAMPLES = 32
FLOOR = 8
"""The limit is never lowered below this because of latency alone."""

WORTH = 0.3
"""Minimum gain in throughput for a larger limit to be kept, as a share of the increase in calls."""

SLOWER = 1.5
"""Slowdown, relative to the last good limit, that counts as overload."""

HOLD = 6
"""Windows for which a limit is kept after a larger one did not pay off."""

NOISE_MOST = 0.5
"""Share of refusals that may have other causes; above it the limit is always lowered."""


class ConcurrencyLimit:
    """The adaptive limit of in-flight calls of an endpoint.

    The limit is reconsidered after each window: as many calls as the limit, or half as many while
    the limit is doubling (as many as were added), but at least `FEWEST_SAMPLES`. It is doubled
    while throughput grows with it; once throughput stops growing, the previous limit is restored
    and later raised in small steps. It is lowered on refusals, time-outs and rising latency.
    Refusals that do not decrease with fewer calls have other causes and are tolerated.

    Throughput is in-flight calls divided by slowness (Little's law). Slowness is a call's latency
    relative to the fastest of its role, so it does not depend on the mix of roles.
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
        """Register the start of a call; return its epoch."""
        self._started += 1
        return self.epoch

    def answered(self, epoch: int, role: str, seconds: float, in_flight: int) -> None:
        """Register the answer to a call started in `epoch`, with `in_flight` others in flight."""
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
        """Register that a call started in `epoch` was refused for the load or timed out."""
        if self._adaptive and epoch == self.epoch:
            self._refused += 1
            self._close_window()

    def _close_window(self) -> None:
        n = self._answered + self._refused
        enough = self.now // 2 if self._doubling else self.now
        if n < max(enough, FEWEST_SAMPLES):
            return
        share = self._refused / self._started  # refusals arrive sooner than answers
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
