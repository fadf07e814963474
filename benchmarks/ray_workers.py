"""A run on a Ray cluster of this machine with 0, 1, 2, 4 workers: calls a second, processor time.

    python -m benchmarks.ray_workers [--n 128] [--latency 0.5] [--workers 0 1 2 4] [--json FILE]
    python -m benchmarks.ray_workers --each 16 --workers 1 2 4

0 workers is the same run in one process. With `--each`, every worker adds so many calls in flight,
as a server of its own would: the rate grows with the workers while the latency limits it, and falls
behind once processors do. Without it the calls in flight are the same for all. The endpoint
(`endpoint.py`) answers each call after the latency. Figures are from a tenth to nine tenths of the
calls; those of the driver and of the workers are processor time per call, which says how many
workers one driver can feed whatever else the machine does. Linux only.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.endpoint import Settings
from benchmarks.served import ROOT, serving
from convogen import Experiment, run
from convogen.engine.distributed.ray_cluster import RayWorkers
from convogen.models.progress import RunProgress

TURNS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def experiment(n: int, base_url: str, in_flight: int) -> Experiment:
    """Chats of three people and ten turns after the starter, in lanes that hardly wait."""
    return Experiment(
        {
            "name": "ray",
            "n": n,
            "lanes": 16,
            "per_round": max(1, n // 16),
            "participants": 3,
            "max_turns": TURNS + 1,
            "concurrency": in_flight,
            "models": {"name": "test", "base_url": base_url},
        }
    )


class Pids(logging.Handler):
    """The processes of the workers, as the driver logs them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take the process of a worker that has started."""
        if record.getMessage() == "worker":
            self.found.append(record.__dict__["pid"])


class Clocks(RunProgress):
    """Reads the clocks when a tenth and when nine tenths of the calls are answered."""

    def __init__(self, calls: int, pids: Sequence[int]) -> None:
        super().__init__()
        self._at = [calls // 10, calls * 9 // 10]
        self._pids = pids
        self.read: list[dict[str, float]] = []

    def add(self, what: str, n: int = 1) -> None:
        """Count, and read the clocks where they are due."""
        super().add(what, n)
        if what == "calls" and self._at and self.counts["calls"] >= self._at[0]:
            del self._at[0]
            self.read.append(
                {
                    "calls": self.counts["calls"],
                    "wall_s": time.perf_counter(),
                    "driver_s": time.process_time(),
                    "workers_s": sum(map(_cpu_s, self._pids)),
                }
            )


def _cpu_s(pid: int) -> float:
    """Seconds of processor time that another process has taken (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(n: int, base_url: str, n_workers: int, in_flight: int) -> None:
    """Do one run in this process; print what it took as a line of JSON."""
    pids = Pids()
    logging.getLogger("convogen.cluster").addHandler(pids)
    clocks = Clocks(n * (2 * TURNS + 1), pids.found)
    workers = RayWorkers("local", n_workers) if n_workers else None
    with tempfile.TemporaryDirectory() as folder:
        run(experiment(n, base_url, in_flight), f"{folder}/run", tally=clocks, workers=workers)
    first, last = clocks.read
    took = {key: last[key] - first[key] for key in first}
    print(json.dumps({"workers": n_workers, **took}))


def measure_apart(n: int, base_url: str, n_workers: int, each: int | None) -> dict[str, Any]:
    """`measure` in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.ray_workers", "--n", str(n)]
    argv += ["--measure", base_url, "--workers", str(n_workers)]
    argv += ["--each", str(each)] if each else []
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure each number of workers and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=128, help="conversations, all at once")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds a call takes")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--each", type=int, help="calls in flight per worker; default: n in all")
    parser.add_argument("--json", type=Path, help="write all figures to a file as well")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        n_workers = options.workers[0]
        in_flight = options.each * max(1, n_workers) if options.each else options.n
        measure(options.n, options.measure, n_workers, in_flight)
        return
    found: list[dict[str, Any]] = []
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("| workers | calls/s | driver, ms a call | workers, ms a call |")
    print("| --- | ---: | ---: | ---: |")
    with serving(Settings(latency_s=options.latency)) as endpoint:
        for n_workers in options.workers:
            took = measure_apart(options.n, endpoint.base_url, n_workers, options.each)
            found.append(took)
            ms = [1000 * took[key] / took["calls"] for key in ("driver_s", "workers_s")]
            rate = took["calls"] / took["wall_s"]
            print(f"| {n_workers} | {rate:.0f} | {ms[0]:.2f} | {ms[1]:.2f} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
