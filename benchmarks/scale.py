"""Memory and rate over a long run, and the time to open the run again.

    python benchmarks/scale.py [--n 100000] [--out FOLDER] [--json FILE]

The run uses the scripted model, iterative sampling in four lanes, two people, and two turns per
conversation. It therefore measures convogen and AutoGen, not a model. The curve has up to a hundred
samples; with n = 100,000, each sample covers a thousand conversations.

On a shared machine, processor time depends on other load, so the rates at the start and at the end
are not taken from the curve. After the run, an extension of the run and a new run of the same
length are timed alternately, each in a separate process. The conversations during which the window
of tasks fills and empties are excluded. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from convogen import Experiment, run
from convogen.models.progress import RunProgress

SAMPLES = 100
SMALLEST = 100
START = 5
ROUNDS = 5
SLICE = 2000
BYTES_LIMIT = 192
RATE_LIMIT = 0.95
OPEN_LIMIT_S = 10.0
SETTINGS = {
    "models": "scripted",
    "iterative": True,
    "lanes": 4,
    "participants": 2,
    "max_turns": 2,
    "concurrency": 16,
}


def experiment(n: int) -> Experiment:
    """Return the run that is measured."""
    return Experiment.load("GPIS-s", {**SETTINGS, "n": n})


def rss_mb() -> float:
    """Return the current resident memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Curve(RunProgress):
    """Progress that takes a sample after every fixed number of committed conversations."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self._every = max(SMALLEST, n // SAMPLES)
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        self.samples: list[dict[str, float]] = []

    def add(self, what: str, n: int = 1) -> None:
        """Count, and take a sample if one is due."""
        super().add(what, n)
        if what != "conversations" or not n:
            return
        if self.counts[what] % self._every == 0:
            self._sample(self.counts[what])

    def _sample(self, done: int) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        sample = {
            "conversations": done,
            "rss_mb": rss_mb(),
            "wall_ms": (wall - self._wall) * 1000 / self._every,
            "cpu_ms": (cpu - self._cpu) * 1000 / self._every,
        }
        self._wall, self._cpu = wall, cpu
        self.samples.append(sample)
        print(row(sample), flush=True)


def row(sample: dict[str, float]) -> str:
    """Return a sample as a row of the table."""
    rate = 1000 / sample["wall_ms"]
    times = f"{sample['wall_ms']:9.2f} {sample['cpu_ms']:9.2f} {rate:9.1f}"
    return f"{sample['conversations']:13.0f} {sample['rss_mb']:8.1f} {times}"


def measure_open(folder: str, n: int) -> None:
    """Extend the run in a folder to n conversations in this process; print time and memory."""
    wall, cpu = time.perf_counter(), time.process_time()
    run(experiment(n), folder)
    took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
    print(json.dumps(took | {"rss_mb": rss_mb()}))


def apart(what: str, folder: Path, n: int) -> dict[str, float]:
    """Call `measure_open` or `measure_slice` in a separate process and return its figures."""
    argv = [sys.executable, __file__, "--n", str(n), f"--{what}", str(folder)]
    return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


class Slice(RunProgress):
    """Progress that reads the processor clock at every conversation."""

    def __init__(self) -> None:
        super().__init__()
        self.cpu_s: list[float] = []

    def add(self, what: str, n: int = 1) -> None:
        """Count, and read the clock."""
        super().add(what, n)
        if what == "conversations" and n:
            self.cpu_s.append(time.process_time())


def measure_slice(folder: str, n: int) -> None:
    """Extend the run in a folder to n conversations; print the processor time per conversation."""
    tally = Slice()
    run(experiment(n), folder, tally=tally)
    edge = len(tally.cpu_s) // 10
    inside = tally.cpu_s[edge:-edge]
    print(json.dumps({"cpu_ms": 1000 * (inside[-1] - inside[0]) / (len(inside) - 1)}))


def rates_in_turn(folder: Path, n: int) -> list[dict[str, float]]:
    """Return processor ms per conversation, alternating between the start and the end of a run."""
    size = min(SLICE, n // 5)
    found: list[dict[str, float]] = []
    for nth in range(ROUNDS):
        with tempfile.TemporaryDirectory() as new:
            start = apart("slice", Path(new) / "run", size)
        end = apart("slice", folder, n + (nth + 1) * size)
        found.append({"start_ms": start["cpu_ms"], "end_ms": end["cpu_ms"]})
    return found


def verdicts(
    samples: list[dict[str, float]], rates: list[dict[str, float]]
) -> list[tuple[str, float, float, str]]:
    """Return the values that have a limit, as tuples of name, value, limit and side."""
    return [
        ("bytes per conversation, from the memory after the start to the largest afterwards",
         growth(samples), BYTES_LIMIT, "at most"),
        ("rate at the end / at the start, median of alternating rounds",
         statistics.median(pair["start_ms"] / pair["end_ms"] for pair in rates),
         RATE_LIMIT, "at least"),
    ]  # fmt: skip


def growth(samples: list[dict[str, float]]) -> float:
    """Return the memory growth in bytes per conversation, of which the hub takes 80."""
    first = samples[START - 1]
    largest = max(sample["rss_mb"] for sample in samples[START:])
    conversations = samples[-1]["conversations"] - first["conversations"]
    return (largest - first["rss_mb"]) * 2**20 / conversations


def slope(samples: list[dict[str, float]]) -> float:
    """Return the slope of memory in bytes per conversation, over all samples after the start."""
    after = samples[START:]
    x = [sample["conversations"] for sample in after]
    y = [sample["rss_mb"] * 2**20 for sample in after]
    return statistics.linear_regression(x, y).slope


def measure(n: int, folder: Path) -> dict[str, Any]:
    """Run, print the curve and the ratios, and open the run again."""
    print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print("conversations   RSS MB   wall ms    cpu ms    rate/s   (per conversation)")
    curve = Curve(n)
    begin = time.perf_counter()
    run(experiment(n), folder, tally=curve)
    whole_s = time.perf_counter() - begin
    samples = curve.samples
    result: dict[str, Any] = {"n": n, "whole_s": whole_s, "samples": samples}
    size = sum(path.stat().st_size for path in folder.rglob("*.jsonl")) / 2**20
    print(f"\n{n} conversations in {whole_s:.0f} s, {size:.0f} MB of rows")
    result["bytes_a_conversation"] = slope(samples)
    print(f"growth after the start: {result['bytes_a_conversation']:.1f} bytes per conversation")
    for name, wanted in (("finished", n), ("unfinished", n + 1)):
        took = result[name] = apart("open", folder, wanted)
        share = took["wall_s"] / OPEN_LIMIT_S
        print(
            f"opening it {name}: {took['wall_s']:.1f} s (processor {took['cpu_s']:.1f}), "
            f"{took['rss_mb']:.0f} MB; {share:.2f} of the limit of {OPEN_LIMIT_S:.0f} s"
        )
    result["rates"] = rates_in_turn(folder, n + 1)
    result["ratios"] = verdicts(samples, result["rates"])
    for name, ratio, limit, side in result["ratios"]:
        print(f"{name}: {ratio:.3f} (limit: {side} {limit})")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000, help="conversations, at least 1000")
    parser.add_argument("--out", type=Path, help="run folder to keep (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--open", help=argparse.SUPPRESS)
    parser.add_argument("--slice", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        measure_open(options.open, options.n)
        return
    if options.slice:
        measure_slice(options.slice, options.n)
        return
    if options.n < 2 * START * SMALLEST:
        parser.error(f"--n must be at least {2 * START * SMALLEST}")
    with tempfile.TemporaryDirectory() as temporary:
        result = measure(options.n, options.out or Path(temporary) / "run")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
