"""What the README says works as it stands there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

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


def test_the_files_it_points_to_exist() -> None:
    for path in re.findall(
        r"\]\(([\w./-]+)\)|`((?:convogen|experiences|personas)/[\w./-]*)`", README
    ):
        assert (ROOT / (path[0] or path[1])).exists(), path
