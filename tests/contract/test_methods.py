"""The contract of every registered method, checked on the scripted model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from worker_processes import InProcessWorkers

from convogen import Experiment, run
from convogen.errors import ExperimentError
from convogen.experiment.experiment import shipped_experiments
from convogen.models.opening import open_model
from convogen.plugins import registry
from convogen.prompts import load_prompt
from convogen.published import published
from convogen.resources import shipped

SEEDS = shipped("experiences")

METHODS = registry.names("methods")
ROWS = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "calls.jsonl")
SMALL = {"n": 3, "models": "scripted"}
DIALOGUES = Path(__file__).parent / "dialogues.jsonl"
SIMULATED_FROM = Path(__file__).parent / "seeds.jsonl"
NEEDED = {
    "augment": {"source": str(DIALOGUES)},
    "dialogueforge": {"seeds": str(SIMULATED_FROM)},
}


def minimal(method: str, **overrides: object) -> Experiment:
    return Experiment(
        {"name": "contract", "method": method, **SMALL, **NEEDED.get(method, {}), **overrides}
    )


def rows(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ROWS]


@pytest.mark.parametrize("method", METHODS)
def test_it_is_deterministic_at_any_concurrency(method: str, tmp_path: Path) -> None:
    run(minimal(method, concurrency=1), tmp_path / "one")
    run(minimal(method, concurrency=32), tmp_path / "many")
    assert rows(tmp_path / "one") == rows(tmp_path / "many")
    assert len(list(run(minimal(method), tmp_path / "one").conversations())) == 3


@pytest.mark.parametrize("method", METHODS)
def test_workers_make_the_same_data(method: str, tmp_path: Path) -> None:
    """Tasks that share data are in one lineage, which one worker plays; one of the workers dies."""
    run(minimal(method, n=5), tmp_path / "one")
    workers = InProcessWorkers(2, open_model, {9}.__contains__)
    run(minimal(method, n=5), tmp_path / "two", workers=workers)
    assert rows(tmp_path / "one") == rows(tmp_path / "two")


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_other_data(method: str, tmp_path: Path) -> None:
    run(minimal(method), tmp_path / "one")
    run(minimal(method, seed=1), tmp_path / "other")
    assert rows(tmp_path / "one") != rows(tmp_path / "other")


@pytest.mark.parametrize("method", METHODS)
def test_a_longer_run_begins_with_the_shorter_one(method: str, tmp_path: Path) -> None:
    run(minimal(method), tmp_path / "grown")
    short = rows(tmp_path / "grown")
    run(minimal(method, n=5), tmp_path / "grown")
    run(minimal(method, n=5), tmp_path / "long")
    assert rows(tmp_path / "grown") == rows(tmp_path / "long")
    assert all(long.startswith(s) for s, long in zip(short, rows(tmp_path / "long"), strict=True))


@pytest.mark.parametrize("method", METHODS)
def test_unknown_parameters_are_refused_and_the_allowed_named(method: str) -> None:
    with pytest.raises(ExperimentError, match=r"unknown key 'no_such'; allowed: .*\bseed\b"):
        minimal(method, no_such=1)


@pytest.mark.parametrize("name", shipped_experiments())
def test_shipped_experiments_run(name: str, tmp_path: Path) -> None:
    overrides: dict[str, object] = {"n": 1, "models": "scripted"}
    if name.startswith(("SP", "PC")):
        pair = {"speaker persona": ["i bake."], "listener persona": ["i fly."]}
        (tmp_path / "hub.json").write_text(json.dumps([pair] * 2), "utf-8")
        overrides["persona_source"] = str(tmp_path / "hub.json")
    if name.startswith("dialogueforge"):
        overrides["seeds"] = str(SIMULATED_FROM)
    experiment = Experiment.load(name, overrides)
    assert experiment.name == name
    assert experiment.common.about
    assert len(list(run(experiment, tmp_path / "run").conversations())) == 1


def test_the_ten_experiments_are_as_in_table_i() -> None:
    shipped_ones = shipped_experiments()
    for name, row in published("convogen")["I"].rows.items():
        experiment = Experiment(yaml.safe_load(shipped_ones[name].read_text("utf-8")))
        parameters = experiment.method.model_dump()
        assert experiment.n == row["n_conversations"], name
        assert parameters["personas"] == str(row["personas"]).lower(), name
        assert parameters["iterative"] == row["iterative_sampling"], name
        assert (parameters["style"] == "chatty") == row["chatty"], name


def test_paths_are_relative_to_the_file_and_do_not_change_the_data(tmp_path: Path) -> None:
    """The files of the experiment are in two places, and the shipped seeds are used as well."""
    original = Experiment.load("GPIS-s", {"models": "scripted"})
    for place in ("here", "there"):
        shutil.copytree(SEEDS, tmp_path / place / "mine")
        shutil.copy(load_prompt("convogen/agent").path, tmp_path / place / "agent.md")
        text = shipped_experiments()["GPIS-s"].read_text("utf-8")
        text += "experiences: mine\nprompts: {agent: agent.md}\nmodels: scripted\n"
        (tmp_path / place / "own.yaml").write_text(text, encoding="utf-8")
        experiment = Experiment.load(tmp_path / place / "own.yaml")
        assert experiment.fingerprint == original.fingerprint
        assert Experiment.load(written(experiment, tmp_path)).fingerprint == original.fingerprint


def test_an_experiment_written_down_is_the_same_experiment(tmp_path: Path) -> None:
    experiment = Experiment.load(
        "GPIS-s", {"models": "scripted", "sampling.agent.temperature": 0.5}
    )
    assert Experiment.load(written(experiment, tmp_path)).fingerprint == experiment.fingerprint


def written(experiment: Experiment, folder: Path) -> Path:
    path = folder / "again.yaml"
    path.write_text(experiment.to_yaml(), encoding="utf-8")
    return path
