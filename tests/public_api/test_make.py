"""The targets of make, and the example in the package's docstring."""

from __future__ import annotations

import doctest
import shlex
import subprocess
from pathlib import Path

import convogen
from convogen.experiment.experiment import shipped_experiments

ROOT = Path(__file__).parents[2]


def test_every_experiment_is_a_make_target() -> None:
    names = [name for name in shipped_experiments() if name != "demo"]
    options = ["N=20", "MODEL=gpt-4o", "OUT=a b", "PERSONAS=hub.jsonl", "SEEDS=mine.jsonl"]
    made = subprocess.run(
        ["make", "-n", *names, *options], cwd=ROOT, capture_output=True, text=True, check=True
    )
    commands = made.stdout.replace("\\\n", " ")
    for name in names:
        assert f"convogen run {name} " in commands
    found = next(line for line in commands.splitlines() if " GPIS-s " in line)
    assert [*shlex.split(found)[2:]] == [
        "GPIS-s",
        *("--n", "20", "--model", "gpt-4o", "--out", "a b"),
        *("--set", "persona_source=hub.jsonl", "--set", "seeds=mine.jsonl"),
    ]


def test_the_experiments_of_diasynth_share_no_folder() -> None:
    command = ["make", "-n", "diasynth", "OUT=a b"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = made.stdout.replace("\\\n", " ").splitlines()
    runs = [shlex.split(line)[2:] for line in lines if "convogen run" in line]
    names = ("diasynth-dialogsum", "diasynth-samsum")
    assert runs == [[name, "--out", f"a b/{name}"] for name in names]


def test_the_ablations_are_make_targets() -> None:
    targets = ["ablation-sampling", "ablation-personas"]
    made = subprocess.run(
        ["make", "-n", *targets, "N=4", "PERSONAS=a b.jsonl"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = made.stdout.replace("\\\n", " ").splitlines()
    sampling, personas = (shlex.split(line) for line in lines if "convogen ablate" in line)
    assert sampling[2:7] == ["GPIS", "--n", "4", "--out", "runs/ablation-sampling"]
    assert sampling[7:] == shlex.split(
        "--vary iterative=false,rotate,true --vary style=short,chatty --vary shots=1,2"
    )
    assert personas[-1].endswith('=[generated,null],[sampled,everyday],[sampled,"a b.jsonl"]')


def test_the_example_in_the_package_runs(tmp_path: Path) -> None:
    results = doctest.testmod(convogen, extraglobs={"folder": tmp_path / "run"})
    assert results.attempted == 4
    assert results.failed == 0
