"""Rate and processor time of work on a Ray cluster on this machine with 0, 1, 2 or 4 workers.

    python -m benchmarks.ray_workers [play|judge|measure] [--n 128] [--latency 0.5]
        [--workers 0 1 2 4] [--json FILE]
    python -m benchmarks.ray_workers --each 16 --workers 1 2 4

`play` is a run of n conversations. `judge` applies the judge `friction` to n conversations, with
one call each. `measure` computes the measures of n conversations (`convogen stats`) without calls.
With 0 workers, one process does the same work. The endpoint (`endpoint.py`) answers each call after
the latency.

With `--each`, every worker adds that many calls in flight, as if it had its own server. The rate
then grows with the number of workers as long as latency limits it, and grows more slowly once
processors do. Without `--each`, the number of calls in flight does not depend on the workers.

Figures cover the middle eight tenths of the calls. The figures for the driver and the workers are
processor times per call, which show how many workers one driver can serve regardless of other load.
`measure` counts conversations instead of calls, from the first to the last, once the cluster and
its processes have started. Linux only.
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
from benchmarks.metrics import write_corpus
from benchmarks.served import ROOT, serving
from convogen import Experiment, judge_run, run
from convogen.corpora import open_corpus
from convogen.engine.distributed.ray_cluster import RayWorkers
from convogen.engine.distributed.ray_connection import RayCluster
from convogen.engine.distributed.ray_spread import RaySpread
from convogen.metrics import tally_corpus
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.storage.run_folder import Run

TURNS = 10
TICKS = os.sysconf("SC_CLK_TCK")


def experiment(n: int, base_url: str, in_flight: int) -> Experiment:
    """Return chats of three people and ten turns after the starter, in lanes that rarely wait."""
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
    """A log handler that collects the process ids of the workers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Store the process id of a worker that has started."""
        if record.getMessage() == "worker":
            self.found.append(record.__dict__["pid"])


class Clocks(RunProgress):
    """Progress that reads the clocks when a tenth and nine tenths of the calls are answered."""

    def __init__(self, calls: int, pids: Sequence[int]) -> None:
        super().__init__()
        self._at = [calls // 10, calls * 9 // 10]
        self._pids = pids
        self.read: list[dict[str, float]] = []

    def add(self, what: str, n: int = 1) -> None:
        """Count, and read the clocks if they are due."""
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

    def between(self) -> dict[str, float]:
        """Return the differences between the two readings."""
        first, last = self.read
        return {key: last[key] - first[key] for key in first}


def _cpu_s(pid: int) -> float:
    """Return the processor time that another process has used, in seconds (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def play(n: int, base_url: str, n_workers: int, folder: Path, in_flight: int) -> dict[str, float]:
    """Play one run in this process and return its figures."""
    clocks = Clocks(n * (2 * TURNS + 1), worker_pids())
    workers = RayWorkers("local", n_workers) if n_workers else None
    run(experiment(n, base_url, in_flight), folder / "run", tally=clocks, workers=workers)
    return clocks.between()


def judge(n: int, base_url: str, n_workers: int, folder: Path, in_flight: int) -> dict[str, float]:
    """Judge a synthetic run in this process and return the figures."""
    write_corpus(folder / "made.jsonl", n)
    (folder / "manifest.json").write_text('{"fingerprint": "0"}')
    with (folder / "conversations.jsonl").open("wb") as file:
        file.writelines(one.to_line() for one in open_corpus(folder / "made.jsonl"))
    clocks = Clocks(n, worker_pids())
    workers = RayWorkers("local", n_workers) if n_workers else None
    spec = ModelSpec(name="test", base_url=base_url)
    judge_run(
        Run(folder), "friction", spec, concurrency=min(in_flight, 64), tally=clocks, workers=workers
    )
    return clocks.between()


def measure(
    n: int, base_url: str, n_workers: int, folder: Path, in_flight: int
) -> dict[str, float]:
    """Measure a synthetic corpus in this process and return the figures."""
    del base_url, in_flight
    write_corpus(folder / "warm.jsonl", 2_000)
    write_corpus(folder / "made.jsonl", n)
    with RayCluster("local", n_workers or 1) as cluster:
        processes = RaySpread(cluster) if n_workers else 1
        tally_corpus(open_corpus(folder / "warm.jsonl"), workers=processes)
        began_s, cpu_s = time.perf_counter(), time.process_time()
        tally_corpus(open_corpus(folder / "made.jsonl"), workers=processes)
        wall_s, cpu_s = time.perf_counter() - began_s, time.process_time() - cpu_s
    return {"calls": n, "wall_s": wall_s, "driver_s": cpu_s}


WORK = {"play": play, "judge": judge, "measure": measure}


def worker_pids() -> Sequence[int]:
    """Return a list to which the process ids of workers are added as they start."""
    pids = Pids()
    log = logging.getLogger("convogen.cluster")
    log.addHandler(pids)
    log.setLevel(logging.INFO)
    return pids.found


def measure_apart(
    what: str, n: int, base_url: str, n_workers: int, each: int | None
) -> dict[str, Any]:
    """Do the work in a separate process, which prints its figures as a line of JSON."""
    argv = [sys.executable, "-m", "benchmarks.ray_workers", what, "--n", str(n)]
    argv += ["--measure", base_url, "--workers", str(n_workers)]
    argv += ["--each", str(each)] if each else []
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure each number of workers and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=list(WORK), default="play")
    parser.add_argument("--n", type=int, default=128, help="conversations")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds per call")
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--each", type=int, help="calls in flight per worker (default: n in total)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        n_workers = options.workers[0]
        in_flight = options.each * max(1, n_workers) if options.each else options.n
        with tempfile.TemporaryDirectory() as folder:
            took = WORK[options.what](
                options.n, options.measure, n_workers, Path(folder), in_flight
            )
        print(json.dumps({"workers": n_workers, **took}))
        return
    found: list[dict[str, Any]] = []
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    unit = "conversation" if options.what == "measure" else "call"
    print(f"| workers | {unit}s/s | driver, ms per {unit} | workers, ms per {unit} |")
    print("| --- | ---: | ---: | ---: |")
    with serving(Settings(latency_s=options.latency)) as endpoint:
        for n_workers in options.workers:
            took = measure_apart(
                options.what, options.n, endpoint.base_url, n_workers, options.each
            )
            found.append(took)
            spent_s = (took["driver_s"], took.get("workers_s") if n_workers else None)
            ms = ["" if s is None else f"{1000 * s / took['calls']:.2f}" for s in spent_s]
            rate = took["calls"] / took["wall_s"]
            print(f"| {n_workers} | {rate:.0f} | {ms[0]} | {ms[1]} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
