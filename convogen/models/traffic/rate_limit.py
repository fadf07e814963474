"""Rate limits per minute. Times are in seconds on the event loop's clock."""

from __future__ import annotations

__all__ = ["PerMinute"]


class PerMinute:
    """A limit on requests or tokens per minute. A burst may use up to six seconds' worth of the
    limit."""

    def __init__(self, limit: int | None) -> None:
        self._rate = None if limit is None else limit / 60
        self._burst = 0.0 if limit is None else max(1.0, limit / 10)
        self._level = 0.0
        self._drained_at = 0.0

    def free_at(self, now: float) -> float:
        """Return the time at which the next call may start."""
        if self._rate is None:
            return now
        self._drain(now)
        return now if self._level < self._burst else now + (self._level - self._burst) / self._rate

    def take(self, amount: float, now: float) -> None:
        """Count an amount against the limit. A negative amount corrects an estimate that was too
        high."""
        if self._rate is not None:
            self._drain(now)
            self._level = max(0.0, self._level + amount)

    def _drain(self, now: float) -> None:
        assert self._rate is not None
        self._level = max(0.0, self._level - (now - self._drained_at) * self._rate)
        self._drained_at = now
