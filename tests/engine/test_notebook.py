"""Calls from inside a running event loop, as in a notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from convogen import Experiment, load_run, run
from convogen.engine.branch import replay_conversation
from convogen.engine.item_runner import Asking
from convogen.engine.judge_runner import judge_run, judge_run_async
from convogen.engine.replay import replay_run
from convogen.engine.runner import run_async
from convogen.errors import ExperimentError, LoopRunning
from convogen.judges.geval import GEval
from convogen.models.spec import ModelSpec

SCRIPTED = ModelSpec(name="scripted")


def small() -> Experiment:
    keys = {"n": 1, "max_turns": 3, "participants": 2, "models": {"name": "scripted"}}
    return Experiment.load("demo", keys)


def calls(folder: Path) -> dict[str, Callable[[], Any]]:
    conversation = next(load_run(folder).conversations()).id
    asking = Asking(folder / "downstream")
    return {
        "await run_async(…)": lambda: run(small(), folder),
        "await judge_run_async(…)": lambda: judge_run(folder, GEval(), SCRIPTED),
        "replay": lambda: replay_run(folder),
        "counterfactual": lambda: replay_conversation(folder, conversation, 3),
        "downstream": lambda: asking.rows("x", {}, {}, 1, None),  # type: ignore[arg-type]
    }


def test_it_is_said_in_a_line_what_to_await(tmp_path: Path) -> None:
    run(small(), tmp_path)

    async def notebook() -> None:
        for advice, call in calls(tmp_path).items():
            with pytest.raises(LoopRunning) as caught:
                call()
            [line] = str(caught.value).splitlines()
            assert "notebook" in line
            assert ("await asyncio.to_thread" if "await" not in advice else advice) in line

    asyncio.run(notebook())


def test_what_is_said_works(tmp_path: Path) -> None:
    async def notebook() -> int:
        result = await run_async(small(), tmp_path)
        await judge_run_async(tmp_path, GEval(), SCRIPTED)
        await asyncio.to_thread(replay_run, tmp_path)
        return len(list(result.conversations()))

    assert asyncio.run(notebook()) == 1


def test_an_experiment_may_be_its_name_or_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(small().to_yaml(), "utf-8")
    assert run(path, tmp_path / "a").manifest["fingerprint"] == small().fingerprint
    with pytest.raises(ExperimentError, match="unknown experiment 'nowhere'; allowed: GPFS"):
        run("nowhere", tmp_path / "b")
