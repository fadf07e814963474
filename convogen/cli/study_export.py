"""The command `convogen study export`: export the participants' answers to files."""

from __future__ import annotations

from pathlib import Path

import click

from convogen.cli._shared.options import OutPath
from convogen.cli._shared.terminal import say

__all__ = ["command"]


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--to", "target", type=OutPath(file_okay=False), required=True, help="New folder to write to."
)
@click.option(
    "--chart",
    type=OutPath(dir_okay=False),
    help="For a `collect` study: file for a chart of the participants' demographics, as in figures "
    "3 to 7 of the paper (.png, .svg or .pdf).",
)
def command(folder: Path, target: Path, chart: Path | None) -> None:
    """Export the answers of the study in FOLDER as JSON lines and Parquet.

    \b
    collect  natural/: a run folder for stats, study tables, evaluate and study new;
             personas.yaml, goals.yaml and simulate.yaml: an experiment for `convogen run`
             that simulates the same personas with the same goals
    pairs    answers.jsonl: one line per answer
    ratings  ratings/<participant>.jsonl: ratings for `convogen agreement`;
             ratings.jsonl: ratings with comments

    You can export the answers while the study is being served.
    """
    from convogen.study.exporting import export_study

    if chart is not None:
        from convogen.study.people_chart import draw_people

        draw_people(folder, chart)
    for line in export_study(folder, target):
        say(line)
