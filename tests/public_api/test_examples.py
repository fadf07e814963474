"""The experiments and notebooks in examples/ work unchanged with the scripted model."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen as convogen_command
from documentation import ROOT
from gguf_model import write_tiny_gguf

from convogen import Experiment, load_run, run
from convogen.inputs.yaml12 import read_mapping

EXAMPLES = ROOT / "examples"
EXPERIMENTS = sorted(EXAMPLES.glob("*.yaml"))
NOTEBOOKS = sorted((EXAMPLES / "notebooks").glob("*.ipynb"))
README = (EXAMPLES / "README.md").read_text("utf-8")


def _gates(path: Path) -> list[Any]:
    """Return the gates of an experiment, except `language`, because the scripted model writes
    English."""
    gates: list[Any] = read_mapping(path, ValueError).get("gates", [])
    return [gate for gate in gates if gate["gate"] != "language"]


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_plays_two_conversations(path: Path, tmp_path: Path) -> None:
    keys = read_mapping(path, ValueError)
    models = dict.fromkeys(keys["models"], "scripted")
    overrides = {"n": 2, "models": models, "gates": _gates(path)}
    made = run(Experiment.load(path, overrides=overrides), out=tmp_path / "run")
    assert keys["name"] == path.stem
    assert len(list(made.conversations())) == 2
    assert made.to_pandas("failures").empty


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_an_experiment_is_valid_without_overrides(path: Path) -> None:
    assert 8 <= len(path.read_text("utf-8").splitlines()) <= 20
    if "language" in read_mapping(path, ValueError):
        pytest.importorskip("lingua", reason="needs convogen[lingua]")
    assert Experiment.load(path).fingerprint


def test_what_comments_say_of_plans_is_so() -> None:
    assert Experiment.load(EXAMPLES / "topics.yaml").n == 72
    assert Experiment.load(EXAMPLES / "chatbot-users.yaml").n == 18
    assert Experiment.load(EXAMPLES / "own-seeds.yaml").n == 4


def test_the_meeting_has_five_people_and_addressees(tmp_path: Path) -> None:
    path = EXAMPLES / "meeting.yaml"
    models = {"default": "scripted", "selector": "scripted"}
    made = run(Experiment.load(path, overrides={"n": 1, "models": models}), out=tmp_path / "run")
    (conversation,) = made.conversations()
    assert len(conversation.participants) == 5
    assert any(turn.addressee for turn in conversation.turns)


def test_the_readme_names_every_file_and_its_commands_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {path.relative_to(EXAMPLES).as_posix() for path in [*EXPERIMENTS, *NOTEBOOKS]}
    linked = set(re.findall(r"\]\(([^)#:]+)\)", README))
    assert files <= linked
    assert all((EXAMPLES / link).exists() for link in linked)
    for path in (EXAMPLES / "data").iterdir():
        name = path.relative_to(EXAMPLES).as_posix()
        assert any(name in one.read_text("utf-8") for one in EXPERIMENTS), name
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLES, "examples")
    commands = re.findall(r"^convogen .*scripted.*$", README, re.MULTILINE)
    assert commands
    for command in commands:
        ended = convogen_command(*shlex.split(command, comments=True)[1:])
        assert ended.status == 0, f"{command}\n{ended.err}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stripped_and_says_what_it_is(path: Path) -> None:
    book = json.loads(path.read_text("utf-8"))
    assert book["metadata"]["kernelspec"]["name"] == "python3"
    cells = book["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert "no language model" in " ".join("".join(cells[0]["source"]).split())
    assert "change this line" in "".join(code[0]["source"])
    for link in re.findall(r"\]\(([^)#:]+)\)", json.dumps(book)):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    asyncio.run(_execute(path, {}))
    made = [load_run(manifest.parent) for manifest in Path("runs").rglob("manifest.json")]
    assert made
    assert all(list(one.conversations()) for one in made)


@pytest.mark.slow
def test_the_notebook_about_training_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trl", reason="needs convogen[train]")
    pytest.importorskip("xllamacpp", reason="needs convogen[embedded]")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    base = str(write_tiny_gguf(tmp_path / "tiny.gguf"))
    parameters = {"BASE": base, "STEPS": 1, "N": 1, "TURNS": 4}
    names = asyncio.run(_execute(EXAMPLES / "notebooks/fine-tune.ipynb", parameters))
    models = {turn.model for one in names["runs"]["student"].conversations() for turn in one.turns}
    assert "agents.gguf" in str(models)


async def _execute(path: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Run a notebook's code cells in order, and return their variables.

    As in papermill, `parameters` replace the assignments in the cell with the tag `parameters`.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    for place, cell in _code_cells(path):
        code = compile("".join(cell["source"]), place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        try:
            awaited = eval(code, names)  # noqa: S307
            if inspect.iscoroutine(awaited):
                await awaited
        except Exception as error:
            error.add_note(f"in {place}")
            raise
        if "parameters" in cell["metadata"].get("tags", []):
            assert parameters.keys() <= names.keys()
            names.update(parameters)
    return names


def _code_cells(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each code cell of a notebook, preceded by its name in tracebacks."""
    for n, cell in enumerate(json.loads(path.read_text("utf-8"))["cells"], 1):
        if cell["cell_type"] == "code":
            yield f"{path.name}, cell {n}", cell
