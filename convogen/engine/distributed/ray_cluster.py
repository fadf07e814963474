"""Workers on a Ray cluster; the only importer of Ray, an optional extra."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from convogen.engine.distributed.driver import RemoteDoer
from convogen.engine.distributed.driver_calls import RemoteModel
from convogen.engine.distributed.messages import Batch, Hello, Setup, ToWorker
from convogen.engine.distributed.slots import WorkerGone
from convogen.engine.distributed.worker import Worker
from convogen.engine.workers import Job, TaskDoer
from convogen.errors import ClusterError, ModelConfigError
from convogen.models.base import ChatModel
from convogen.models.spec import ModelSpec
from convogen.text.counting import counted
from convogen.text.extras import optional_module

__all__ = ["LOCAL", "RayWorkers", "WorkerActor"]

LOCAL = "local"
"""Used instead of an address: a cluster on this machine for this run only."""

START_S = 120.0
"""Seconds that a worker may take to start; the run continues without slower ones."""

OBJECT_STORE_BYTES = 100 << 20
"""The object store of a local cluster: messages are small and short-lived."""

CONNECT_S = 10.0
LARGEST_PORT = 65_535

CALLS = 64
"""Concurrent method calls of an actor: two are in flight, and more if a driver is slow."""

T = TypeVar("T")


class WorkerActor(Worker):
    """A worker as a Ray actor; its name says what it does on Ray's dashboard."""

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def __repr__(self) -> str:
        return self._title

    async def start(self, setup: Setup) -> Hello:
        """Open what the worker does, its process being Ray's for this alone."""
        self.own_process(setup.log_level)
        return await super().start(setup)


class RayWorkers:
    """The workers of a run, or of a judge, on a Ray cluster.

    Args:
        address: `local` for a cluster on this machine that ends with the run, `auto` for the one
            that is running here, or the address of a head node (`10.0.0.1:6379`).
        n_workers: How many processes work; by default as many as the cluster has processors.
    """

    def __init__(self, address: str = LOCAL, n_workers: int | None = None) -> None:
        self._address = address
        self._n_workers = n_workers
        self._n_models = 0

    def check(self, specs: Iterable[ModelSpec]) -> None:
        """Raise `UserError` if Ray is missing, or a model cannot be named to another machine.

        Ray's task arguments are visible, so a URL must not contain secrets.
        """
        if optional_module("ray") is None:
            raise ClusterError("Ray is not installed: pip install 'convogen[ray]'")
        for spec in specs:
            if spec != spec.public():
                raise ModelConfigError(
                    f"the URL of {spec.identity} holds a secret or a query, which would be seen in "
                    "Ray's task arguments; name the variable of a key with api_key_env, or set "
                    "OPENAI_BASE_URL where the workers start"
                )

    def open_model(self, spec: ModelSpec) -> ChatModel:
        """Return the stand-in for the next endpoint of the run."""
        self._n_models += 1
        return RemoteModel(self._n_models - 1)

    @asynccontextmanager
    async def start(self, job: Job) -> AsyncGenerator[TaskDoer[Any]]:
        """Connect to the cluster, start the workers, and end them with the block."""
        ours = await asyncio.to_thread(self._connect)
        _take_signals_back()
        try:
            async with RemoteDoer(job, self._count(job), _Spawner(job.name)) as doer:
                yield doer
        finally:
            if ours:
                await asyncio.to_thread(_ray().shutdown)

    def _connect(self) -> bool:
        """Connect to the cluster; return False if this process was connected already.

        Called in a thread, since Ray would otherwise handle this process' signals.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = _ray()
        if ray.is_initialized():
            return False
        _check_address(self._address)
        options: dict[str, Any] = {"address": self._address}
        log = logging.getLogger("ray")
        log.setLevel(max(log.level, logging.ERROR))
        if self._address == LOCAL:
            options |= {
                "num_cpus": self._n_workers or os.cpu_count(),
                "include_dashboard": False,
                "object_store_memory": OBJECT_STORE_BYTES,
                "_node_ip_address": "127.0.0.1",
            }
        try:
            ray.init(
                **options, log_to_driver=False, configure_logging=False, logging_level=logging.ERROR
            )
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise ClusterError(
                f"--ray {self._address}: no Ray cluster could be reached: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
        return True

    def _count(self, job: Job) -> int:
        """Return how many workers to start; more than lineages would have nothing to do."""
        wanted = self._n_workers or int(_ray().cluster_resources().get("CPU", 1))
        lineages = job.lineages
        if lineages is None or wanted <= lineages:
            return max(1, wanted)
        job.tally.say(
            f"starts {lineages} of {wanted} workers: this experiment has "
            f"{counted(lineages, 'lineage')} (lanes or topics), and each stays on one worker"
        )
        return lineages


def _take_signals_back() -> None:
    """Let Python handle the signals for which Ray's library would print a stack trace."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def _check_address(address: str) -> None:
    """Raise `ClusterError` if nothing listens at an address: Ray itself would try for minutes."""
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > LARGEST_PORT or "/" in host:
        raise ClusterError(
            f"--ray {address}: must be local, auto, or HOST:PORT of a cluster's head, which "
            "`ray start --head` prints"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except OSError as error:
        raise ClusterError(
            f"--ray {address}: nothing listens there ({error.strerror or error}); start a cluster "
            "with `ray start --head`, or use --ray local"
        ) from error


class _Spawner:
    """Starts the actors of a job, spread over the nodes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._actor = _ray().remote(WorkerActor)

    async def __call__(self, number: int) -> _RayWorker:
        title = f"convogen {self._name} worker {number}"
        actor = self._actor.options(
            num_cpus=1,
            scheduling_strategy="SPREAD",
            max_concurrency=CALLS,
        ).remote(title)
        return _RayWorker(actor, title)


class _RayWorker:
    """A worker that runs as an actor."""

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
                f"not started within {START_S:.0f} s; does the cluster have a free processor?"
            ) from None

    async def deliver(self, messages: list[ToWorker]) -> None:
        await _answer(self._deliver(messages))

    async def collect(self) -> Batch:
        return cast("Batch", await _answer(self._collect()))

    def kill(self) -> None:
        _ray().kill(self._actor)


async def _answer(call: Awaitable[T]) -> T:
    """Return the result of an actor's method; raises `WorkerGone` if the actor is dead."""
    from ray.exceptions import RayActorError, RayTaskError

    try:
        return await call
    except RayActorError as error:
        raise WorkerGone(" ".join(str(error).split())[:300]) from None
    except RayTaskError as error:
        raise error.cause or error from None


def _ray() -> Any:
    import ray

    return ray
