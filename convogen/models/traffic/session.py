"""The model calls of one task, with their seeds, journal and usage.

Calls that the task's journal contains are answered from the journal. A task that is repeated after
a crash therefore does not pay for any recorded call twice.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from convogen.errors import ModelFault
from convogen.models.base import (
    Message,
    ModelReply,
    Request,
    Sampling,
)
from convogen.models.tracing import call_span
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.pool import Endpoint
from convogen.models.traffic.writing import WritingLanguage
from convogen.records import Usage

if TYPE_CHECKING:
    from convogen.models.traffic.router import Traffic

__all__ = ["Session", "SessionReply"]

LOG = logging.getLogger("convogen.traffic")


@dataclass(frozen=True, slots=True)
class SessionReply:
    """A reply, the hash of its request, and the model that wrote the reply."""

    text: str
    _: KW_ONLY
    usage: Usage
    finish_reason: str
    request: str
    model: str
    reply: ModelReply

    @property
    def cut_off(self) -> bool:
        """Whether the reply may be truncated: true unless it is known to be complete."""
        return self.finish_reason != "stop"


class Session:
    """The model calls of one task. Calls in the task's journal are answered from the journal.

    A call's seed is derived from the task's seed, the request, and the number of earlier calls with
    the same request. The call's seed therefore does not depend on concurrent tasks. `traffic` and
    `seed` may be replaced between two calls.

    A chatbot's memory must not be shared between runs. The id of the dialogue, and nothing else,
    therefore depends on the start time `begun`. If the task has a `language`, requests to roles
    that write text state the language.
    """

    def __init__(
        self,
        traffic: Traffic,
        task: int,
        seed: int,
        journal: Journal,
        *,
        begun: str = "",
        writing: WritingLanguage | None = None,
    ) -> None:
        self.traffic = traffic
        self._task = task
        self.seed = seed
        self._begun = begun
        self._writing = writing
        self._journal = journal
        self._asked: Counter[str] = Counter()
        self._endpoint: Endpoint | None = None
        self.usage = Usage()

    @property
    def language(self) -> str | None:
        """The BCP 47 tag of the task's language; None if no language is set."""
        return self._writing.tag if self._writing else None

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
    ) -> SessionReply:
        """Call a role's model and return its reply.

        `sampling` takes precedence over the role's settings. The exceptions are the same as for
        `Traffic.complete`.
        """
        held = self.traffic.role(role)
        settings = sampling.with_defaults(held.sampling) if sampling else held.sampling
        if self._writing is not None:
            messages = self._writing.ask_for(role, messages, structured=schema is not None)
            schema = self._writing.schema(role, schema)
        request = Request(
            role,
            held.spec.identity,
            tuple(messages),
            settings,
            schema=schema,
            top_logprobs=top_logprobs,
            choices=tuple(choices),
            dialogue=_dialogue(self.seed, self._begun),
            continuations=tuple(continuations),
        )
        self._asked[request.hash] += 1
        nth = self._asked[request.hash]
        if settings.seed is None:
            seeded = settings.model_copy(update={"seed": _seed(self.seed, request.hash, nth)})
            request = replace(request, sampling=seeded)
        reply = await self._answer(request, f"{request.hash}.{nth}")
        self.usage += reply.usage
        return SessionReply(
            reply.text,
            usage=reply.usage,
            finish_reason=reply.finish_reason,
            request=request.hash,
            model=reply.model or request.model,
            reply=reply,
        )

    async def _answer(self, request: Request, key: str) -> ModelReply:
        tally = self.traffic.tally
        if (known := self._journal.find(key)) is not None:
            tally.add("replayed")
            return known
        on_lost = partial(
            self._journal.record_lost_attempt, key=key, role=request.role, model=request.model
        )
        kind = self.traffic.role(request.role).spec.kind
        self.traffic.asking(request.role)
        try:
            with call_span(request, kind, self._task) as span:
                done = await self.traffic.complete(request, self._task, self._endpoint, on_lost)
                span.answered(done.reply, done.attempts)
        except ModelFault as fault:
            self._journal.record(
                key, request.role, request.model, fault, attempts=fault.attempts, seconds=0.0
            )
            tally.add("calls")
            facts = {"task": self._task, "role": request.role, "kind": fault.kind}
            LOG.info("fault", extra={**facts, "detail": str(fault)})
            raise
        self._endpoint = done.endpoint
        reply = replace(done.reply, model=done.endpoint.spec.identity)
        self.traffic.heard(request.role, reply)
        self.traffic.provenance.heard(request.role, reply.model, reply)
        # No await between the reply and its journal line, so that no reply is lost.
        self._journal.record(
            key, request.role, reply.model, reply, attempts=done.attempts, seconds=done.seconds
        )
        tally.add("calls")
        tally.add("tokens", reply.usage.prompt_tokens + reply.usage.completion_tokens)
        tally.add("generated", reply.usage.completion_tokens)
        return reply


def _dialogue(task_seed: int, begun: str) -> str:
    """Return the id of a task's dialogue for a chatbot, as 16 hexadecimal digits."""
    return hashlib.blake2b(f"{task_seed:016x}/{begun}".encode(), digest_size=8).hexdigest()


def _seed(task_seed: int, request: str, nth: int) -> int:
    """Return a seed with 31 bits, a size that all endpoints accept."""
    digest = hashlib.blake2b(f"{task_seed}/{request}/{nth}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) & 0x7FFFFFFF
