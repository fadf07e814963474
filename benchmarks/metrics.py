"""Speed and memory of the metrics, against one process, 500 MB and the rouge-score package.

    python benchmarks/metrics.py [--conversations 100000] [--workers N]

Every figure is printed with its limit or reference. The corpus is synthetic: each conversation has
ten turns by three speakers, of twenty words each, drawn from a vocabulary by Zipf's law.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from itertools import accumulate
from pathlib import Path

LIMIT_MB = 500
ROUGE_TEXTS = 60
ROUGE_RATIO = 100


def write_corpus(path: Path, conversations: int) -> None:
    """Write synthetic conversations as JSON lines with `turns`, the same each time."""
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(20_000)]
    weights = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    with path.open("w", encoding="utf-8") as file:
        for _ in range(conversations):
            pool = rng.choices(words, cum_weights=weights, k=200)
            people = rng.sample(words[100:400], 3)
            turns = [
                {"speaker": rng.choice(people), "text": " ".join(pool[at : at + 20]) + "."}
                for at in range(0, 200, 20)
            ]
            file.write(json.dumps({"turns": turns, "topic": " ".join(pool[:4])}) + "\n")


def measure_here(path: str, workers: int) -> None:
    """Measure a corpus in this process; print the seconds in total and for counting alone."""
    from convogen.corpora import open_corpus
    from convogen.metrics import statistics_of, tally_corpus

    begin = time.perf_counter()
    tally = tally_corpus(open_corpus(path), workers=workers)
    counted = time.perf_counter()
    found = statistics_of(tally, "text")
    result = {"counted_s": counted - begin, "whole_s": time.perf_counter() - begin}
    print(json.dumps(result | {"conversations": found.conversations, "mtld": found.mtld_mean}))


def watch_tree(pid: int, cpu_s: dict[int, float]) -> tuple[float, float]:
    """Return the memory of a process and its descendants as PSS and as RSS, in MB.

    PSS counts shared pages once; RSS counts them in each process. The processor time of each
    process so far is written to `cpu_s`.
    """
    pss = rss = 0
    used: dict[int, float] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
            ticks = int(fields[11]) + int(fields[12])
            used[int(entry.name)] = ticks / os.sysconf("SC_CLK_TCK")
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        waiting.extend(children.get(one, []))
        cpu_s[one] = max(cpu_s.get(one, 0.0), used.get(one, 0.0))
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            pss += int(line.split()[1]) if line.startswith("Pss:") else 0
            rss += int(line.split()[1]) if line.startswith("Rss:") else 0
    return pss / 1024, rss / 1024


def measure_apart(path: Path, workers: int) -> dict[str, float]:
    """Measure in a separate process, and sample its memory ten times per second."""
    argv = [sys.executable, __file__, "--measure", str(path), "--workers", str(workers)]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    peak_pss = peak_rss = 0.0
    cpu_s: dict[int, float] = {}
    while child.poll() is None:
        pss, rss = watch_tree(child.pid, cpu_s)
        peak_pss, peak_rss = max(peak_pss, pss), max(peak_rss, rss)
        time.sleep(0.1)
    output = child.stdout.read() if child.stdout else ""
    if child.returncode:
        raise SystemExit(child.returncode)
    memory = {"peak_pss_mb": peak_pss, "peak_rss_mb": peak_rss}
    return (
        json.loads(output) | memory | {"cpu_s": sum(cpu_s.values()), "top_s": max(cpu_s.values())}
    )


def compare_rouge(path: Path) -> None:
    """Time ROUGE-L over all pairs of the first texts with both implementations."""
    from itertools import combinations, islice

    from rouge_score.rouge_scorer import RougeScorer

    from convogen.corpora import open_corpus
    from convogen.metrics.rouge import rouge_l_pairs

    conversations = islice(open_corpus(path), ROUGE_TEXTS)
    texts = ["\n".join(turn.text for turn in one.turns) for one in conversations]
    scorer = RougeScorer(["rougeL"])
    begin = time.perf_counter()
    theirs = [scorer.score(one, other)["rougeL"].fmeasure for one, other in combinations(texts, 2)]
    theirs_s = time.perf_counter() - begin
    rouge_l_pairs(texts[:2])
    rounds = 20
    begin = time.perf_counter()
    for _ in range(rounds):
        ours = rouge_l_pairs(texts)
    ours_s = (time.perf_counter() - begin) / rounds
    apart = max(abs(one - other) for one, other in zip(ours.tolist(), theirs, strict=True))
    print(f"ROUGE-L, {len(theirs)} pairs of {len(texts)} texts, one thread:")
    print(f"  rouge-score {theirs_s:.3f} s, ours {ours_s * 1000:.2f} ms")
    print(
        f"  ratio {theirs_s / ours_s:.0f} (target: {ROUGE_RATIO}), largest difference {apart:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--conversations", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure_here(options.measure, options.workers)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic.jsonl"
        write_corpus(path, options.conversations)
        size = path.stat().st_size / 2**20
        print(f"{options.conversations} synthetic conversations, {size:.0f} MB")
        if hasattr(os, "getloadavg"):
            print(f"load before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        one = measure_apart(path, 1)
        many = measure_apart(path, options.workers)
        for workers, run in ((1, one), (options.workers, many)):
            rate = options.conversations / run["counted_s"]
            print(
                f"{workers} process(es): {rate:.0f} conversations/s, whole {run['whole_s']:.1f} s"
            )
            memory = f"{run['peak_pss_mb']:.0f} MB, shared pages once"
            print(
                f"  peak memory {memory} (limit {LIMIT_MB}); RSS summed {run['peak_rss_mb']:.0f} MB"
            )
            busiest = f"{run['cpu_s']:.1f} s, in the busiest process {run['top_s']:.1f} s"
            print(f"  processor time {busiest}")
        speed_up = one["counted_s"] / many["counted_s"]
        print(f"speed-up {speed_up:.2f} on {options.workers} (limit: {options.workers})")
        bound = one["top_s"] / many["top_s"]
        print(f"  by processor time, as if no other program ran: {bound:.2f}")
        print(f"same MTLD: {one['mtld'] == many['mtld']}")
        compare_rouge(path)


if __name__ == "__main__":
    main()
