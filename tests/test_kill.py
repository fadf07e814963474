"""Killed anywhere and run again, a run gives the same dataset and asks nothing twice."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "programs" / "scripted_run.py"
N = 24
DATASET = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "calls.jsonl")


def start(folder: Path, concurrency: int, asked: Path, kill_after: int | None = None) -> int:
    command = [sys.executable, PROGRAM, folder, str(N), str(concurrency), asked]
    extra = [] if kill_after is None else [str(kill_after)]
    return subprocess.run([*command, *extra], check=False, timeout=120).returncode


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


def answered(asked: Path) -> Counter[str]:
    lines = asked.read_text().splitlines()
    return Counter(line for line in lines if line.startswith("answer "))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """The dataset of a run that nothing disturbs, and how many lines its calls wrote."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert start(folder / "run", 16, folder / "asked") == 0
    return dataset(folder / "run"), len((folder / "asked").read_text().splitlines())


def test_dataset_has_what_the_test_is_about(uninterrupted: tuple[dict[str, bytes], int]) -> None:
    rows = {name: content.count(b"\n") for name, content in uninterrupted[0].items()}
    assert rows["conversations.jsonl"] == N
    assert rows["failures.jsonl"] > 0
    assert b'"repair":"longest_silent"' in uninterrupted[0]["conversations.jsonl"]
    assert b'"admitted":true' in uninterrupted[0]["experiences.jsonl"]


@pytest.mark.parametrize("concurrency", [1, 64])
def test_same_dataset_at_any_concurrency(
    uninterrupted: tuple[dict[str, bytes], int], tmp_path: Path, concurrency: int
) -> None:
    assert start(tmp_path / "run", concurrency, tmp_path / "asked") == 0
    assert dataset(tmp_path / "run") == uninterrupted[0]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_killed_at_many_points(
    uninterrupted: tuple[dict[str, bytes], int], tmp_path: Path, part: int
) -> None:
    """Eight kill points a part, 32 in all, spread over the run; each from its beginning."""
    expected, lines = uninterrupted
    for point in range(8):
        kill_after = 1 + (lines - 2) * (part * 8 + point) // 31
        asked = tmp_path / "asked"
        assert start(tmp_path / "run", 16, asked, kill_after) == -signal.SIGKILL
        assert start(tmp_path / "run", 16, asked) == 0
        assert dataset(tmp_path / "run") == expected, f"killed after {kill_after} lines"
        assert max(answered(asked).values()) == 1, f"asked twice, killed after {kill_after}"
        assert list((tmp_path / "run" / "journal").iterdir()) == []
        shutil.rmtree(tmp_path / "run")
        asked.unlink()


def test_killed_again_and_again(
    uninterrupted: tuple[dict[str, bytes], int], tmp_path: Path
) -> None:
    """One run killed every 60 lines until it is through."""
    expected, _ = uninterrupted
    starts = 0
    while start(tmp_path / "run", 16, tmp_path / "asked", 60) != 0:
        starts += 1
        assert starts < 60
    assert starts > 2
    assert dataset(tmp_path / "run") == expected
    assert max(answered(tmp_path / "asked").values()) == 1
