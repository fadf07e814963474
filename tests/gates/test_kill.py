"""A run with gates that is killed and repeated has exactly n conversations and identical files."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from killable import run_program

PROGRAM = Path(__file__).parents[1] / "programs" / "gated_run.py"
DATA_SET = ("experiences", "conversations", "rejected", "failures", "calls")


def start(folder: Path, n: int, concurrency: int, kill_after: int | None = None) -> int:
    asked = folder.with_name("asked")
    extra = [] if kill_after is None else [kill_after]
    return run_program(PROGRAM, folder, n, concurrency, asked, *extra)


def data_set(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.jsonl").read_bytes() for name in DATA_SET}


def asked_most(folder: Path) -> int:
    lines = folder.with_name("asked").read_text().splitlines()
    return max(Counter(line for line in lines if line.startswith("answer ")).values())


def test_a_hundred_accepted_killed_again_and_again(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole" / "run", tmp_path / "killed" / "run"
    whole.parent.mkdir()
    killed.parent.mkdir()
    assert start(whole, 100, 64) == 0
    starts = 0
    while start(killed, 100, 16, 350) != 0:
        starts += 1
        assert starts < 20
    assert starts > 2
    assert data_set(killed) == data_set(whole)
    assert asked_most(killed) == asked_most(whole)
    assert data_set(killed)["conversations"].count(b"\n") == 100
    rejected = [json.loads(line) for line in data_set(killed)["rejected"].splitlines()]
    gates = Counter(row["gate"] for row in rejected)
    assert set(gates) == {"rule", "near_duplicate", "guard"}
    assert 0.5 < gates["rule"] / (100 + len(rejected)) < 0.7


@pytest.mark.slow
def test_killed_at_many_points(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    assert start(tmp_path / "whole" / "run", 8, 8) == 0
    expected = data_set(tmp_path / "whole" / "run")
    lines = len((tmp_path / "whole" / "asked").read_text().splitlines())
    for point in range(8):
        folder = tmp_path / f"{point}" / "run"
        folder.parent.mkdir()
        assert start(folder, 8, 8, 1 + (lines - 2) * point // 7) == -signal.SIGKILL
        assert start(folder, 8, 8) == 0
        assert data_set(folder) == expected, f"killed at point {point}"
        assert asked_most(folder) == 1
        assert list((folder / "journal").iterdir()) == []
        shutil.rmtree(folder.parent)
