"""All model calls of a run pass here: bound on calls in flight, retries, journal, usage.

A `Session` belongs to one task. It answers from the task's journal what was answered before, so
a task that is played again after a crash pays for nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import logging
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from convogen.errors import EndpointDown, ModelFault
from convogen.models.base import (
    ChatModel,
    Message,
    Reply,
    Request,
    Sampling,
    Transient,
    printable,
)
from convogen.models.journal import Journal
from convogen.models.spec import ModelSpec
from convogen.models.tracing import call_span
from convogen.types import Usage

__all__ = ["Answer", "Role", "Session", "Tally", "Traffic", "open_model"]

LOG = logging.getLogger("convogen.traffic")
ATTEMPTS = 7
BACKOFF_S = 0.5
LONGEST_WAIT_S = 60.0
MAX_REPLY_CHARS = 200_000


@dataclass
class Tally:
    """What a run has done since it was started, for the progress display."""

    counts: Counter[str] = field(default_factory=Counter[str])

    def add(self, what: str, n: int = 1) -> None:
        """Count `n` more of `what`: calls, tokens, retries, turns, experiences, …"""
        self.counts[what] += n


@dataclass(frozen=True, slots=True)
class Role:
    """A role's model and how its replies are drawn."""

    model: ChatModel
    spec: ModelSpec
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, and the request it answers."""

    text: str
    usage: Usage
    finish_reason: str
    request: str
    model: str
    reply: Reply


class InTurn:
    """A bound on what runs at once; those who wait are let in by priority, lowest first."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = 0

    @asynccontextmanager
    async def place(self, priority: int):
        """Hold one place while the block runs."""
        if self._free > 0:
            self._free -= 1
        else:
            await self._wait(priority)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, priority: int) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        heapq.heappush(self._waiting, (priority, self._arrivals, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Traffic:
    """The models of a run by role, and the bound on calls in flight over all of them."""

    def __init__(self, roles: Mapping[str, Role], concurrency: int, tally: Tally) -> None:
        self._roles = roles
        self._calls = InTurn(concurrency)
        self.tally = tally

    def session(self, task: int, seed: int, journal: Journal) -> Session:
        """The model calls of one task."""
        return Session(self, task, seed, journal)

    def role(self, name: str) -> Role:
        """The model and sampling of a role."""
        return self._roles[name]

    async def close(self) -> None:
        """Close every model once."""
        for model in {id(role.model): role.model for role in self._roles.values()}.values():
            await model.close()

    async def complete(self, request: Request, priority: int) -> tuple[Reply, int]:
        """Ask until answered; return the reply and the number of attempts.

        Raises `EndpointDown` where the endpoint keeps failing.
        """
        model = self._roles[request.role].model
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._calls.place(priority):
                    reply = await model.complete(request)
                return replace(reply, text=printable(reply.text[:MAX_REPLY_CHARS])), attempt
            except Transient as fault:
                if attempt == ATTEMPTS:
                    raise EndpointDown(
                        f"model {request.model}: {fault}; gave up after {ATTEMPTS} attempts"
                    ) from fault
                self.tally.add("retries")
                await asyncio.sleep(_wait_s(fault, attempt))
        raise AssertionError("unreachable")


def _wait_s(fault: Transient, attempt: int) -> float:
    """Full-jitter exponential back-off, never shorter than the endpoint's Retry-After."""
    wait_s = random.uniform(0.5, 1.0) * BACKOFF_S * 2 ** (attempt - 1)
    return min(max(wait_s, fault.retry_after_s or 0.0), LONGEST_WAIT_S)


class Session:
    """The model calls of one task, answered from its journal where they were answered before.

    The seed of a call follows from the task's seed, the request and how often this very request
    was made before, so it is the same whatever else runs at the same time. `traffic` and
    `seed` may be replaced between two calls.
    """

    def __init__(self, traffic: Traffic, task: int, seed: int, journal: Journal) -> None:
        self.traffic = traffic
        self._task = task
        self.seed = seed
        self._journal = journal
        self._asked: Counter[str] = Counter()
        self.usage = Usage()

    async def ask(
        self,
        role: str,
        messages: Sequence[Message],
        *,
        schema: dict[str, Any] | None = None,
        top_logprobs: int | None = None,
        choices: Sequence[str] = (),
        sampling: Sampling | None = None,
    ) -> Answer:
        """Ask a role's model; `sampling` goes over the role's own settings.

        Raises `EndpointDown`, `ModelConfigError` or `ModelFault`.
        """
        held = self.traffic.role(role)
        settings = sampling.over(held.sampling) if sampling else held.sampling
        request = Request(
            role,
            held.spec.identity,
            tuple(messages),
            settings,
            schema,
            top_logprobs,
            tuple(choices),
        )
        self._asked[request.hash] += 1
        nth = self._asked[request.hash]
        if settings.seed is None:
            seeded = settings.model_copy(update={"seed": _seed(self.seed, request.hash, nth)})
            request = replace(request, sampling=seeded)
        reply = await self._answer(request, f"{request.hash}.{nth}")
        self.usage += reply.usage
        return Answer(
            reply.text, reply.usage, reply.finish_reason, request.hash, request.model, reply
        )

    async def _answer(self, request: Request, key: str) -> Reply:
        tally = self.traffic.tally
        if (known := self._journal.find(key)) is not None:
            tally.add("replayed")
            return known
        started = time.perf_counter()
        try:
            with call_span(request, self.traffic.role(request.role).spec.kind, self._task) as span:
                reply, attempts = await self.traffic.complete(request, self._task)
                span.answered(reply, attempts)
        except ModelFault as fault:
            spent = time.perf_counter() - started
            self._journal.record(key, request.role, request.model, fault, 1, spent)
            tally.add("calls")
            facts = {"task": self._task, "role": request.role, "kind": fault.kind}
            LOG.info("fault", extra={**facts, "detail": str(fault)})
            raise
        # No await between the answer and its journal line: what is answered is kept.
        self._journal.record(
            key, request.role, request.model, reply, attempts, time.perf_counter() - started
        )
        tally.add("calls")
        tally.add("tokens", reply.usage.prompt_tokens + reply.usage.completion_tokens)
        tally.add("generated", reply.usage.completion_tokens)
        return reply


def _seed(task_seed: int, request: str, nth: int) -> int:
    """31 bits, the least that all endpoints take."""
    digest = hashlib.blake2b(f"{task_seed}/{request}/{nth}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) & 0x7FFFFFFF


def open_model(spec: ModelSpec) -> ChatModel:
    """The model a spec names; raises `ModelConfigError` where it cannot be used."""
    if spec.kind == "scripted":
        from convogen.models.scripted import ScriptedModel

        return ScriptedModel()
    if spec.kind == "embedded":
        from convogen.models.embedded import EmbeddedModel

        return EmbeddedModel(spec)
    from convogen.models.endpoint import EndpointModel

    return EndpointModel(spec)
