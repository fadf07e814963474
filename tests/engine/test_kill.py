"""A run that is killed anywhere and repeated gives the same data set and makes no call twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from killable import run_program

from convogen import Experiment, load_run, run
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.models.traffic.journal import journal_lines

PROGRAM = Path(__file__).parents[1] / "programs" / "scripted_run.py"
N = 12
DATASET = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "calls.jsonl")


def start(folder: Path, concurrency: int, asked: Path, kill_after: int | None = None) -> int:
    extra = [] if kill_after is None else [kill_after]
    return run_program(PROGRAM, folder, N, concurrency, asked, *extra)


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


def answered(asked: Path) -> Counter[str]:
    lines = asked.read_text().splitlines()
    return Counter(line for line in lines if line.startswith("answer "))


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """Return the data set of an undisturbed run, and the number of lines that its calls wrote."""
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
    """There are 20 kill points, five per part, spread over the run; each run starts from
    scratch."""
    expected, lines = uninterrupted
    for point in range(5):
        kill_after = 1 + (lines - 2) * (part * 5 + point) // 19
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
    """A single run is killed every 60 lines until it is finished."""
    expected, _ = uninterrupted
    starts = 0
    while start(tmp_path / "run", 16, tmp_path / "asked", 60) != 0:
        starts += 1
        assert starts < 60
    assert starts > 2
    assert dataset(tmp_path / "run") == expected
    assert max(answered(tmp_path / "asked").values()) == 1


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a finished run of a few tasks, and keep the journals of the last tasks in another
    folder."""
    folder = tmp_path_factory.mktemp("small") / "run"
    play(folder)
    tasks = [json.loads(line)["task"] for line in lines(folder / "conversations.jsonl")]
    (folder.parent / "journals").mkdir()
    for task in range(max(tasks) - 2, max(tasks) + 1):
        paid, answers = (
            [row for row in map(json.loads, lines(folder / name)) if row["task"] == task]
            for name in ("ledger.jsonl", "calls.jsonl")
        )
        path = folder.parent / "journals" / f"{task:08d}.jsonl"
        path.write_text(journal_lines(path, paid, answers))
    return folder


def play(folder: Path) -> int:
    """Start or resume a run, and return the number of requests to the model."""
    asked = 0

    def script(request: Request) -> str:
        nonlocal asked
        asked += 1
        return improvise(request)

    keys = {"n": 5, "models": "scripted", "max_turns": 3, "per_round": 2}
    run(Experiment.load("GPIS-s", keys), folder, open_model=lambda _: ScriptedModel(script))
    return asked


def lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def before(path: Path, task: int) -> int:
    """Return the number of bytes in the rows of all tasks before a given task."""
    return sum(len(line) for line in lines(path) if json.loads(line)["task"] < task)


WRITTEN = ("ledger.jsonl", "calls.jsonl", "experiences.jsonl", "conversations.jsonl")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_byte_at_which_a_commit_can_end_is_gone_on_from(
    small: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """The process dies during the last commit: the files are written in order, and the journal
    remains."""
    folder = Path(shutil.copytree(small, tmp_path_factory.mktemp("commit") / "run"))
    last = max((small.parent / "journals").iterdir())
    starts = [before(folder / name, int(last.stem)) for name in WRITTEN]
    sizes = [(folder / name).stat().st_size for name in WRITTEN]
    total = sum(sizes) - sum(starts)
    left = data.draw(st.integers(0, total))
    for name, start, size in zip(WRITTEN, starts, sizes, strict=True):
        written = min(left, size - start)
        os.truncate(folder / name, start + written)
        left -= written
    shutil.copy(last, folder / "journal")
    assert play(folder) == 0
    assert dataset(folder) == dataset(small)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_what_a_power_cut_leaves_of_the_last_commits_is_gone_on_from(
    small: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Data since the last sync may be lost, so each file may end at any byte of several tasks."""
    folder = Path(shutil.copytree(small, tmp_path_factory.mktemp("power") / "run"))
    kept = sorted((small.parent / "journals").iterdir())
    for name in WRITTEN:
        path = folder / name
        start = before(path, int(kept[0].stem))
        os.truncate(path, data.draw(st.integers(start, path.stat().st_size)))
    for path in kept:
        shutil.copy(path, folder / "journal")
    assert play(folder) == 0
    assert dataset(folder) == dataset(small)


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    read = 0
    with ThreadPoolExecutor(1) as threads:
        writer = threads.submit(start, tmp_path / "run", 1, tmp_path / "asked")
        while not writer.done():
            if (tmp_path / "run" / "manifest.json").exists():
                read += len(list(load_run(tmp_path / "run").conversations())) > 0
    assert writer.result() == 0
    assert read > 0
