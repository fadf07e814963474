"""The command `convogen report`: write a one-page report on runs."""

from __future__ import annotations

from pathlib import Path

import click

from convogen.cli._shared.options import OutPath
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say, say_json

__all__ = ["command"]


@click.command("report")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=SourcePath())
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    default=Path("report"),
    show_default=True,
    help="Folder for report.html, report.md and report.json.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="CORPUS",
    help="Corpus, usually of human conversations, to compare the runs with.",
)
@click.option(
    "--baseline",
    metavar="RUN",
    help="Baseline run; the other runs' distances from the corpora are compared with this run's "
    "distances.",
)
@click.option(
    "--judged",
    multiple=True,
    metavar="FOLDER",
    help="Folder with friction labels for a corpus, written by `evaluate CORPUS --judge friction "
    "--out FOLDER`. Run folders contain their own labels.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report's numbers as JSON.")
def command(
    folders: tuple[str, ...],
    out: Path,
    against: tuple[str, ...],
    baseline: str | None,
    judged: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a one-page report on RUN folders that includes the published numbers for comparison.

    To include groundedness, first run `convogen evaluate RUN --judge geval`. If a run was matched
    to a corpus, the report includes that corpus too.

    \b
    Example:
      convogen report runs/a runs/b --against human.csv --out report
    """
    from convogen.cli.evaluate import open_run
    from convogen.cli.stats import short_name
    from convogen.metrics import available_cores
    from convogen.reports.matching import matched_corpora
    from convogen.reports.numbers import gather
    from convogen.reports.page import check_target, write_report
    from convogen.reports.tables import metric_faults

    check_target(out)  # before measuring, which takes a while
    distinct = dict.fromkeys((baseline, *folders) if baseline else folders)
    runs = {short_name(name, distinct): open_run(name) for name in distinct}
    others = dict.fromkeys([*against, *matched_corpora(runs.values())])
    human = {short_name(name, {**others, **distinct}): name for name in others}
    human = {f"{name} (corpus)" if name in runs else name: of for name, of in human.items()}
    first = short_name(baseline, distinct) if baseline else None
    report = gather(runs, human, available_cores(), first, judged)
    for line in metric_faults(report):
        say(line, err=True)
    paths = write_report(report, runs, out)
    if as_json:
        say_json(report.as_dict())
        return
    for path in paths:
        say(path)
