"""The settings that the embedded model uses instead of a method's own settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convogen import Experiment
from convogen.methods.base import Method
from convogen.models.spec import EMBEDDED_ADAPTER
from convogen.plugins import registry
from convogen.prompts import load_prompt
from convogen.resources import FOR_EMBEDDED
from convogen.training.scenes import SceneForm, read_scenes, scene_lessons

TRAINED: dict[str, Any] = json.loads(
    (FOR_EMBEDDED / f"{EMBEDDED_ADAPTER}.json").read_text("utf-8")
)["training"]


def test_the_embedded_model_gets_the_prompts_that_its_adapter_was_trained_on() -> None:
    prompts = Experiment.load("demo").prompts
    for step in ("agent", "opening", "encounter"):
        assert prompts[step].hash == TRAINED["prompts"][step]
    assert prompts["selector"].path == FOR_EMBEDDED / "selector.md"
    others = Experiment.load("demo", {"models": "scripted"}).prompts
    assert all(others[step].path.parent != FOR_EMBEDDED for step in others)


def test_what_it_was_trained_on_is_what_is_shipped() -> None:
    form = SceneForm(FOR_EMBEDDED / "agent.md", 14, FOR_EMBEDDED / "encounter.md")
    for name, kind in (("people", "train"), ("held-out", "held_out")):
        path = str(FOR_EMBEDDED / f"{name}.scenes.jsonl")
        found = scene_lessons(read_scenes(path, None), path, form)
        assert found.hash == TRAINED[kind]["hash"]
    assert (FOR_EMBEDDED / f"{EMBEDDED_ADAPTER}.gguf").stat().st_size < 12_000_000


def adapted(experiment: Experiment) -> set[str]:
    """Return the roles that use the adapter."""
    return {
        role
        for role in experiment.roles
        if (experiment.sampling(role).extra or {}).get("adapter") == EMBEDDED_ADAPTER
    }


def test_the_adapter_is_on_where_the_prompt_is_one_it_was_trained_on(tmp_path: Path) -> None:
    assert adapted(Experiment.load("demo")) == {"generator", "agent", "selector"}
    generated = Experiment.load("demo", {"personas": "generated"})
    assert adapted(generated) == {"agent", "selector"}
    assert generated.sampling("generator").temperature == 0.9
    own = tmp_path / "agent.md"
    own.write_bytes(load_prompt("convogen/agent").path.read_bytes())
    assert adapted(Experiment.load("demo", {"prompts.agent": str(own)})) == {
        "generator",
        "selector",
    }
    assert adapted(Experiment.load("demo", {"models": "other.gguf"})) == set()
    assert adapted(Experiment.load("roleplay-smollm2")) == set()


@pytest.mark.parametrize("name", registry.names("methods"))
def test_what_suits_it_is_of_roles_and_steps_that_there_are(name: str) -> None:
    method: type[Method] = registry.load("methods", name)
    assert method.embedded_sampling.keys() <= method.roles.keys()
    for step, (role, file) in method.embedded_prompts.items():
        assert step in method.prompt_names
        assert role in method.roles
        assert (FOR_EMBEDDED / file).is_file()
