"""What an experiment gives the embedded model in place of a method's own."""

from __future__ import annotations

import pytest

from convogen import Experiment
from convogen.methods.base import Method
from convogen.plugins import registry
from convogen.resources import FOR_EMBEDDED


def test_the_embedded_model_gets_the_prompts_that_its_adapter_was_trained_on() -> None:
    prompts = Experiment.load("demo").prompts
    assert prompts["agent"].path == FOR_EMBEDDED / "agent.md"
    assert prompts["encounter"].path == FOR_EMBEDDED / "encounter.md"
    others = Experiment.load("demo", {"models": "scripted"}).prompts
    assert others["agent"].path.parent != FOR_EMBEDDED
    assert others["selector"].path == prompts["selector"].path


@pytest.mark.parametrize("name", registry.names("methods"))
def test_what_suits_it_is_of_roles_and_steps_that_there_are(name: str) -> None:
    method: type[Method] = registry.load("methods", name)
    assert method.embedded_sampling.keys() <= method.roles.keys()
    for step, (role, file) in method.embedded_prompts.items():
        assert step in method.prompt_names
        assert role in method.roles
        assert (FOR_EMBEDDED / file).is_file()
