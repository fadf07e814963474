"""Gates in an experiment: the JSON Schema, the classes, and the paths of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from convogen.errors import ExperimentError
from convogen.gates import gate_class, gates_schema, parameters, place_gate
from convogen.gates.guard import Guard
from convogen.plugins import registry


@pytest.fixture
def validator() -> Draft202012Validator:
    definitions: dict[str, Any] = {}
    entry = gates_schema(definitions)
    return Draft202012Validator({"$defs": definitions, **entry})


@pytest.mark.parametrize(
    ("entry", "valid"),
    [
        ("near_duplicate", True),
        ("safety", True),
        ("guard", True),
        ("min_turns", False),  # needs `turns`
        ("judge", False),
        ("rule", False),
        ("nobody", False),
        ({"gate": "safety"}, True),
        ({"gate": "safety", "shipped": False, "words": "mine.txt"}, True),
        ({"gate": "safety", "wordz": "mine.txt"}, False),
        ({"gate": "min_turns", "turns": 3}, True),
        ({"gate": "min_turns"}, False),
        ({"gate": "min_turns", "turns": 0}, False),
        ({"gate": "near_duplicate", "threshold": 1}, True),
        ({"gate": "near_duplicate", "threshold": 0}, False),
        ({"gate": "judge", "min_score": 3, "aspects": ["topic"]}, True),
        ({"gate": "judge", "min_score": 3, "aspects": []}, False),
        ({"gate": "rule", "rule": "package.module:function"}, True),
        ({"gate": "rule", "rule": "package.module"}, False),
        ({"turns": 3}, False),
        (3, False),
    ],
)
def test_the_schema_of_an_entry(
    entry: object, valid: bool, validator: Draft202012Validator
) -> None:
    assert validator.is_valid(entry) is valid
    if valid:
        given = {"gate": entry} if isinstance(entry, str) else entry
        assert isinstance(given, dict)
        found = gate_class(given)(**parameters(given))
        assert found.name == given["gate"]


def test_the_class_of_an_entry_or_what_to_write() -> None:
    assert gate_class({"gate": "guard", "reasks": 2}) is Guard
    assert parameters({"gate": "guard", "reasks": 2}) == {"reasks": 2}
    with pytest.raises(ExperimentError, match=r"\{gate: NAME, KEY: VALUE\}`; allowed names: near"):
        gate_class({})
    with pytest.raises(ExperimentError, match=r"`- \{gate: safety, words: VALUE\}`"):
        gate_class({"safety": {"words": "x"}})
    names = ", ".join(registry.names("gates"))
    with pytest.raises(ExperimentError, match=f"has no `gate` key; .*; allowed names: {names}$"):
        gate_class({"reasks": 3})


def test_relative_files_lie_beside_the_experiment(tmp_path: Path) -> None:
    own = {"gate": "safety", "words": "mine.txt", "shipped": False}
    assert place_gate(own, tmp_path) == own | {"words": f"{tmp_path}/mine.txt"}
    absolute = own | {"words": "/lists/mine.txt"}
    assert place_gate(absolute, tmp_path) == absolute
    prompts = {"gate": "guard", "own_prompts": {"verdict": "v.md", "other": 3}}
    placed = place_gate(prompts, tmp_path)["own_prompts"]
    assert placed == {"verdict": f"{tmp_path}/v.md", "other": 3}
    for left in ("safety", 3, None, {"words": "x"}, {"gate": "nobody", "words": "x"}):
        assert place_gate(left, tmp_path) == left
    wrong = {"gate": "safety", "words": 3}
    assert place_gate(wrong, tmp_path) == wrong
