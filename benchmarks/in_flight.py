"""Thousands of chats in flight in one process: memory per chat, processor time per call, lag.

    python -m benchmarks.in_flight [--chats 100 1000 10000] [--json FILE]

Each chat waits most of the time for a model that takes about a minute per call. This time passes on
a virtual clock (as in `tests/virtual_time.py`), so the figures depend only on this process and not
on other load. They are the processor time, the peak of the resident memory, and the longest lag,
which is the processor time between two polls of the event loop. The duration of the run on the
virtual clock is compared with the shortest possible duration, which shows how fast the search for
the concurrency limit is. HTTP is not included. Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.scale import rss_mb
from benchmarks.served import ROOT
from convogen import Experiment
from convogen.engine.ordered_tasks import COLLECTOR
from convogen.engine.runner import run_async
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import ModelReply, Request
from convogen.models.progress import RunProgress

LATENCY_S = 60.0
SPREAD = 0.25
"""Largest relative deviation of the latency; the deviation is determined by the request."""

TURNS = 4


class Jumping(selectors.DefaultSelector):
    """A selector that never waits but advances a virtual clock; it records the time between
    calls."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.away_s: list[float] = []
        self._left = time.thread_time()

    def select(self, timeout: float | None = None) -> list[Any]:
        """Return the ready events; if there are none, advance the clock by the timeout."""
        self.away_s.append(time.thread_time() - self._left)
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        self._left = time.thread_time()
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that uses the virtual clock."""

    def __init__(self) -> None:
        self.jumping = Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        """Return the seconds on the virtual clock."""
        return self.jumping.now


class Slow(ScriptedModel):
    """A model that answers after a minute; it records the peak of waiting calls and of memory."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting = self.most = 0
        self.most_mb = 0.0

    async def complete(self, request: Request) -> ModelReply:
        """Return a reply after the latency."""
        self.waiting += 1
        if self.waiting > self.most:
            self.most = self.waiting
            if self.most % 50 == 0:
                self.most_mb = rss_mb()
        drawn = int(request.hash, 16) / 16**24
        await asyncio.sleep(LATENCY_S * (1 - SPREAD + 2 * SPREAD * drawn))
        self.waiting -= 1
        return await super().complete(request)


def experiment(chats: int) -> Experiment:
    """Return a run of all chats at once on an endpoint, so that concurrency is adapted."""
    return Experiment(
        {
            "name": "many",
            "n": chats,
            "iterative": False,
            "participants": 2,
            "max_turns": TURNS + 1,
            "speaker_selection": "round_robin",
            "concurrency": chats,
            "models": {"name": "any", "base_url": "http://127.0.0.1:9/v1"},
        }
    )


def measure(chats: int) -> None:
    """Play this many chats at the same time in this process; print the figures as JSON."""
    logging.disable(logging.WARNING)
    gc.set_threshold(*COLLECTOR)

    async def play(n: int, model: Slow) -> RunProgress:
        tally = RunProgress()
        with tempfile.TemporaryDirectory() as folder:
            await run_async(experiment(n), folder, tally=tally, open_model=lambda _: model)
        return tally

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(play(4, Slow()))  # imports
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        loop.jumping.away_s.clear()
        before_mb, cpu_s, began_s = rss_mb(), time.process_time(), loop.time()
        model = Slow()
        tally = runner.run(play(chats, model))
        cpu_s = time.process_time() - cpu_s
    away_s = sorted(loop.jumping.away_s)
    calls = tally.counts["calls"]
    took = {
        "chats": chats,
        "calls": calls,
        "most_in_flight": model.most,
        "kb_a_chat": 1024 * (model.most_mb - before_mb) / model.most,
        "cpu_ms_a_call": 1000 * cpu_s / calls,
        "longest_away_s": away_s[-1],
        "times_the_ideal": (loop.time() - began_s) / (LATENCY_S * (TURNS + 1)),
    }
    print(json.dumps(took))


def main() -> None:
    """Measure each number of chats in a separate process and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chats", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    found: list[dict[str, float]] = []
    print("| chats | most in flight | kB per chat | ms per call | longest lag, s | times ideal |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")
    for chats in options.chats:
        argv = [sys.executable, "-m", "benchmarks.in_flight", "--measure", str(chats)]
        done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        took = json.loads(done.stdout.splitlines()[-1])
        found.append(took)
        print(
            f"| {chats:,} | {took['most_in_flight']:,} | {took['kb_a_chat']:.0f} | "
            f"{took['cpu_ms_a_call']:.2f} | {took['longest_away_s']:.2f} | "
            f"{took['times_the_ideal']:.2f} |",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
