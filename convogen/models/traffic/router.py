"""Routing of a run's model calls to endpoints, with retries."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.models.base import (
    ChatModel,
    ModelReply,
    Request,
    Sampling,
    Transient,
    Unreached,
    printable,
)
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.admission import AdmissionQueue, OnLost
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.pool import Endpoint, Pool
from convogen.models.traffic.provenance import Provenance
from convogen.models.traffic.session import Session
from convogen.models.traffic.trouble import Trouble, probe
from convogen.models.traffic.writing import WritingLanguage

__all__ = ["Role", "RoutedReply", "Traffic"]

BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 4.0
MAX_REPLY_CHARS = 200_000

LOG = logging.getLogger("convogen.traffic")


@dataclass(frozen=True, slots=True)
class Role:
    """A role's model and sampling settings."""

    spec: ModelSpec
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class RoutedReply:
    """A reply, its endpoint, the number of attempts, and the duration of the last attempt in
    seconds."""

    reply: ModelReply
    endpoint: Endpoint
    attempts: int
    seconds: float


class Traffic:
    """The model for each role in a run, and the endpoints that the models share.

    The constructor opens the models and raises `ModelConfigError` if a model cannot be used. It
    must run in the event loop that makes the calls. `concurrency` is the maximum number of
    in-flight calls per endpoint.
    """

    def __init__(
        self,
        roles: Mapping[str, Role],
        concurrency: int,
        tally: RunProgress,
        open_model: Callable[[ModelSpec], ChatModel],
        gate: AdmissionQueue | None = None,
    ) -> None:
        self._gate = gate or AdmissionQueue()
        self.tally = tally
        self.provenance = Provenance(tally.say)
        self._roles = roles
        self._concurrency = concurrency
        self._open_model = open_model
        self._endpoints: dict[str, Endpoint] = {}
        self._completion_tokens = 100.0
        self.unheard: set[str] = set()
        """Roles that were called and have not replied yet."""

        self._heard: set[str] = set()
        pools = {role.spec.model_dump_json(): role.spec for role in roles.values()}
        opened = {key: self._pool(spec) for key, spec in pools.items()}
        self._pools = {name: opened[role.spec.model_dump_json()] for name, role in roles.items()}

    def _pool(self, spec: ModelSpec) -> Pool:
        """Return a model's pool, with the model's own endpoints first and then the endpoints of
        each fallback."""
        tiers = [one.endpoints() for one in (spec, *spec.fallback)]
        return Pool([[self._endpoint(place) for place in tier] for tier in tiers])

    def _endpoint(self, spec: ModelSpec) -> Endpoint:
        """Return the endpoint for a spec, which all roles with this spec share."""
        key = spec.model_dump_json()
        if key not in self._endpoints:
            model = self._open_model(spec)
            self._endpoints[key] = Endpoint(model, spec, self._concurrency, self.tally.note)
        return self._endpoints[key]

    @property
    def endpoints(self) -> list[Endpoint]:
        """All endpoints, in an order that depends only on the roles."""
        return list(self._endpoints.values())

    def session(
        self,
        task: int,
        seed: int,
        journal: Journal,
        begun: str = "",
        writing: WritingLanguage | None = None,
    ) -> Session:
        """Return the session for one task in a run that was first started at `begun`."""
        return Session(self, task, seed, journal, begun=begun, writing=writing)

    def asking(self, role: str) -> None:
        """Register a call to a role's model."""
        if role not in self._heard:
            self.unheard.add(role)

    def heard(self, role: str, reply: ModelReply) -> None:
        """Register a role's reply."""
        if role in self.unheard and reply.text.strip():
            self._heard.add(role)
            self.unheard.remove(role)

    def role(self, name: str) -> Role:
        """Return the model and the sampling settings of a role."""
        return self._roles[name]

    async def drain(self) -> None:
        """Wait until no call is in flight, and make no call in the meantime
        (`AdmissionQueue.drain`)."""
        await self._gate.drain()

    async def close(self) -> None:
        """Close all pools and models."""
        for pool in self._pools.values():
            pool.close()
        for endpoint in self._endpoints.values():
            await endpoint.model.close()

    async def complete(
        self,
        request: Request,
        priority: int,
        before: Endpoint | None = None,
        on_lost: OnLost | None = None,
    ) -> RoutedReply:
        """Send a request until it is answered; prefer the endpoint `before`, which answered the
        previous call.

        After a fault, the call is retried with back-off. While an endpoint answers no calls at all,
        the call waits. `on_lost` is called for each attempt that may have been billed although no
        reply reported its usage, and for probes.

        Raises:
            ModelFault: If the request is refused, or if the call keeps failing while other calls
                succeed (`trouble.py`).
            EndpointDown, ModelConfigError: If all endpoints have been given up.
            BudgetReached: If the budget does not cover another attempt.
        """
        pool, trouble = self._pools[request.role], Trouble()
        tokens = int(sum(len(m.content) for m in request.messages) / 4 + self._completion_tokens)
        while True:
            permit = await pool.enter(priority, tokens, before)
            endpoint = permit.endpoint
            asked = probe(request) if permit.probe else request
            trouble.attempts += 1
            try:
                async with self._gate.attempt(asked, priority, on_lost) as reservation:
                    permit = endpoint.begun(permit)
                    reply = await endpoint.model.complete(endpoint.addressed_to_endpoint(asked))
                    reservation.settle(reply.usage)
            except (Transient, Unreached) as fault:
                met = endpoint.failed(permit, fault)
                self.tally.add("retries")
                if not permit.trial:
                    await self._retry(request, endpoint, met, trouble)
            except (EndpointDown, ModelConfigError) as down:
                endpoint.close_for_good(permit, down)
            except ModelFault as fault:
                endpoint.refused(permit)
                if asked is request:
                    fault.attempts = trouble.attempts
                    raise
            except BaseException:
                endpoint.given_up(permit)
                raise
            else:
                seconds = endpoint.answered(permit, request.role, reply.usage)
                if asked is request:
                    self._watch_prompts(request, endpoint, reply)
                    return self._completed(reply, endpoint, trouble.attempts, seconds)
                if on_lost is not None:
                    on_lost(reply.usage, 0, seconds)

    async def _retry(
        self, request: Request, endpoint: Endpoint, fault: Transient, trouble: Trouble
    ) -> None:
        """Wait before the next attempt; raise `ModelFault` if the call is given up."""
        trouble.fault(request, endpoint, fault)
        if endpoint.breaker.open or endpoint.down:
            return  # the pool waits for the endpoint
        wait_s = _wait_s(trouble.met)
        _log_retry(request, endpoint, fault, trouble.attempts, wait_s)
        await asyncio.sleep(wait_s)

    def _watch_prompts(self, request: Request, endpoint: Endpoint, reply: ModelReply) -> None:
        """Notify the user if the endpoint silently truncates prompts."""
        if line := endpoint.prompts.notice(request, reply.usage):
            self.tally.note(line)
            LOG.warning("prompts cut", extra={"endpoint": endpoint.where, "notice": line})

    def _completed(
        self, reply: ModelReply, endpoint: Endpoint, attempts: int, seconds: float
    ) -> RoutedReply:
        took = reply.usage.completion_tokens
        self._completion_tokens += 0.05 * (took - self._completion_tokens)
        text = printable(reply.text[:MAX_REPLY_CHARS])
        return RoutedReply(replace(reply, text=text), endpoint, attempts, seconds)


def _wait_s(attempt: int) -> float:
    """Return a jittered exponential back-off in seconds. `Endpoint` handles delays that an endpoint
    requests."""
    return random.uniform(0.5, 1.0) * min(BACKOFF_S * 2 ** (attempt - 1), LONGEST_BACKOFF_S)


def _log_retry(
    request: Request, endpoint: Endpoint, fault: Transient, attempt: int, wait_s: float
) -> None:
    if LOG.isEnabledFor(logging.INFO):
        facts = {
            "role": request.role,
            "endpoint": endpoint.where,
            "kind": fault.kind,
            "fault": str(fault),
            "attempt": attempt,
            "wait_s": round(wait_s, 2),
        }
        LOG.info("retry", extra=facts)
