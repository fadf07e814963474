"""The endpoints of a model. Calls go to the replica with the lowest load, or to a fallback if all
replicas are down or paused.

A call waits in its pool's queue until an endpoint has room. Calls from earlier tasks go first.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from convogen.errors import EndpointDown, ModelConfigError
from convogen.models.addresses import has_version
from convogen.models.base import ChatModel, Request, Transient, Unreached
from convogen.models.spec import ModelSpec
from convogen.models.traffic.circuit_breaker import Breaker
from convogen.models.traffic.concurrency import ConcurrencyLimit
from convogen.models.traffic.rate_limit import PerMinute
from convogen.models.traffic.truncation import PromptWatch
from convogen.records import Usage
from convogen.redaction import public_url

__all__ = ["Endpoint", "Permit", "Pool", "no_completion_from"]

LOG = logging.getLogger("convogen.traffic")

FAVOUR = 0.25
"""Load difference, as a share of the limit, up to which the endpoint that a task called last is
preferred."""


UNREADABLE = 3
"""Number of consecutive responses without a completion after which an endpoint that has never
returned a completion is probed. If the probe also fails, the endpoint is given up."""

TOLD_S = 5.0
"""Delay in seconds. If an endpoint requests a longer delay, the user is notified and fallbacks take
over."""


@dataclass(frozen=True, slots=True)
class Permit:
    """The slot of one call at an endpoint."""

    endpoint: Endpoint
    started: float
    epoch: int
    tokens: int
    trial: bool

    @property
    def probe(self) -> bool:
        """Whether a probe should be sent instead of the caller's request."""
        return self.trial and self.endpoint.breaker.probes


class Endpoint:
    """One endpoint of a model, with its load and health.

    `notice` is called with a line for the user, and with an empty string when that line no longer
    applies.
    """

    def __init__(
        self, model: ChatModel, spec: ModelSpec, ceiling: int, notice: Callable[[str], None]
    ) -> None:
        self.model = model
        self.spec = spec
        self.where = public_url(spec.base_url) if spec.base_url else spec.identity
        self.in_flight = 0
        self.answers = 0
        """Number of calls answered so far, including refusals that blame the request."""

        self.outages = 0
        """Number of failed trial calls. Other calls that failed in the meantime are not at
        fault."""

        self.down: EndpointDown | ModelConfigError | None = None
        self.never_reached: Unreached | None = None
        """Error from the last call if calls were attempted but none has reached the endpoint;
        otherwise None."""

        self.pools: list[Pool] = []
        self.prompts = PromptWatch()
        self._clock = asyncio.get_running_loop().time
        self.limit = ConcurrencyLimit(ceiling, adaptive=spec.kind in ("endpoint", "http"))
        self.breaker = Breaker(self._clock)
        self._requests = PerMinute(spec.requests_per_minute)
        self._tokens = PerMinute(spec.tokens_per_minute)
        self._notice = notice
        self._noticed = False
        self._not_before = 0.0

    def addressed_to_endpoint(self, request: Request) -> Request:
        """Return a request that uses this endpoint's name for the model."""
        name = self.spec.identity
        return request if request.model == name else replace(request, model=name)

    @property
    def load(self) -> float:
        """Number of calls in flight as a share of the limit."""
        return self.in_flight / self.limit.now

    def free_at(self, now: float) -> float | None:
        """Return the earliest time at which a call may start; None if that depends on another
        call's end, or if the endpoint is down."""
        if self.down is not None or self.in_flight >= self.limit.now:
            return None
        if not self.breaker.admits(now):
            return self.breaker.until if now < self.breaker.until else None
        return max(self._not_before, self._requests.free_at(now), self._tokens.free_at(now))

    @property
    def paused(self) -> bool:
        """Whether the endpoint is paused and calls should go to another endpoint if possible."""
        return self.breaker.open or self._not_before > self._clock() + TOLD_S

    def enter(self, tokens: int) -> Permit:
        """Take a slot for a call of about `tokens` tokens."""
        now = self._clock()
        self.in_flight += 1
        self._requests.take(1, now)
        self._tokens.take(tokens, now)
        return Permit(self, now, self.limit.started(), tokens, self.breaker.started())

    def begun(self, permit: Permit) -> Permit:
        """Return the permit with the current time as its start, for a call that has waited for the
        budget."""
        return replace(permit, started=self._clock())

    def answered(self, permit: Permit, role: str, usage: Usage) -> float:
        """Release the slot after a reply; return the call's duration in seconds."""
        now = self._clock()
        seconds = now - permit.started
        self._tokens.take(usage.prompt_tokens + usage.completion_tokens - permit.tokens, now)
        if not permit.trial:
            self.limit.answered(permit.epoch, role, seconds, self.in_flight)
        self._back()
        self._leave()
        return seconds

    def refused(self, permit: Permit) -> None:
        """Release the slot after a refusal that blames the request."""
        self._back()
        self._leave()

    def _back(self) -> None:
        """Register that the endpoint has responded."""
        self.answers += 1
        self.never_reached = None
        if self.breaker.answered():
            LOG.info("endpoint back", extra={"endpoint": self.where})
        if self._noticed and self._clock() >= self._not_before:
            self._noticed = False
            self._notice("")

    def given_up(self, permit: Permit) -> None:
        """Release the slot after a call was cancelled."""
        self.breaker.given_up(trial=permit.trial)
        self._leave()

    def failed(self, permit: Permit, fault: Transient | Unreached) -> Transient:
        """Release the slot after a fault; return the fault as a `Transient`.

        `down` is set once the endpoint is given up.
        """
        if isinstance(fault, Unreached):
            return self._unreached(permit, fault)
        self._failed(permit, fault, Breaker.FAULTS)
        return fault

    def _unreached(self, permit: Permit, fault: Unreached) -> Transient:
        """Release the slot after a call that could not be sent.

        An endpoint that has never responded is paused while other endpoints serve the model,
        because it may be a replica that starts late. If every endpoint is down or has never been
        reached, all endpoints are given up.
        """
        met, most = Transient(str(fault), kind="unconnected"), Breaker.FAULTS
        if not self.answers:
            self.never_reached, most = fault, 1
            for pool in self.pools:
                pool.give_up_if_unreached()
        if self.down is not None:
            self.close_for_good(permit, self.down)
        else:
            self._failed(permit, met, most)
        return met

    def _failed(self, permit: Permit, fault: Transient, most: int) -> None:
        """Release the slot after a fault; `most` consecutive faults pause the endpoint."""
        if fault.kind in ("throttled", "time-out"):
            self.limit.refused(permit.epoch)
        never = not self.answers and fault.kind == "unreadable"
        most = UNREADABLE if never else most
        opened = self.breaker.failed(permit.started, fault.retry_after_s, most, trial=permit.trial)
        self.outages += permit.trial
        asked_s, left_alone = fault.retry_after_s or 0.0, self.paused
        self._not_before = max(self._not_before, self._clock() + asked_s)
        wait_s = max(self.breaker.until if opened else 0.0, self._not_before) - self._clock()
        if asked_s > self.spec.patience_s:
            self.down = EndpointDown(
                f"model {self.spec.name}: {fault}; the requested delay of {asked_s:.0f} s "
                f"exceeds patience_s, which is {self.spec.patience_s:g}; increase patience_s or "
                "run again later"
            )
        elif never and permit.trial:
            self.down = EndpointDown(
                f"model {self.spec.name}: {fault}; {no_completion_from(self.spec)}"
            )
        elif opened and self.breaker.failing_s + wait_s > self.spec.patience_s:
            self.down = EndpointDown(
                f"model {self.spec.name}: {fault}; no call was answered for "
                f"{self.breaker.failing_s:.0f} s, and patience_s is {self.spec.patience_s:g}; "
                "increase patience_s or run again later"
            )
        elif opened or (asked_s > TOLD_S and not left_alone):
            self._noticed = True
            self._notice(f"paused: {fault}; retrying in {wait_s:.0f} s")
            LOG.warning(
                "endpoint paused",
                extra={"endpoint": self.where, "fault": str(fault), "wait_s": round(wait_s, 1)},
            )
        self._leave()

    def doubt(self) -> None:
        """Pause the endpoint until it has been probed."""
        self.breaker.doubt()

    def close_for_good(self, permit: Permit, reason: EndpointDown | ModelConfigError) -> None:
        """Release the slot, and stop using the endpoint for the given reason."""
        self.down = reason
        LOG.error("endpoint given up", extra={"endpoint": self.where, "fault": str(reason)})
        self._leave()

    def _leave(self) -> None:
        self.in_flight -= 1
        for pool in self.pools:
            pool.dispatch()


def no_completion_from(spec: ModelSpec) -> str:
    """Return the error text for an endpoint that has never returned a completion."""
    where = public_url(spec.base_url) if spec.base_url else spec.identity
    if spec.base_url and not has_version(spec.base_url):
        return f"{where} is not the base URL of a chat API; base URLs end in /v1, so fix --base-url"
    return f"{where} has never returned a completion; check that --base-url is a chat API's URL"


class Pool:
    """A model's endpoints in tiers. If a tier is down or paused, calls go to the next tier."""

    def __init__(self, tiers: Sequence[Sequence[Endpoint]]) -> None:
        self._tiers = tiers
        self._waiting: list[tuple[int, int, int, Endpoint | None, asyncio.Future[Permit]]] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        for tier in tiers:
            for endpoint in tier:
                endpoint.pools.append(self)

    async def enter(self, priority: int, tokens: int, before: Endpoint | None) -> Permit:
        """Return a slot at an endpoint for a call of about `tokens` tokens.

        Calls with the lowest `priority` go first. The endpoint `before`, which answered the
        previous call, is preferred, because it has cached the prompt's prefix.

        Raises:
            EndpointDown, ModelConfigError: If all endpoints have been given up.
        """
        if not self._waiting:
            chosen = self._choose(before)
            if chosen is not None:
                return chosen.enter(tokens)
        turn: asyncio.Future[Permit] = self._loop.create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (priority, self._arrivals, tokens, before, turn))
        self.dispatch()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                permit = turn.result()
                permit.endpoint.given_up(permit)
            raise

    def dispatch(self) -> None:
        """Admit waiting calls while an endpoint has room."""
        while self._waiting:
            _, _, tokens, before, turn = self._waiting[0]
            if not turn.done():
                try:
                    chosen = self._choose(before)
                except (EndpointDown, ModelConfigError) as down:
                    turn.set_exception(down)
                else:
                    if chosen is None:
                        return
                    turn.set_result(chosen.enter(tokens))
            heapq.heappop(self._waiting)

    def _choose(self, before: Endpoint | None) -> Endpoint | None:
        """Return the endpoint for the next call. If no endpoint has room, set a timer for the next
        attempt and return None."""
        now = self._loop.time()
        wake: float | None = None
        for tier in self._tiers:
            best: tuple[float, Endpoint] | None = None
            busy = False
            for endpoint in tier:
                start = endpoint.free_at(now)
                if start is not None and start <= now:
                    load = endpoint.load - (FAVOUR if endpoint is before else 0.0)
                    best = min(best or (load, endpoint), (load, endpoint), key=lambda each: each[0])
                    continue
                busy |= endpoint.down is None and not endpoint.paused
                if start is not None:
                    wake = start if wake is None else min(wake, start)
            if best is not None:
                return best[1]
            if busy:
                break  # wait for a healthy tier
        self._wake_at(wake)
        reasons = [endpoint.down for tier in self._tiers for endpoint in tier]
        if all(reasons):
            raise next(reason for reason in reasons if reason is not None)
        return None

    def _wake_at(self, when: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if when is None else self._loop.call_at(when, self.dispatch)

    def give_up_if_unreached(self) -> None:
        """Give up all endpoints if every endpoint is down or has never been reached."""
        endpoints = [endpoint for tier in self._tiers for endpoint in tier]
        if all(endpoint.down or endpoint.never_reached for endpoint in endpoints):
            for endpoint in endpoints:
                endpoint.down = endpoint.down or endpoint.never_reached

    def close(self) -> None:
        """Cancel the timer."""
        self._wake_at(None)
