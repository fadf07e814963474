"""Circuit breakers for endpoints. Times are in seconds on the event loop's clock."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Breaker"]


class Breaker:
    """A circuit breaker that pauses an endpoint after repeated failures and then admits single
    trial calls.

    The breaker is closed until `FAULTS` consecutive calls have failed. It then opens for one
    second, after which a trial call is admitted. Each failed trial call doubles the pause, up to
    half a minute. Every second trial call, starting with the first, is a probe, which shows whether
    the endpoint or the request is at fault.
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
        """Whether the breaker is open."""
        return self._pause_s > 0

    @property
    def failing_s(self) -> float:
        """Seconds since the first of the latest consecutive failed calls started."""
        return 0.0 if self._since is None else self._clock() - self._since

    @property
    def probes(self) -> bool:
        """Whether the current trial call should be a probe."""
        return self._trials % 2 == 1

    def admits(self, now: float) -> bool:
        """Return whether a call may start. After `until`, an open breaker admits one call at a
        time."""
        return not self.open or (now >= self.until and not self._trying)

    def started(self) -> bool:
        """Register the start of a call; return True if it is the trial call of an open breaker."""
        self._trying = self.open
        self._trials += self._trying
        return self._trying

    def answered(self) -> bool:
        """Register an answered call; return True if the call closes the breaker."""
        was_open = self.open
        self._failed, self._pause_s, self._trying, self._since = 0, 0.0, False, None
        self._trials = 0
        return was_open

    def given_up(self, *, trial: bool) -> None:
        """Register a call that ended without a reply and without a fault."""
        if trial:
            self._trying = False
            self._trials -= 1

    def failed(
        self, started: float, retry_after_s: float | None, most: int = FAULTS, *, trial: bool
    ) -> bool:
        """Register the failure of a call that started at `started`; return True if the failure
        opens the breaker or keeps it open.

        A closed breaker opens after `most` consecutive failures.
        """
        if self.open and not trial:
            return False  # the call was in flight when the breaker opened
        self._since = started if self._since is None else self._since
        self._failed += 1
        if not self.open and self._failed < most:
            return False
        self._trip(retry_after_s or 0.0)
        return True

    def doubt(self) -> None:
        """Open the breaker, so that a probe shows whether the endpoint still responds."""
        if not self.open:
            self._trip(0.0)

    def _trip(self, at_least_s: float) -> None:
        self._pause_s = min(2 * self._pause_s, self.LONGEST_S) if self.open else self.FIRST_S
        self._trying = False
        self.until = self._clock() + max(self._pause_s, at_least_s)
