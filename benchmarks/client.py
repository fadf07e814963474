"""The client of a traffic benchmark, in a separate process: `python -m benchmarks.client JSON`.

The argument is an `Order`. The client prints the resulting `Taken` as a line of JSON. A small
warm-up precedes the measurement, so that it does not include imports.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.peers import PEERS, BareEndpoint, autogen_alone
from benchmarks.served import ROOT
from convogen.engine.ordered_tasks import run_until_complete
from convogen.engine.runner import run_async
from convogen.experiment.experiment import Experiment
from convogen.models.backends.dialect import Dialect
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ChatModel, Request
from convogen.models.opening import open_model
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec

__all__ = ["Order", "Taken", "ordered", "started", "taken"]


@dataclass(frozen=True, slots=True)
class Order:
    """The work of a client: chats of `turns` replies after the starter, each with a selection.

    `what` is `run` (convogen on an endpoint), `bare run` (the same over aiohttp alone), `scripted`
    (the same without HTTP), `autogen` or one of `benchmarks.peers.PEERS`. `core` is the only core
    that the client may use.
    """

    what: str
    chats: int
    turns: int = 10
    people: int = 3
    concurrency: int = 64
    base_url: str | None = None
    core: int | None = None

    def on(self, base_url: str) -> Order:
        """Return the same order for an endpoint."""
        return replace(self, base_url=base_url)


@dataclass(frozen=True, slots=True)
class Taken:
    """The calls that a client made, and the seconds of processor time and wall time they took.

    `waited_s` is the time in which the client was ready to run but other work used its core.
    """

    calls: int
    retries: int
    cpu_s: float
    wall_s: float
    waited_s: float

    @property
    def cpu_ms(self) -> float:
        """Return the processor time per call, in milliseconds."""
        return 1000 * self.cpu_s / self.calls


@contextmanager
def started(order: Order) -> Iterator[subprocess.Popen[str]]:
    """Start a client and yield its process, which prints `Taken` as a line of JSON."""
    command = [sys.executable, "-m", "benchmarks.client", json.dumps(asdict(order))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def taken(process: subprocess.Popen[str]) -> Taken:
    """Wait for a client and return its `Taken`; raise RuntimeError if the client failed."""
    said = process.communicate()[0]
    if process.returncode:
        raise RuntimeError(f"a client failed with exit status {process.returncode}")
    return Taken(**json.loads(said))


def ordered(order: Order) -> Taken:
    """Run a client with an order and return its `Taken`."""
    with started(order) as process:
        return taken(process)


def experiment(order: Order, chats: int, model: Any) -> Experiment:
    """Return the experiment of an order, without a hub whose rounds wait for each other."""
    return Experiment(
        {
            "name": "traffic",
            "n": chats,
            "iterative": False,
            "participants": order.people,
            "max_turns": order.turns + 1,
            "concurrency": order.concurrency,
            "models": model,
        }
    )


async def whole_run(
    chosen: Experiment, opened: Callable[[ModelSpec], ChatModel] = open_model
) -> RunProgress:
    """Generate a run in a temporary folder and return its counts."""
    tally = RunProgress()
    with tempfile.TemporaryDirectory() as folder:
        await run_async(chosen, f"{folder}/run", tally=tally, open_model=opened)
    return tally


async def bodies_of_chats(order: Order, calls: int) -> list[dict[str, Any]]:
    """Return `calls` request bodies: those of a short run, in order and repeated."""
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return improvise(request)

    await whole_run(experiment(order, 4, "scripted"), lambda _: ScriptedModel(script))
    bodies = [Dialect().body(request) for request in asked]
    return [bodies[at % len(bodies)] for at in range(calls)]


async def prepared(order: Order) -> tuple[Coroutine[Any, Any, RunProgress | None], int]:
    """Return the work of an order, warmed up, and its number of calls without retries."""
    calls = order.chats * (2 * order.turns + 1)
    if order.what in ("run", "bare run", "scripted"):
        url = order.base_url
        model = "scripted" if order.what == "scripted" else ModelSpec(name="test", base_url=url)
        opened = BareEndpoint if order.what == "bare run" else open_model
        await whole_run(experiment(order, 2, model), opened)
        return whole_run(experiment(order, order.chats, model), opened), calls
    if order.what == "autogen":
        await autogen_alone(2, order.people, order.turns)
        return autogen_alone(order.chats, order.people, order.turns), 2 * order.chats * order.turns
    assert order.base_url is not None
    ask, bodies = PEERS[order.what], await bodies_of_chats(order, calls)
    await ask(order.base_url, bodies[:8], 4)
    return ask(order.base_url, bodies, order.concurrency), calls


async def measured(order: Order) -> Taken:
    """Do the work of an order and return the measurements."""
    work, calls = await prepared(order)
    before = clocks()
    tally = await work
    took = [after - start for start, after in zip(before, clocks(), strict=True)]
    counts = tally.counts if tally else {}
    return Taken(counts.get("calls", calls), counts.get("retries", 0), *took)


def clocks() -> tuple[float, float, float]:
    """Return seconds of processor time, wall time and waiting for a core (proc(5), schedstat)."""
    waited_ns = int(Path("/proc/self/schedstat").read_text("ascii").split()[1])
    return time.process_time(), time.perf_counter(), waited_ns / 1e9


def main() -> None:
    """Measure the order in the argument and print the result as a line of JSON."""
    order = Order(**json.loads(sys.argv[1]))
    logging.disable(logging.WARNING)
    if order.core is not None:
        os.sched_setaffinity(0, [order.core])
    print(json.dumps(asdict(run_until_complete(measured(order)))))


if __name__ == "__main__":
    main()
