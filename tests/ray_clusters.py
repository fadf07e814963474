"""A Ray cluster of two nodes on this machine, and the runs that use it."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["KEY", "Cluster", "logged", "running_cluster", "worker_pids"]

_PROGRAM = Path(__file__).parent / "programs" / "ray_cluster.py"

KEY = "sk-a-key-that-nobody-may-see"
"""The value of `WORKERS_KEY` in the environment of workers."""


@dataclass(frozen=True)
class Cluster:
    """The address of a running cluster, and the environment of its users."""

    address: str
    environment: dict[str, str]


@contextmanager
def running_cluster(cpus: int) -> Iterator[Cluster]:
    """Start two nodes with this number of processors each, which end with the block."""
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_prestart_worker_first_driver": "0",  # four unused processes per driver
        "RAY_worker_niceness": "0",  # default 15, so that other tests leave workers no processor
        "WORKERS_KEY": KEY,
    }
    process = subprocess.Popen(
        [sys.executable, _PROGRAM, str(cpus)],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:  # the process ends at the end of its input
        assert process.stdout is not None
        yield Cluster(process.stdout.readline().strip(), environment)


def logged(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's log."""
    return [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


def worker_pids(folder: Path) -> list[int]:
    """Return the process ids of the workers that have started, according to the run's log."""
    return [row["pid"] for row in logged(folder) if row["event"] == "worker"]
