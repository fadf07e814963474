"""The workers' model calls. The driver's traffic admits each attempt at a call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial

from convogen.engine.distributed.messages import (
    Asked,
    Attempted,
    CallEnded,
    Granted,
    ToldError,
    ToWorker,
)
from convogen.models.base import ModelReply, Request
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Traffic
from convogen.records import Usage

__all__ = ["RemoteModel", "WorkerCalls"]

_current: ContextVar[_Call] = ContextVar("convogen_worker_call")


class RemoteModel:
    """A placeholder for the model at an endpoint. The worker that makes the call makes the
    attempts."""

    def __init__(self, endpoint: int) -> None:
        self._endpoint = endpoint

    async def complete(self, request: Request) -> ModelReply:
        """Let the worker make the attempt. Return only the usage, because the worker keeps the
        reply."""
        usage = await _current.get().attempt(self._endpoint, probe=request.dialogue == "probe")
        return ModelReply("", usage, "stop")

    async def close(self) -> None:
        """Do nothing, because there is nothing to close."""


class _Call:
    """A worker's model call, which makes one attempt at a time."""

    def __init__(self, number: int, send: Callable[[ToWorker], None]) -> None:
        self._number = number
        self._send = send
        self._attempts = 0
        self._result: asyncio.Future[Usage] | None = None

    async def attempt(self, endpoint: int, *, probe: bool) -> Usage:
        self._attempts += 1
        self._result = asyncio.get_running_loop().create_future()
        self._send(Granted(self._number, endpoint, self._attempts, probe))
        return await self._result

    def attempted(self, message: Attempted) -> None:
        if self._result is None or self._result.done():
            return  # the call has been cancelled
        if message.fault is not None:
            self._result.set_exception(message.fault.error())
        else:
            self._result.set_result(message.usage or Usage())


class WorkerCalls:
    """One worker's in-flight calls. `send` sends a message to the worker."""

    def __init__(self, traffic: Traffic, send: Callable[[ToWorker], None]) -> None:
        self._traffic = traffic
        self._send = send
        self._calls: dict[int, tuple[_Call, asyncio.Task[None]]] = {}

    def ask(self, message: Asked, journal: Journal) -> asyncio.Task[None]:
        """Start admitting the attempts at a call; return a task that ends when the call ends.

        Attempts that may have been billed although no reply arrived are recorded in the journal.
        """
        call = _Call(message.call, self._send)
        task = asyncio.create_task(self._complete(call, message, journal))
        self._calls[message.call] = call, task
        task.add_done_callback(lambda _: self._calls.pop(message.call, None))
        return task

    async def _complete(self, call: _Call, message: Asked, journal: Journal) -> None:
        _current.set(call)
        request, role = message.request, message.request.role
        self._traffic.asking(role)
        before = None if message.before is None else self._traffic.endpoints[message.before]
        key = f"{request.hash}.lost"
        on_lost = partial(journal.record_lost_attempt, key=key, role=role, model=request.model)
        try:
            await self._traffic.complete(request, message.task, before, on_lost)
        except Exception as error:  # noqa: BLE001 - the worker raises it in the task
            self._send(CallEnded(message.call, ToldError.of(error)))

    def attempted(self, message: Attempted) -> None:
        """Pass the result of an attempt to its call."""
        if (known := self._calls.get(message.call)) is not None:
            known[0].attempted(message)

    def abandon(self, call: int) -> None:
        """Cancel a call. An attempt in flight counts as lost."""
        if (known := self._calls.get(call)) is not None:
            known[1].cancel()

    async def abandon_all(self) -> None:
        """Cancel all calls, because the worker that made them no longer runs."""
        tasks = [task for _, task in self._calls.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
