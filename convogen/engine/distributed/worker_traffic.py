"""A worker's model calls. The driver admits each attempt, the worker makes the attempt, and the
driver journals the reply."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from convogen.engine.distributed.messages import (
    Abandoned,
    Asked,
    Attempted,
    CallEnded,
    Granted,
    Heard,
    Logged,
    Row,
    ToDriver,
    ToldError,
)
from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.models.base import ChatModel, ModelReply, Request, Transient
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.admission import OnLost
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.pool import Endpoint
from convogen.models.traffic.provenance import Provenance
from convogen.models.traffic.router import Role, RoutedReply, Traffic
from convogen.models.traffic.trouble import probe
from convogen.telemetry.log import facts_of

__all__ = ["WorkerJournal", "WorkerLog", "WorkerTraffic"]

Send = Callable[[ToDriver], None]


class WorkerTraffic(Traffic):
    """A worker's traffic, which opens the models and makes the attempts that the driver admits.

    The endpoints are in the same order as the driver's endpoints, because the roles determine the
    order.
    """

    def __init__(
        self,
        roles: Mapping[str, Role],
        tally: RunProgress,
        open_model: Callable[[ModelSpec], ChatModel],
        send: Send,
    ) -> None:
        super().__init__(roles, 1, tally, open_model)
        self.provenance = _ToldProvenance(tally.say, send)
        self._send = send
        self._granted: dict[int, asyncio.Queue[Granted | CallEnded]] = {}
        self._calls = 0
        self._numbers = {id(endpoint): at for at, endpoint in enumerate(self.endpoints)}

    def asking(self, role: str) -> None:
        """Do nothing, because the message `Asked` informs the driver about the call."""

    def heard(self, role: str, reply: ModelReply) -> None:
        """Do nothing, because `provenance` informs the driver about the reply."""

    def tell(self, message: Granted | CallEnded) -> None:
        """Apply the driver's decision about a call, unless the call has already ended."""
        if (waiting := self._granted.get(message.call)) is not None:
            waiting.put_nowait(message)

    async def complete(
        self,
        request: Request,
        priority: int,
        before: Endpoint | None = None,
        on_lost: OnLost | None = None,
    ) -> RoutedReply:
        """Send a request until it is answered. The driver decides on retries and records lost
        attempts."""
        self._calls += 1
        call = self._calls
        granted = self._granted[call] = asyncio.Queue()
        known = None if before is None else self._numbers[id(before)]
        self._send(Asked(call, priority, request, known))
        try:
            while True:
                message = await granted.get()
                if isinstance(message, CallEnded):
                    raise message.why.error()
                if (reply := await self._attempt(request, message)) is not None:
                    return reply
        except ModelFault:
            raise
        except BaseException:
            self._send(Abandoned(call))
            raise
        finally:
            del self._granted[call]

    async def _attempt(self, request: Request, granted: Granted) -> RoutedReply | None:
        """Make one attempt; return the reply, or None if the attempt failed or was a probe."""
        call, endpoint = granted.call, self.endpoints[granted.endpoint]
        asked = probe(request) if granted.probe else request
        began = time.monotonic()
        try:
            reply = await endpoint.model.complete(endpoint.addressed_to_endpoint(asked))
        except (Transient, EndpointDown, ModelConfigError) as fault:
            self._send(Attempted(call, fault=ToldError.of(fault)))
            return None
        except ModelFault as fault:
            self._send(Attempted(call, fault=ToldError.of(fault)))
            if granted.probe:
                return None
            fault.attempts = granted.attempts
            raise
        self._send(Attempted(call, reply.usage))
        if granted.probe:
            return None
        return self._completed(reply, endpoint, granted.attempts, time.monotonic() - began)


class _ToldProvenance(Provenance):
    """A provenance that informs the driver once about each model that has replied."""

    def __init__(self, tell: Callable[[str], None], send: Send) -> None:
        super().__init__(tell)
        self._send = send
        self._sent: set[Heard] = set()

    def heard(self, role: str, model: str, reply: ModelReply) -> None:
        heard = Heard(role, model, bool(reply.text.strip()), reply.served, reply.left_out)
        if heard not in self._sent:
            self._sent.add(heard)
            self._send(heard)


class WorkerJournal(Journal):
    """A task's journal that starts with the driver's rows and sends new rows to the driver."""

    def __init__(self, task: int, rows: Iterable[dict[str, Any]], send: Send) -> None:
        super().__init__(Path(f"{task}.jsonl in the driver's run folder"))
        self._task = task
        self._send = send
        for row in rows:
            self._take(row)

    def _write(self, row: dict[str, Any]) -> None:
        self._send(Row(self._task, row))


class WorkerLog(logging.Handler):
    """A log handler that sends records to the driver, with this process's secrets masked."""

    def __init__(self, level: int, send: Send) -> None:
        super().__init__(level)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record to the driver."""
        event, facts = facts_of(record)
        self._send(Logged(record.name, record.levelno, event, facts))
