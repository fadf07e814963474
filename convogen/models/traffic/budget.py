"""A run's budget, which reserves each attempt's maximum cost and later settles the actual cost.

An attempt's estimate is an upper bound. For the prompt, it is the number of bytes plus an allowance
for a chat template, because in any common tokenizer a token covers at least one byte. For the
completion, it is the request's cap or, without a cap, twice the role's longest completion so far.
If an endpoint reports a higher count, later estimates are raised accordingly. An attempt starts
only if the spent and the reserved amounts together stay within the limits.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from convogen.models.base import Request
from convogen.models.prices import Pricer
from convogen.records import Usage

__all__ = ["NO_LIMITS", "Budget", "Limits", "Reservation"]

MESSAGE_TOKENS = 16
REQUEST_TOKENS = 64
"""Numbers of tokens that a chat template may add per message and per request."""

UNSEEN_COMPLETION = 4096
"""Minimum estimate for a completion, in tokens, if the request has no cap."""

LATENCIES = 200
USUAL = 0.95
"""A role's usual latency is this quantile of its last `LATENCIES` latencies."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a run; None means no limit.

    Attributes:
        usd: Maximum cost of all calls recorded in the run folder, in US dollars.
        tokens: Maximum number of prompt and completion tokens in all calls recorded in the run
            folder.
        deadline_s: Seconds after which this invocation stops.
    """

    usd: float | None = None
    tokens: int | None = None
    deadline_s: float | None = None


NO_LIMITS = Limits()


class Reservation:
    """A reservation for an attempt in flight. It is open until it is settled, released or lost."""

    def __init__(self, budget: Budget, role: str, estimate: Usage, usd: float) -> None:
        self._budget = budget
        self._began = budget.clock()
        self.role = role
        self.estimate = estimate
        self.usd = usd
        self.open = True
        self.reported = True

    @property
    def seconds(self) -> float:
        """Seconds since the attempt started."""
        return self._budget.clock() - self._began

    def settle(self, usage: Usage) -> None:
        """Settle an answered attempt at `usage`, or at its estimate if no usage was reported."""
        self.reported = _total(usage) > 0
        self._budget.close(self, usage if self.reported else self.estimate)
        self._budget.learn(self, usage)

    def release(self) -> None:
        """Release an attempt that was refused or never sent."""
        self._budget.close(self, None)

    def lost(self) -> Usage:
        """Settle an unanswered attempt at its estimate, because it may have been billed, and return
        the estimate."""
        self._budget.close(self, self.estimate)
        return self.estimate


class Budget:
    """The spent and reserved amounts of a run, which decide whether an attempt is admitted.

    Args:
        limits: Limits of the run.
        prices: The pricer for each role; roles without a pricer are free.
        spent_usd: US dollars that earlier invocations spent on the run.
        spent_tokens: Tokens that earlier invocations spent on the run.
        clock: Function that returns a monotonic time in seconds.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        prices: Mapping[str, Pricer] | None = None,
        *,
        spent_usd: float = 0.0,
        spent_tokens: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits or Limits()
        self.spent_usd = spent_usd
        self.spent_tokens = spent_tokens
        self.reserved_usd = 0.0
        self.reserved_tokens = 0
        self.outstanding = 0
        self.clock = clock
        ends = self.limits.deadline_s
        self.deadline = None if ends is None else clock() + ends
        self._prices = prices or {}
        self._longest: dict[str, int] = defaultdict(int)
        self._stretch: dict[str, float] = defaultdict(lambda: 1.0)
        self._seconds: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=LATENCIES))

    def admit(self, request: Request) -> Reservation | None:
        """Reserve the maximum cost of an attempt; return None if the budget does not cover it now.

        The budget may cover the attempt later, because most outstanding reservations are settled
        far below their estimates.
        """
        estimate = self.estimate(request)
        if self._shortage(request.role, estimate) is not None:
            return None
        reservation = Reservation(self, request.role, estimate, self._usd(request.role, estimate))
        self.reserved_usd += reservation.usd
        self.reserved_tokens += _total(estimate)
        self.outstanding += 1
        return reservation

    def shortage(self, request: Request) -> tuple[str, str] | None:
        """Return the option whose limit blocks an attempt, and the reason; None if no limit blocks
        the attempt."""
        return self._shortage(request.role, self.estimate(request))

    def _shortage(self, role: str, estimate: Usage) -> tuple[str, str] | None:
        limits = self.limits
        if self.deadline is not None and self.clock() + self._usual_s(role) > self.deadline:
            return "--deadline", "too little time is left for another call"
        usd = self._usd(role, estimate)
        if limits.usd is not None and self.spent_usd + self.reserved_usd + usd > limits.usd:
            return "--budget-usd", (
                f"${self.spent_usd:.4f} of ${limits.usd:.4f} spent, "
                f"and the next call may cost ${usd:.4f}"
            )
        tokens = self.spent_tokens + self.reserved_tokens + _total(estimate)
        if limits.tokens is not None and tokens > limits.tokens:
            return "--budget-tokens", (
                f"{self.spent_tokens:,} of {limits.tokens:,} tokens spent, "
                f"and the next call may use {_total(estimate):,}"
            )
        return None

    def affords(self, tasks: int) -> float:
        """Estimate how many more tasks the budget covers, given that `tasks` tasks have ended.

        The cost of all tasks, including those in flight, is attributed to the tasks that have
        ended, which overestimates the cost per task. The result is infinite if nothing has been
        spent, or if neither money nor tokens are limited.
        """
        limits = self.limits
        bounds = ((limits.usd, self.spent_usd), (limits.tokens, self.spent_tokens))
        paid = [
            (limit - spent) * tasks / spent
            for limit, spent in bounds
            if limit is not None and spent > 0
        ]
        return min(paid, default=math.inf)

    def estimate(self, request: Request) -> Usage:
        """Return an upper bound on the number of tokens in an attempt."""
        texts = [message.content for message in request.messages]
        if request.schema is not None:
            texts.append(json.dumps(request.schema, ensure_ascii=False))
        room = REQUEST_TOKENS + MESSAGE_TOKENS * len(request.messages)
        prompt = sum(len(text.encode()) for text in texts) + room
        longest, cap = self._longest[request.role], _cap(request)
        most = max(UNSEEN_COMPLETION, 2 * longest) if cap is None else max(cap, longest)
        stretched = int(prompt * self._stretch[request.role]) + 1
        return Usage(prompt_tokens=stretched, completion_tokens=most)

    def close(self, reservation: Reservation, usage: Usage | None) -> None:
        """Close a reservation and charge `usage`; None charges nothing."""
        assert reservation.open, "a reservation can be closed only once"
        reservation.open = False
        self.outstanding -= 1
        self.reserved_tokens -= _total(reservation.estimate)
        self.reserved_usd = self.reserved_usd - reservation.usd if self.outstanding else 0.0
        if usage is not None:
            self.spent_usd += self._usd(reservation.role, usage)
            self.spent_tokens += _total(usage)

    def learn(self, reservation: Reservation, usage: Usage) -> None:
        """Update the estimates from the token counts and the latency of an answered attempt."""
        role, estimate = reservation.role, reservation.estimate
        self._longest[role] = max(self._longest[role], usage.completion_tokens)
        if usage.prompt_tokens > estimate.prompt_tokens:
            self._stretch[role] *= 1.1 * usage.prompt_tokens / estimate.prompt_tokens
        self._seconds[role].append(reservation.seconds)

    def _usd(self, role: str, usage: Usage) -> float:
        price = self._prices.get(role)
        return price(usage) if price else 0.0

    def _usual_s(self, role: str) -> float:
        seconds = sorted(self._seconds[role])
        return seconds[int(USUAL * (len(seconds) - 1))] if seconds else 0.0


def _total(usage: Usage) -> int:
    return usage.prompt_tokens + usage.completion_tokens


def _cap(request: Request) -> int | None:
    """Return a request's cap on completion tokens; `extra` keys take precedence over sampling."""
    extra: dict[str, Any] = request.sampling.extra or {}
    for key in ("max_completion_tokens", "max_tokens"):
        if isinstance(extra.get(key), int):
            return extra[key]
    return request.sampling.max_tokens
