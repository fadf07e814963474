"""The resources for a large run, predicted from a small run, and a check of the prediction.

    python -m benchmarks.scale_arithmetic [--n 200] [--times 5] [--write FILE]
    python -m benchmarks.scale_arithmetic --table FILE

A small run on the test endpoint (`endpoint.py`) measures the resources per conversation: calls,
tokens, bytes in each file, processor time, and the driver's commit. From these figures alone, a run
that is `--times` as long is predicted. The longer run is then measured and compared with the
prediction. The experiment is GPIS-s with default settings except for eight lanes, so 64
conversations are played at a time. The endpoint has as many slots as calls may be in flight and
answers after the latency, so the endpoint limits the rate and not this machine. Its words are
canned: the bytes and generated tokens of a real model differ.

`--write` stores the constants. From them, `--table` prints the resources for a million and a
hundred million conversations, with assumed token rates that readers should replace with their own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.endpoint import Settings
from benchmarks.served import ROOT, serving
from convogen import Experiment, load_run, run
from convogen.models.progress import RunProgress
from convogen.storage.run_folder import RunStore

LANES = 8
FILES = ("conversations", "experiences", "calls", "ledger", "log", "failures")
SIZES = (10_000, 1_000_000, 100_000_000)

GENERATED_PER_S = 2_500.0
READ_PER_S = 20_000.0
"""Assumptions of `--table` about one GPU: generated tokens and uncached prompt tokens per second.
Neither was measured."""

CACHED = 0.8
"""Share of prompt tokens that come from the cache (README.md: traffic.py)."""

COUNTS = {"billion": 1e9, "million": 1e6, "thousand": 1e3}
BYTES = {"TB": 1e12, "GB": 1e9, "MB": 1e6}
SECONDS = {"days": 86_400.0, "hours": 3_600.0, "minutes": 60.0, "s": 1.0}

DRIVER_MS = 1.0
"""Processor time of a driver per call made by its workers (README.md: ray_workers.py)."""


def experiment(n: int, in_flight: int, base_url: str) -> Experiment:
    """Return the run that is measured."""
    models = {"name": "test", "base_url": base_url}
    return Experiment.load(
        "GPIS-s", {"n": n, "lanes": LANES, "concurrency": in_flight, "models": models}
    )


class Watch(RunProgress):
    """Progress that records the time of every call, and periodically the size of the journal."""

    EVERY = 100

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._journal = folder / "journal"
        self.calls_at: list[tuple[float, float]] = []
        self.journal_bytes = self.journals = 0

    def add(self, what: str, n: int = 1) -> None:
        """Count, and record the time and the journal's size."""
        super().add(what, n)
        if what != "calls":
            return
        self.calls_at.append((time.perf_counter(), time.process_time()))
        if len(self.calls_at) % self.EVERY == 0:
            sizes = [path.stat().st_size for path in self._journal.iterdir()]
            self.journals = max(self.journals, len(sizes))
            self.journal_bytes = max(self.journal_bytes, sum(sizes))


@contextmanager
def commits_timed() -> Generator[list[float]]:
    """Yield a list of the processor times of all commits within the block."""
    took: list[float] = []
    commit = RunStore.commit

    def timed(self: RunStore, *args: Any) -> None:
        began = time.thread_time()
        commit(self, *args)
        took.append(time.thread_time() - began)

    RunStore.commit = timed
    try:
        yield took
    finally:
        RunStore.commit = commit


def measure(n: int, in_flight: int, base_url: str) -> None:
    """Play one run in this process and print its figures as a line of JSON."""
    with tempfile.TemporaryDirectory() as temporary, commits_timed() as commits:
        folder = Path(temporary) / "run"
        watch = Watch(folder)
        began, cpu_s = time.perf_counter(), time.process_time()
        run(experiment(n, in_flight, base_url), folder, tally=watch)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        ledger: Counter[str] = Counter()
        for row in load_run(folder).ledger():
            ledger.update(prompt=row["prompt_tokens"], completion=row["completion_tokens"])
        sizes = {f"{name}_bytes": (folder / f"{name}.jsonl").stat().st_size for name in FILES}
    calls = watch.calls_at
    first, last = len(calls) // 10, len(calls) * 9 // 10
    between_s, busy_s = (calls[last][at] - calls[first][at] for at in (0, 1))
    took = {
        "conversations": n,
        "calls": len(calls),
        "prompt_tokens": ledger["prompt"],
        "generated_tokens": ledger["completion"],
        **sizes,
        "processor_s": cpu_s,
        "commit_s": sum(commits),
        "wall_s": wall_s,
        "calls_per_s": (last - first) / between_s,
        "processor_ms_a_call": 1000 * busy_s / (last - first),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "journals": watch.journals,
        "journal_bytes": watch.journal_bytes,
    }
    print(json.dumps(took))


def measure_apart(n: int, in_flight: int, base_url: str) -> dict[str, float]:
    """Call `measure` in a separate process and return its figures."""
    argv = [sys.executable, "-m", "benchmarks.scale_arithmetic", "--measure", base_url]
    argv += ["--n", str(n), "--in-flight", str(in_flight)]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def predicted(small: dict[str, float], n: int) -> dict[str, float]:
    """Return the figures predicted for n conversations from those of a smaller run.

    Rows and tokens grow in proportion to n. The predicted time is the time of the small run,
    including its start and end, plus the mean time per call in its middle part for each further
    call. Memory and journal depend on the calls in flight and stay the same.
    """
    times = n / small["conversations"]
    fixed = ("calls_per_s", "processor_ms_a_call", "peak_mb", "journals", "journal_bytes")
    found = {key: value * (1 if key in fixed else times) for key, value in small.items()}
    more = found["calls"] - small["calls"]
    wall_s = small["wall_s"] + more / small["calls_per_s"]
    processor_s = small["processor_s"] + more * small["processor_ms_a_call"] / 1000
    return {**found, "wall_s": wall_s, "processor_s": processor_s}


def comparison(small: dict[str, float], large: dict[str, float]) -> Iterable[str]:
    """Yield the rows of a Markdown table of predicted and measured figures."""
    n = int(large["conversations"])
    said = predicted(small, n)
    first = f"{small['conversations']:,.0f}"
    yield f"| measure | measured, {first} | predicted, {n:,} | measured, {n:,} | ratio |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for key in large:
        if key == "conversations" or not said[key]:
            continue
        ratio = large[key] / said[key]
        figures = (shown(one[key]) for one in (small, said, large))
        yield f"| {key.replace('_', ' ')} | {' | '.join(figures)} | {ratio:.2f} |"


def shown(value: float) -> str:
    """Return a number as text for a table."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def outlook(constants: dict[str, float], sizes: Iterable[int] = SIZES) -> Iterable[str]:
    """Yield the rows of a Markdown table of the resources for each number of conversations."""
    each = {key: value / constants["conversations"] for key, value in constants.items()}
    stored = sum(each[f"{name}_bytes"] for name in FILES)
    read = each["prompt_tokens"] * (1 - CACHED)
    gpu_s = each["generated_tokens"] / GENERATED_PER_S + read / READ_PER_S
    columns = [f"{n:,}" for n in sizes]
    yield f"| conversations | {' | '.join(columns)} |"
    yield "| --- |" + " ---: |" * len(columns)
    driver_s = each["calls"] * DRIVER_MS / 1000
    rows = {
        "calls": (each["calls"], COUNTS),
        "prompt tokens": (each["prompt_tokens"], COUNTS),
        "generated tokens": (each["generated_tokens"], COUNTS),
        "the run folder": (stored, BYTES),
        "of which `conversations.jsonl`": (each["conversations_bytes"], BYTES),
        "GPU time (assumed)": (gpu_s, SECONDS),
        "processor time of the workers": (each["processor_s"], SECONDS),
        "processor time of the driver": (driver_s, SECONDS),
        "of which commits": (each["commit_s"], SECONDS),
    }
    for name, (per, units) in rows.items():
        yield f"| {name} | {' | '.join(_in_units(n * per, units) for n in sizes)} |"


def _in_units(value: float, units: dict[str, float]) -> str:
    """Return a value in the largest unit in which it is at least 1."""
    unit = next((name for name, size in units.items() if value >= size), list(units)[-1])
    amount = value / units[unit]
    return f"{amount:,.0f} {unit}" if amount >= 10 else f"{amount:.1f} {unit}"


def main() -> None:
    """Measure, predict and measure again, or print a table from stored constants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="conversations in the small run")
    parser.add_argument("--times", type=int, default=5, help="ratio of the long to the small run")
    parser.add_argument("--latency", type=float, default=0.5, help="seconds per call")
    parser.add_argument("--in-flight", type=int, default=32, help="calls in flight")
    parser.add_argument("--write", type=Path, help="write the constants to this file")
    parser.add_argument("--table", type=Path, help="print the table from stored constants")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.table:
        print("\n".join(outlook(json.loads(options.table.read_text())["large"])))
        return
    if options.measure:
        measure(options.n, options.in_flight, options.measure)
        return
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    found: list[dict[str, float]] = []
    for n in (options.n, options.n * options.times):
        settings = Settings(latency_s=options.latency, slots=options.in_flight)
        with serving(settings) as endpoint:
            found.append(measure_apart(n, options.in_flight, endpoint.base_url))
    small, large = found
    print("\n".join(comparison(small, large)))
    ideal = options.in_flight / options.latency
    print(f"share of the endpoint's {ideal:.0f} calls/s: {large['calls_per_s'] / ideal:.2f}")
    print("\n".join(["", *outlook(large)]))
    if options.write:
        options.write.write_text(json.dumps({"small": small, "large": large}, indent=1) + "\n")


if __name__ == "__main__":
    main()
