"""All model calls of a run pass here: a place at an endpoint, retries, journal, usage.

A `Session` belongs to one task. It answers from the task's journal what was answered before, so
a task that is played again after a crash pays for nothing twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.models.base import (
    ChatModel,
    Message,
    Reply,
    Request,
    Sampling,
    Transient,
    printable,
)
from convogen.models.gate import Gate, OnLost
from convogen.models.journal import Journal
from convogen.models.pool import Endpoint, Pool
from convogen.models.provenance import Provenance
from convogen.models.spec import ModelSpec
from convogen.models.tally import Tally
from convogen.models.tracing import call_span
from convogen.models.trouble import Trouble, probe
from convogen.records import Usage

__all__ = ["Answer", "Role", "Session", "Traffic", "open_model"]

BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 4.0
MAX_REPLY_CHARS = 200_000

LOG = logging.getLogger("convogen.traffic")


@dataclass(frozen=True, slots=True)
class Role:
    """A role's model and how its replies are drawn."""

    spec: ModelSpec
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, the request it answers by its hash, and the model that gave it."""

    text: str
    usage: Usage
    finish_reason: str
    request: str
    model: str
    reply: Reply

    @property
    def cut_off(self) -> bool:
        """Whether it may lack its end: only what is known to be finished does not."""
        return self.finish_reason != "stop"


@dataclass(frozen=True, slots=True)
class Completed:
    """A reply, where it came from, in how many attempts, and the seconds of the last one."""

    reply: Reply
    endpoint: Endpoint
    attempts: int
    seconds: float


class Traffic:
    """The models of a run by role, and what each of their endpoints is given.

    Opens the models, raising `ModelConfigError` where one cannot be used. `concurrency` bounds the
    calls in flight at one endpoint. To be made in the event loop that makes the calls.
    """

    def __init__(
        self,
        roles: Mapping[str, Role],
        concurrency: int,
        tally: Tally,
        open_model: Callable[[ModelSpec], ChatModel],
        gate: Gate | None = None,
    ) -> None:
        self._gate = gate or Gate()
        self.tally = tally
        self.provenance = Provenance(tally.say)
        self._roles = roles
        self._concurrency = concurrency
        self._open_model = open_model
        self._endpoints: dict[str, Endpoint] = {}
        self._completion_tokens = 100.0
        self.unheard: set[str] = set()
        """Roles that were asked, and that have not said a word yet."""

        self._heard: set[str] = set()
        pools = {role.spec.model_dump_json(): role.spec for role in roles.values()}
        opened = {key: self._pool(spec) for key, spec in pools.items()}
        self._pools = {name: opened[role.spec.model_dump_json()] for name, role in roles.items()}

    def _pool(self, spec: ModelSpec) -> Pool:
        """A model's endpoints: its replicas, then each fallback with its own."""
        tiers = [one.endpoints() for one in (spec, *spec.fallback)]
        return Pool([[self._endpoint(place) for place in tier] for tier in tiers])

    def _endpoint(self, spec: ModelSpec) -> Endpoint:
        """An endpoint, one for all roles that name it."""
        key = spec.model_dump_json()
        if key not in self._endpoints:
            model = self._open_model(spec)
            self._endpoints[key] = Endpoint(model, spec, self._concurrency, self.tally.note)
        return self._endpoints[key]

    def session(self, task: int, seed: int, journal: Journal, begun: str = "") -> Session:
        """The model calls of one task of a run that was first `begun` then."""
        return Session(self, task, seed, journal, begun)

    def asking(self, role: str) -> None:
        """A role is asked."""
        if role not in self._heard:
            self.unheard.add(role)

    def heard(self, role: str, reply: Reply) -> None:
        """A role answered."""
        if role in self.unheard and reply.text.strip():
            self._heard.add(role)
            self.unheard.remove(role)

    def role(self, name: str) -> Role:
        """The model and sampling of a role."""
        return self._roles[name]

    async def close(self) -> None:
        """Close every model once."""
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
    ) -> Completed:
        """Ask until answered, first the endpoint that answered `before` if it has room.

        A fault is retried after a while, until the call is seen to fail alone (`trouble.py`); then
        `ModelFault` is raised. While the endpoint answers nobody the call waits. `on_lost` is told
        of each attempt that may have been billed for nothing, and of probes. Raises `EndpointDown`
        or `ModelConfigError` where no endpoint is left to ask, `BudgetReached` where no attempt
        fits.
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
                    reply = await endpoint.model.complete(endpoint.worded(asked))
                    reservation.settle(reply.usage)
            except Transient as fault:
                endpoint.failed(permit, fault)
                self.tally.add("retries")
                if not permit.trial:
                    await self._retry(request, endpoint, fault, trouble)
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
        """Wait before the next attempt; raises `ModelFault` where there is to be none."""
        trouble.fault(request, endpoint, fault)
        if endpoint.breaker.open or endpoint.down:
            return  # it is waited for in the pool
        wait_s = _wait_s(trouble.met)
        _log_retry(request, endpoint, fault, trouble.attempts, wait_s)
        await asyncio.sleep(wait_s)

    def _watch_prompts(self, request: Request, endpoint: Endpoint, reply: Reply) -> None:
        """Notice an endpoint that cuts prompts silently."""
        if line := endpoint.prompts.notice(request, reply.usage):
            self.tally.note(line)
            LOG.warning("prompts cut", extra={"endpoint": endpoint.where, "notice": line})

    def _completed(
        self, reply: Reply, endpoint: Endpoint, attempts: int, seconds: float
    ) -> Completed:
        took = reply.usage.completion_tokens
        self._completion_tokens += 0.05 * (took - self._completion_tokens)
        text = printable(reply.text[:MAX_REPLY_CHARS])
        return Completed(replace(reply, text=text), endpoint, attempts, seconds)


def _wait_s(attempt: int) -> float:
    """Jittered exponential back-off in seconds; the endpoint itself is held for its Retry-After."""
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


class Session:
    """The model calls of one task, answered from its journal where they were answered before.

    The seed of a call follows from the task's seed, the request and how often this very request
    was made before, so it is the same whatever else runs at the same time. `traffic` and
    `seed` may be replaced between two calls.

    A chatbot's memory is of one run's task: when the run was `begun` decides how the dialogue is
    named to it, and nothing else.
    """

    def __init__(
        self, traffic: Traffic, task: int, seed: int, journal: Journal, begun: str = ""
    ) -> None:
        self.traffic = traffic
        self._task = task
        self.seed = seed
        self._begun = begun
        self._journal = journal
        self._asked: Counter[str] = Counter()
        self._endpoint: Endpoint | None = None
        self.usage = Usage()

    async def ask(
        self,
        role: str,
        messages: Sequence[Message],
        *,
        schema: dict[str, Any] | None = None,
        top_logprobs: int | None = None,
        choices: Sequence[str] = (),
        continuations: Sequence[str] = (),
        sampling: Sampling | None = None,
    ) -> Answer:
        """Ask a role's model; `sampling` goes over the role's own settings.

        Raises `EndpointDown`, `BudgetReached`, `ModelConfigError` or `ModelFault`.
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
            _dialogue(self.seed, self._begun),
            tuple(continuations),
        )
        self._asked[request.hash] += 1
        nth = self._asked[request.hash]
        if settings.seed is None:
            seeded = settings.model_copy(update={"seed": _seed(self.seed, request.hash, nth)})
            request = replace(request, sampling=seeded)
        reply = await self._answer(request, f"{request.hash}.{nth}")
        self.usage += reply.usage
        return Answer(
            reply.text,
            reply.usage,
            reply.finish_reason,
            request.hash,
            reply.model or request.model,
            reply,
        )

    async def _answer(self, request: Request, key: str) -> Reply:
        tally = self.traffic.tally
        if (known := self._journal.find(key)) is not None:
            tally.add("replayed")
            return known
        on_lost = partial(self._journal.lose, key, request.role, request.model)
        kind = self.traffic.role(request.role).spec.kind
        self.traffic.asking(request.role)
        try:
            with call_span(request, kind, self._task) as span:
                done = await self.traffic.complete(request, self._task, self._endpoint, on_lost)
                span.answered(done.reply, done.attempts)
        except ModelFault as fault:
            self._journal.record(key, request.role, request.model, fault, fault.attempts, 0.0)
            tally.add("calls")
            facts = {"task": self._task, "role": request.role, "kind": fault.kind}
            LOG.info("fault", extra={**facts, "detail": str(fault)})
            raise
        self._endpoint = done.endpoint
        reply = replace(done.reply, model=done.endpoint.spec.identity)
        self.traffic.heard(request.role, reply)
        self.traffic.provenance.heard(request.role, reply.model, reply)
        # No await between the answer and its journal line: what is answered is kept.
        self._journal.record(key, request.role, reply.model, reply, done.attempts, done.seconds)
        tally.add("calls")
        tally.add("tokens", reply.usage.prompt_tokens + reply.usage.completion_tokens)
        tally.add("generated", reply.usage.completion_tokens)
        return reply


def _dialogue(task_seed: int, begun: str) -> str:
    """What a task's dialogue is called to a chatbot: 16 hexadecimal digits."""
    return hashlib.blake2b(f"{task_seed:016x}/{begun}".encode(), digest_size=8).hexdigest()


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
    if spec.kind == "http":
        from convogen.models.chatbot import ChatbotModel

        return ChatbotModel(spec)
    if spec.kind == "transformers":
        raise ModelConfigError(
            f"model {spec.name}: answers no chat, it only says how likely texts are; serve it with "
            "vLLM and name it with --base-url, or use a .gguf file"
        )
    from convogen.models.endpoint import EndpointModel

    return EndpointModel(spec)
