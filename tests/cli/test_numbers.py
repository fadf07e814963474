"""Typed numbers: forms that only Python accepts, and values that cannot be stored in files."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import convogen
from hypothesis import given
from hypothesis import strategies as st

from convogen import Experiment
from convogen.cli._shared.numbers import finite
from convogen.cli.main import COMMANDS
from convogen.errors import ExperimentError

SMALL = ("--set", "max_turns=2", "--set", "participants=2", "--model", "scripted")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "given",
    [
        ("--n", "1_0"),
        ("--n", "١"),
        ("--n", ""),
        ("--n", "1.0"),
        ("--n", "9" * 5000),
        ("--n", 2**63),
        ("--seed", "1_0"),
        ("--seed", 2**63),
        ("--concurrency", 2**64),
        ("--budget-tokens", "9" * 30),
        ("--budget-usd", "1_0"),
        ("--budget-usd", "nan"),
        ("--budget-usd", "1e999"),
        ("--price", "1_0,2"),
        ("--price", "١,٢"),
        ("--price", "nan,1"),
        ("--price", "1,"),
        ("--price", "1,2,x"),
    ],
)
def test_a_number_that_is_none_is_refused(given: tuple[object, ...]) -> None:
    ended = convogen("run", "demo", *SMALL, *given)
    assert ended.status == 2
    assert str(given[0]) in ended.complaint
    assert not Path("runs").exists()


@pytest.mark.parametrize("key", ["seed", "n", "concurrency", "max_failures", "max_words"])
def test_no_experiment_has_a_number_that_its_file_cannot_hold(key: str) -> None:
    with pytest.raises(ExperimentError, match=key):
        Experiment.load("demo", {key: 2**63})


@given(st.integers(0, 2**63 - 1))
def test_a_seed_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "experiment.yaml"
    path.write_text(Experiment.load("demo", {"seed": seed}).to_yaml())
    assert Experiment.load(path).common.seed == seed


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_one(number: float) -> None:
    assert finite(repr(number)) == number


def test_the_help_of_no_command_speaks_of_a_bound_that_is_none() -> None:
    for name in COMMANDS:
        assert "None" not in convogen(name, "--help").out
