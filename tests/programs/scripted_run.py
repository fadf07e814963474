"""A run with the scripted model and random delays, for tests that kill it.

Usage: scripted_run.py FOLDER N CONCURRENCY ASKED [KILL_AFTER]

Each call appends a line to the file ASKED when it starts (`ask HASH`) and when it is answered
(`answer HASH`), in a single write. With KILL_AFTER, the process kills itself with SIGKILL after
that number of lines, whatever else is in progress.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

from convogen import Experiment, run
from convogen.models.backends.scripted import Script, ScriptedModel, improvise
from convogen.models.base import ModelReply, Request


def script(request: Request) -> str:
    """Return a reply that sometimes requires a retry or is not an experience."""
    rng = random.Random(request.hash)
    if request.role == "generator" and rng.random() < 0.5:
        return "no object here"
    if request.role == "agent" and rng.random() < 0.1:
        return rng.choice(["", "As an AI, I have no opinion.", "Goodbye!"])
    if request.role == "selector" and rng.random() < 0.2:
        return "nobody in particular"
    return improvise(request)


class SlowModel(ScriptedModel):
    """The scripted model with random delays, which records its requests and answers."""

    def __init__(self, asked: str, kill_after: int, replies: Script = script) -> None:
        super().__init__(replies)
        self._descriptor = os.open(asked, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._kill_after = kill_after
        self._delays = random.Random()

    def _note(self, what: str, request: Request) -> None:
        self._kill_after -= 1
        if self._kill_after == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(self._descriptor, f"{what} {request.hash}\n".encode())

    async def complete(self, request: Request) -> ModelReply:
        self._note("ask", request)
        await asyncio.sleep(self._delays.uniform(0, 0.004))
        reply = await super().complete(request)
        self._note("answer", request)
        return reply


def main() -> None:
    folder, n, concurrency, asked, *rest = sys.argv[1:]
    overrides = {
        "n": int(n),
        "models": "scripted",
        "concurrency": int(concurrency),
        "lanes": 2,
        "per_round": 3,
        "max_turns": 5,
        "reasks": 1,
        "max_failures": 1000,
    }
    model = SlowModel(asked, int(rest[0]) if rest else -1)
    run(Experiment.load("GPIS-s", overrides), folder, open_model=lambda _: model)


if __name__ == "__main__":
    main()
