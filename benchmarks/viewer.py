"""The viewer with a large run: time until a page is shown, time to build the index, and memory.

    python -m benchmarks.viewer [--n 100000] [--folder FOLDER] [--json FILE]

The run is synthetic. Each task has three people, six to twelve turns of words drawn by Zipf's law,
three scores and one row in the ledger. Some tasks are rejected, ended early or failed. The server
is a separate process, started in the same way as by `convogen view`. Linux only.
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
import urllib.request
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, middle, table

LIST_LIMIT_S = 1.0
RSS_LIMIT_MB = 300.0
ROUNDS = 5
COMMON = "the of and to a in is you that it he was for on are as with his they I".split()
SEARCHES = {
    "the list": "/",
    "page 1,000 of the list": "/?page=1000",
    "a rare word": "/?q=w1999",
    "a word in nearly all conversations": "/?q=the",
    "best score first": "/?sort=best",
    "a speaker, and a reply requested again": "/?speaker=name7&check=asked_again%2Fecho",
}


def made_run(folder: Path, n: int) -> Path:
    """Write a synthetic run of `n` tasks and return its folder."""
    (folder / "scores" / "geval").mkdir(parents=True)
    (folder / "journal").mkdir()
    experiment = {"format": 3, "method": "convogen", "seed": 0}
    manifest = {"name": "made", "fingerprint": "0" * 16, "n": n, "complete": True}
    manifest |= {"models": {"agent": {"name": "made", "kind": "scripted"}}}
    manifest |= {"experiment": experiment}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    judged = {"fingerprint": "1" * 16, "judged_by": {"model": "made", "scale": [1, 5]}}
    (folder / "scores" / "geval" / "manifest.json").write_text(json.dumps(judged))
    draw = random.Random(1)
    names = ("experiences", "conversations", "rejected", "failures", "ledger", "scores/geval")
    files = {name: (folder / f"{name}.jsonl").open("w") for name in names}
    for task in range(n):
        for name, row in _rows(task, draw):
            files[name].write(json.dumps(row) + "\n")
    for file in files.values():
        file.close()
    return folder


_WORDS = [*COMMON, *(f"w{number}" for number in range(2000))]
_WEIGHTS = list(accumulate(1 / (rank + 2) for rank in range(len(_WORDS))))


def _text(draw: random.Random, least: int, most: int) -> str:
    return " ".join(draw.choices(_WORDS, cum_weights=_WEIGHTS, k=draw.randint(least, most)))


def _rows(task: int, draw: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    people = [f"name{number} family{number}" for number in draw.sample(range(5000), k=3)]
    scene = {name: _text(draw, 4, 12) for name in ("topic", "situation", "relations")}
    turns = [_turn(people[nth % len(people)], draw) for nth in range(draw.randint(6, 12))]
    opening = {"speaker": people[0], "text": turns[0]["text"]}
    personas = [{"name": name, "text": _text(draw, 10, 20)} for name in people]
    shots = [f"e-{draw.randrange(task)}"] if task else []
    experience = {"id": f"e-{task}", "task": task, "personas": personas, **scene}
    yield "experiences", {**experience, "starter": opening, "shots": shots, "admitted": True}
    usage = {"prompt_tokens": 900, "completion_tokens": 200}
    yield "ledger", {"task": task, "role": "agent", "model": "made", **usage, "at": 1e9 + task}
    conversation = {
        "id": f"c-{task}",
        "task": task,
        "method": "convogen",
        "experience": f"e-{task}",
        "participants": people,
        "context": scene,
        "turns": turns,
        "ended": "refusal" if task % 50 == 1 else "max_turns",
    }
    if task % 40 == 7:
        reason = {"id": f"c-{task}", "task": task, "gate": "safety", "reason": "a word"}
        yield "rejected", {**reason, "conversation": conversation}
    elif task % 100 == 9:
        what = {"stage": "groupchat", "kind": "echo", "message": "said what was said"}
        yield "failures", {"id": f"f-{task}", "task": task, **what}
    else:
        yield "conversations", conversation
        for aspect in ("topic", "situation", "overall"):
            value = draw.choice((1.0, 2.5, 4.0, 4.5, 5.0))
            score = {"conversation": f"c-{task}", "judge": "geval", "aspect": aspect}
            yield "scores/geval", {**score, "value": value}


def _turn(speaker: str, draw: random.Random) -> dict[str, Any]:
    reasks = ["echo"] if draw.random() < 0.05 else []
    turn = {"speaker": speaker, "text": _text(draw, 8, 30), "origin": "agent", "model": "made"}
    return {**turn, "reasks": reasks}


@contextmanager
def served(run: Path, cache: Path) -> Generator[tuple[str, int]]:
    """Start `convogen view` and yield its address and process id."""
    program = "from convogen.cli.main import main; main()"
    command = [sys.executable, "-c", program, "view", str(run), "--no-browser", "--port", "0"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[0].rstrip("/"), process.pid
    finally:
        process.terminate()
        process.wait(20)


def asked(url: str) -> float:
    """Return the seconds that a page takes to load."""
    began = time.perf_counter()
    with urllib.request.urlopen(url, timeout=120) as answer:
        answer.read()
    return time.perf_counter() - began


def processor_s(process: int) -> float:
    """Return the processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process: int, what: str = "VmRSS") -> float:
    """Return the memory of a process in MB: the current (`VmRSS`) or the peak (`VmHWM`)."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024


def measured(run: Path, n: int, cache: Path) -> list[Figure]:
    """Return the figures for a run, first without and then with an index."""
    began = time.perf_counter()
    with served(run, cache) as (address, process):
        first = asked(address)
        shown, started = time.perf_counter() - began, processor_s(process)
        while json.load(urllib.request.urlopen(f"{address}/live", timeout=60))["read"] < 100:
            time.sleep(2)
        built = time.perf_counter() - began
        peak, work = memory_mb(process, "VmHWM"), processor_s(process)
    size = sum(path.stat().st_size for path in cache.rglob("*.sqlite*")) / 2**20
    rows = [
        Figure("first page, from the start of the command, without an index", shown, "s"),
        Figure("… processor time", started, "s"),
        Figure("… of which the page itself", first, "s", LIST_LIMIT_S),
        Figure("building the index while serving pages", built, "s", about=f"{n:,} tasks"),
        Figure("… processor time", work, "s"),
        Figure("index on disk", size, "MB"),
        Figure("peak memory meanwhile", peak, "MB"),
    ]
    began = time.perf_counter()
    with served(run, cache) as (address, process):
        asked(address)
        rows.append(Figure("first page, with an index", time.perf_counter() - began, "s"))
        for name, path in SEARCHES.items():
            before = processor_s(process)
            times = [asked(address + path) for _ in range(ROUNDS)]
            work = (processor_s(process) - before) / ROUNDS
            how = f"processor time {work:.2f} s"
            rows.append(Figure(f"page: {name}", middle(times), "s", LIST_LIMIT_S, about=how))
        asked(f"{address}/conversation?id=c-{n // 2}")
        most = memory_mb(process, "VmHWM")
        rows.append(Figure("memory of the process", most, "MB", RSS_LIMIT_MB))
    return rows


def main() -> None:
    """Measure the viewer and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="write the run here, or use an existing one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = options.folder or Path(temporary) / "run"
        if not (run / "manifest.json").exists():
            made_run(run, options.n)
        figures = measured(run, options.n, Path(temporary) / "cache")
    print(table(figures))
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
