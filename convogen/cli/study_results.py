"""The command `convogen study results`: analyse the participants' answers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.options import OutPath
from convogen.cli._shared.terminal import say_json

__all__ = ["command"]


@click.command("results")
@click.argument(
    "sources", metavar="ANSWERS...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--judge",
    "verdicts",
    multiple=True,
    metavar="VERDICTS",
    type=click.Path(path_type=Path),
    help="A judge's verdicts on the answered pairs and, optionally, on further pairs: a run judged "
    "by the `gteval` judge, or JSON lines with `pair`, `condition` and `undetected` (0 to 1).",
)
@click.option(
    "--chart",
    type=OutPath(dir_okay=False),
    help="File for a chart like figures 2 and 13 of the paper (.png, .svg or .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(
    sources: tuple[Path, ...], verdicts: tuple[Path, ...], chart: Path | None, as_json: bool
) -> None:
    """Analyse how often participants detect the artificial dialogue in a pair.

    ANSWERS are files with answers as JSON lines, or study folders that contain answers.jsonl.

    The output contains the share of undetected pairs per condition, with intervals that allow for
    correlation between answers from the same participant or about the same source person. It also
    contains mixed models for detection, utterance and duration, with all contrasts and compact
    letter displays, both without adjustment, as in the paper, and with Holm's adjustment. --judge
    adds intervals computed from the judge's verdicts on all pairs, and the agreement between the
    judge and the participants.
    """
    from convogen.papers.roleplay.human_study import checks, printed, table_3
    from convogen.reports.chartfile import check_kind
    from convogen.study.reading import read_answers
    from convogen.study.results import study_results
    from convogen.study.verdicts import read_pair_verdicts

    if chart is not None:
        check_kind(chart)
    answers = read_answers(sources)
    judged = read_pair_verdicts(verdicts, answers) if verdicts else None
    results = study_results(answers, judged)
    conditions, published_models, arithmetic = table_3(answers), printed(), checks()
    if chart is not None:
        from convogen.papers.roleplay.human_study_chart import draw

        draw(conditions, answers, chart)
    if as_json:
        table = [
            {**asdict(one), "undetected_percent": one.undetected_percent} for one in conditions
        ]
        recomputed = [asdict(one) for one in published_models.recomputed]
        say_json(
            {
                **asdict(results),
                "table_3": table,
                "published": {"recomputed": recomputed, "checks": [asdict(c) for c in arithmetic]},
            }
        )
        return
    from convogen.cli._shared.human_study_tables import closing, opening, tables

    console = terminal()
    for line in opening(results):
        console.print(styled(line))
    for table in tables(results, conditions, published_models):
        console.print(table)
    for line in closing(results, arithmetic, published_models):
        console.print(styled(line))
