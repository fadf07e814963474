"""The command `convogen schema`: print the JSON Schema of experiment files."""

from __future__ import annotations

import click

from convogen.cli._shared.terminal import say_json

__all__ = ["command"]


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of experiment files, for use in editors."""
    from convogen.cli._shared.plugins import print_faults
    from convogen.experiment.json_schema import json_schema

    print_faults()
    say_json(json_schema(), indent=2)
