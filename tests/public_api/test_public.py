"""The public names of `convogen`: fixed, found by completion, and typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import convogen
from convogen.errors import __all__ as exceptions

PUBLIC = {
    "Conversation",
    "Experience",
    "Experiment",
    "Failure",
    "Limits",
    "ModelSpec",
    "Persona",
    "Run",
    "Score",
    "Statistics",
    "Turn",
    "__version__",
    "export_run",
    "judge_run",
    "judge_run_async",
    "load_run",
    "measure",
    "open_corpus",
    "run",
    "run_async",
    *exceptions,
}

PROGRAM = """
from convogen import Limits, ModelSpec, RunStopped, load_run, judge_run, measure, run
from convogen import Experiment

experiment = Experiment.load("GPIS-s", overrides={"n": 2})
try:
    reveal_type(run(experiment, out="runs/mine", limits=Limits(usd=1.0)))
except RunStopped as stopped:
    print(stopped)
result = load_run("runs/mine")
for conversation in result.conversations():
    reveal_type(conversation.turns[0].speaker)
reveal_type(measure(result).mtld_mean)
reveal_type(judge_run(result, "geval", ModelSpec(name="gpt-4o")))
reveal_type(result.to_pandas("turns"))
"""
TYPES = ["Run", "str", "float | None", "Run", "DataFrame"]
WRONG = """
from convogen import Limits, load_run

load_run(3)
Limits(dollars=1)
"""


def test_the_public_names_are_these() -> None:
    assert set(convogen.__all__) == PUBLIC
    assert dir(convogen) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(convogen, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'ruin'"):
        _ = convogen.ruin


def test_importing_it_loads_no_library() -> None:
    heavy = "pandas datasets openai pydantic numpy autogen_agentchat".split()
    listing = "import sys, convogen; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    assert not set(heavy) & set(loaded.stdout.split())


def test_functions_take_what_run_returns_and_folders(tmp_path: Path) -> None:
    experiment = convogen.Experiment.load("GPIS-s", overrides={"n": 2, "models": "scripted"})
    result = convogen.run(experiment, tmp_path / "run")
    assert convogen.measure(result) == convogen.measure(tmp_path / "run")
    assert convogen.measure(result).conversations == 2
    assert convogen.judge_run(tmp_path / "run", "geval", "scripted").judges() == ["geval"]
    exported = convogen.export_run(tmp_path / "run", tmp_path / "out", "messages")
    assert exported.conversations.total() == 2
    with pytest.raises(convogen.UserError, match="gevl"):
        convogen.judge_run(result, "gevl", "scripted")


@pytest.mark.slow
def test_a_type_checker_finds_the_types(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)["generalDiagnostics"]
    told = [one for one in found if one["file"].endswith("program.py")]
    assert {one["severity"] for one in told} == {"information"}, told
    assert [one["message"].split('"')[-2] for one in told] == TYPES
    wrong = [one["rule"] for one in found if one["file"].endswith("wrong.py")]
    assert wrong == ["reportArgumentType", "reportCallIssue"]
