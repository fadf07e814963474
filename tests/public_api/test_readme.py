"""What the README says works as it stands there."""

from __future__ import annotations

import doctest
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

import convogen
from convogen import Experiment
from convogen.cli.main import cli
from convogen.cli.run import read_settings
from convogen.experiment.experiment import shipped_experiments

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = dict(re.findall(r"```(python|yaml)\n(.*?)```", README, re.DOTALL))
PYTHON = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"^    (convogen .*?)(?: +#.*)?$", README, re.MULTILINE)


def test_there_are_commands_to_check() -> None:
    assert len(COMMANDS) >= 10
    assert set(BLOCKS) == {"python", "yaml"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_understood(command: str) -> None:
    """Each command's words and settings are parsed, up to the point of doing it."""
    words = shlex.split(command.split(" > ")[0])[1:]
    group: click.Command = cli
    above = click.Context(cli, **cli.context_settings)
    while words and isinstance(group, click.Group):
        found = group.get_command(above, words[0])
        if found is None:
            break
        group, words = found, words[1:]
    assert group is not cli
    context = group.make_context(group.name or "", words, parent=above)
    read_settings(context.params.get("settings", ()))


def test_the_python_example_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PYTHON], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 4
    assert "prompt_tokens" in done.stdout
    assert (tmp_path / "runs" / "python" / "conversations.jsonl").is_file()


def test_the_example_experiment_is_valid(tmp_path: Path) -> None:
    data = yaml.safe_load(BLOCKS["yaml"])
    prompt = tmp_path / "my-agent.md"
    prompt.write_text("---\nvariables: [name]\n---\n[system]\nYou are {{ name }}.", "utf-8")
    experiment = Experiment(
        data | {"prompts": {"agent": str(prompt)}, "experiences": str(ROOT / "experiences")}
    )
    assert experiment.model("selector").name == "gpt-4o-mini"
    assert experiment.fingerprint


def test_the_make_targets_exist() -> None:
    named = set(re.findall(r"`?make ([a-z0-9-]+)`?", README))
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True).stdout
    assert named <= {line.split()[0] for line in listed.splitlines()} | set(shipped_experiments())


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


def test_the_files_it_points_to_exist() -> None:
    for path in re.findall(
        r"\]\(([\w./-]+)\)|`((?:convogen|experiences|personas)/[\w./-]*)`", README
    ):
        assert (ROOT / (path[0] or path[1])).exists(), path


def test_the_example_in_the_package_runs(tmp_path: Path) -> None:
    results = doctest.testmod(convogen, extraglobs={"folder": tmp_path / "run"})
    assert results.attempted == 4
    assert results.failed == 0
