"""Workers in this process that die when a test demands it: everything except Ray itself.

All data to and from the workers is pickled, as it would be between machines.
"""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from convogen.engine.distributed.driver import RemoteDoer
from convogen.engine.distributed.driver_calls import RemoteModel
from convogen.engine.distributed.messages import Batch, Hello, Setup, Stop, ToWorker
from convogen.engine.distributed.slots import WorkerGone
from convogen.engine.distributed.worker import Worker
from convogen.engine.workers import Job, TaskDoer
from convogen.models.base import ChatModel
from convogen.models.spec import ModelSpec

__all__ = ["InProcessWorkers"]

T = TypeVar("T")


class InProcessWorkers:
    """Workers for `run(workers=…)` and `judge_run(workers=…)`.

    Args:
        n_workers: Number of workers.
        open_model: Function that creates the models that the workers call.
        dies: Function that receives the number of batches from all workers so far. It returns
            whether the worker dies just before the driver receives this batch.
        room: Maximum number of workers that may be started, including replacements.
    """

    def __init__(
        self,
        n_workers: int,
        open_model: Callable[[ModelSpec], ChatModel],
        dies: Callable[[int], bool] = lambda batch: False,
        room: int = 1000,
    ) -> None:
        self._n_workers = n_workers
        self._open_model = open_model
        self._dies = dies
        self._room = room
        self._n_models = 0
        self.batches = 0
        self.lost: list[Batch] = []
        """Batches that died with their workers."""

        self.setups: list[Setup] = []

    def check(self, specs: Iterable[ModelSpec]) -> None:
        """Accept any model."""

    def open_model(self, spec: ModelSpec) -> ChatModel:
        self._n_models += 1
        return RemoteModel(self._n_models - 1)

    @asynccontextmanager
    async def start(self, job: Job) -> AsyncGenerator[TaskDoer[Any]]:
        async with RemoteDoer(job, self._n_workers, self._spawn) as doer:
            yield doer

    async def _spawn(self, number: int) -> _Process:
        if not self._room:
            raise WorkerGone("no room")
        self._room -= 1
        return _Process(self, Worker(self._open_model))

    def collected(self, batch: Batch) -> bool:
        """Return whether the worker of a batch survives."""
        self.batches += 1
        if self._dies(self.batches):
            self.lost.append(batch)
            return False
        return True


class _Process:
    def __init__(self, owner: InProcessWorkers, worker: Worker) -> None:
        self._owner = owner
        self._worker: Worker | None = worker

    async def start(self, setup: Setup) -> Hello:
        self._owner.setups.append(setup)
        return _sent(await self._living().start(_sent(setup)))

    async def deliver(self, messages: list[ToWorker]) -> None:
        await self._living().deliver(_sent(messages))
        await asyncio.sleep(0)

    async def collect(self) -> Batch:
        batch = await self._living().collect()
        self._living()
        if not self._owner.collected(batch):
            await self._living().deliver(
                [Stop()]
            )  # nobody receives the result, but a chat must be ended
            self._worker = None
        self._living()
        return _sent(batch)

    def kill(self) -> None:
        self._worker = None

    def _living(self) -> Worker:
        if self._worker is None:
            raise WorkerGone("killed by the test")
        return self._worker


def _sent(value: T) -> T:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own, just written
