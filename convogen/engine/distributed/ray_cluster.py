"""Workers on a Ray cluster. Each worker is one actor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from convogen.engine.distributed.driver import RemoteDoer
from convogen.engine.distributed.driver_calls import RemoteModel
from convogen.engine.distributed.messages import Batch, Hello, Setup, ToWorker
from convogen.engine.distributed.ray_connection import (
    LOCAL,
    RayCluster,
    ray_module,
    take_signals_back,
)
from convogen.engine.distributed.slots import WorkerGone
from convogen.engine.distributed.worker import Worker
from convogen.engine.workers import Job, TaskDoer
from convogen.errors import ModelConfigError
from convogen.models.base import ChatModel
from convogen.models.spec import ModelSpec
from convogen.text.counting import counted

__all__ = ["RayWorkers", "WorkerActor"]

START_S = 120.0
"""Time limit in seconds for starting a worker. The run continues without slower workers."""

CALLS = 64
"""Maximum number of an actor's methods that run concurrently. Two are usual."""

T = TypeVar("T")


class WorkerActor(Worker):
    """A worker as a Ray actor. Ray's dashboard shows `title`."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def __repr__(self) -> str:
        return self._title

    async def start(self, setup: Setup) -> Hello:
        """Open the work, and set up the process, which runs only this worker."""
        self.own_process(setup.log_level)
        return await super().start(setup)


class RayWorkers:
    """The workers for a run or a judge on a Ray cluster.

    Args:
        cluster: The cluster or its address (`local`, `auto` or `10.0.0.1:6379`). If an address is
            given, the connection ends when the workers stop.
        n_workers: Number of worker processes. Default: the number of processors in the cluster.
    """

    def __init__(self, cluster: RayCluster | str = LOCAL, n_workers: int | None = None) -> None:
        self._lent = isinstance(cluster, RayCluster)
        self._cluster = (
            cluster if isinstance(cluster, RayCluster) else RayCluster(cluster, n_workers)
        )
        self._n_models = 0

    def check(self, specs: Iterable[ModelSpec]) -> None:
        """Raise `UserError` if Ray is missing, or if a model's URL must not be sent to workers.

        A URL must not contain secrets, because Ray's task arguments are visible.
        """
        self._cluster.check()
        for spec in specs:
            if spec != spec.public():
                raise ModelConfigError(
                    f"the URL of model {spec.identity} contains a secret or a query, which would "
                    "be visible in Ray's task arguments; set api_key_env to the environment "
                    "variable that holds the key, or set OPENAI_BASE_URL for the workers"
                )

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return a placeholder for the run's next endpoint, which only the workers call."""
        self._n_models += 1
        return RemoteModel(self._n_models - 1)

    @asynccontextmanager
    async def start(self, job: Job) -> AsyncGenerator[TaskDoer[Any]]:
        """Connect to the cluster, and start workers that stop at the end of the block."""
        await asyncio.to_thread(self._cluster.connect)
        take_signals_back()
        try:
            async with RemoteDoer(job, self._count(job), _Spawner(job.name)) as doer:
                yield doer
        finally:
            if not self._lent:
                await asyncio.to_thread(self._cluster.close)

    def _count(self, job: Job) -> int:
        """Return the number of workers to start, at most one per lineage because further workers
        would be idle."""
        wanted, lineages = self._cluster.n_workers, job.lineages
        if lineages is None or wanted <= lineages:
            return wanted
        job.tally.say(
            f"starting {lineages} of {wanted} workers, because this experiment has only "
            f"{counted(lineages, 'lineage')} (lanes or topics), and each lineage stays on one "
            "worker"
        )
        return lineages


class _Spawner:
    """A factory for a job's actors, which are spread over the nodes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._actor = ray_module().remote(WorkerActor)

    async def __call__(self, number: int) -> _RayWorker:
        title = f"convogen {self._name} worker {number}"
        actor = self._actor.options(
            num_cpus=1,
            scheduling_strategy="SPREAD",
            max_concurrency=CALLS,
        ).remote(title)
        return _RayWorker(actor, title)


class _RayWorker:
    """A worker that runs as a Ray actor."""

    def __init__(self, actor: Any, title: str) -> None:
        self._actor = actor
        self._start = actor.start.options(name=f"{title}: start").remote
        self._deliver = actor.deliver.options(name=f"{title}: tasks").remote
        self._collect = actor.collect.options(name=f"{title}: answers").remote

    async def start(self, setup: Setup) -> Hello:
        try:
            async with asyncio.timeout(START_S):
                return cast("Hello", await _answer(self._start(setup)))
        except TimeoutError:
            self.kill()
            raise WorkerGone(
                f"it did not start within {START_S:.0f} s; check that the cluster has a free "
                "processor"
            ) from None

    async def deliver(self, messages: list[ToWorker]) -> None:
        await _answer(self._deliver(messages))

    async def collect(self) -> Batch:
        return cast("Batch", await _answer(self._collect()))

    def kill(self) -> None:
        ray_module().kill(self._actor)


async def _answer(call: Awaitable[T]) -> T:
    """Return the result of an actor's method; raise `WorkerGone` if the actor is dead."""
    from ray.exceptions import RayActorError, RayTaskError

    try:
        return await call
    except RayActorError as error:
        raise WorkerGone(" ".join(str(error).split())[:300]) from None
    except RayTaskError as error:
        raise error.cause or error from None
