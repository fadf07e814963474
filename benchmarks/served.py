"""Test endpoints in separate processes, started and stopped by a context manager."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.endpoint import Settings

__all__ = ["ROOT", "Served", "serving"]

ROOT = Path(__file__).resolve().parent.parent


class Served:
    """A running test endpoint: one process, or replicas behind one port."""

    def __init__(self, started: list[dict[str, str]]) -> None:
        self.base_url = started[0]["base_url"]
        self._urls = [each["stats"] for each in started]

    def stats(self) -> dict[str, float]:
        """Return the counts so far, summed over the replicas; times are in seconds."""
        found = [json.load(urllib.request.urlopen(url, timeout=30)) for url in self._urls]
        keys = {key for each in found for key in each} - {"at_s"}
        total = {key: sum(each.get(key) or 0 for each in found) for key in sorted(keys)}
        return {**total, "at_s": found[0]["at_s"]}


@contextmanager
def serving(
    settings: Settings, *, replicas: int = 1, cores: Collection[int] | None = None
) -> Iterator[Served]:
    """Run a test endpoint during the block, on `cores` only if they are given.

    The slots, the queue and the limits per minute are divided among the replicas. The kernel
    decides which replica receives a connection.
    """
    with ExitStack() as stack:
        started: list[dict[str, str]] = []
        for _ in range(replicas):
            port = started[0]["base_url"].split(":")[2].removesuffix("/v1") if started else "0"
            process = stack.enter_context(_process(_share(settings, replicas), port, cores))
            assert process.stdout is not None
            started.append(json.loads(process.stdout.readline()))
        yield Served(started)


def _share(settings: Settings, replicas: int) -> Settings:
    limits = ("slots", "queue", "requests_per_minute", "tokens_per_minute")
    each = {name: getattr(settings, name) for name in limits}
    whole = ("slots", "queue")
    share: dict[str, Any] = {
        name: value // replicas if name in whole else value / replicas
        for name, value in each.items()
        if value is not None
    }
    return replace(settings, **share)


@contextmanager
def _process(
    settings: Settings, port: str, cores: Collection[int] | None
) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "benchmarks.endpoint", "--port", port]
    process = subprocess.Popen(
        [*command, "--settings", json.dumps(asdict(settings))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    if cores is not None:
        os.sched_setaffinity(process.pid, cores)
    with process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
