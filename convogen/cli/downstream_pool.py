"""The command `convogen downstream pool`: pool the results of several runs, as in the DiaSynth
paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.run_folders import RunPath
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.downstream.pooled import Pooled, Result

__all__ = ["as_the_text_says", "command"]

PAPER_CELLS = 24
AS_PUBLISHED = {
    "QAGS": "BERTScore of the answers to 3 questions",
    "BERTScore": "bert-base-uncased@9",
}
"""Maps each measure to the way in which the paper's authors compute it."""

ARMS = {"base": "untuned", "synthetic": "synthetic", "in_domain": "in-domain"}


@click.command("pool")
@click.argument("results", type=RunPath(), nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(results: tuple[Path, ...], as_json: bool) -> None:
    """Pool the results of several summarization tasks.

    RESULTS are files written by `downstream summarization`, or run folders that contain such files.
    A file given twice is read only once. A cell is one combination of run, checkpoint, held-out set
    and measure. Improvement and coverage are means over the cells, as in the text of the DiaSynth
    paper.
    """
    from convogen.downstream.pooled import pool, read_results

    found = read_results(results)
    pooled = pool(found)
    if as_json:
        say_json({"results": [asdict(one) for one in found], "pooled": asdict(pooled)})
    else:
        terminal().print(_table(found, pooled))


def _table(results: Sequence[Result], pooled: Pooled) -> Table:
    from rich.table import Table

    from convogen.reports.cells import number_text

    table = Table(title="Summarization, pooled", title_justify="left")
    measures = dict.fromkeys(m for one in results for row in one.arms.values() for m in row)
    for column in ("Run, checkpoint, held out", "Trained on", *measures):
        table.add_column(column, justify="right" if column in measures else "left", overflow="fold")
    for one in results:
        label = styled(f"{one.run}, {one.checkpoint}, {one.held_out}")
        for arm, name in ARMS.items():
            if row := one.arms.get(arm):
                table.add_row(label, name, *(number_text(row.get(m), 4) for m in measures))
                label = styled("")
        table.add_section()
    table.caption = styled(_caption(results, pooled))
    return table


def as_the_text_says() -> dict[str, Any]:
    """Return the values stated in the text of the DiaSynth paper, in percent."""
    from convogen.published import published

    return published("diasynth")["text"].rows["LLaMA-3"]


def _caption(results: Sequence[Result], pooled: Pooled) -> str:
    from convogen.reports.cells import number_text

    paper = as_the_text_says()
    said = (
        f"Improvement with synthetic data: {number_text(pooled.improvement)}% "
        f"({number_text(pooled.improvement_without_qags)}% without QAGS); cells: {pooled.cells}. "
        f"Coverage of in-domain data: {number_text(pooled.coverage)}% "
        f"({number_text(pooled.coverage_without_qags)}% without QAGS); cells: {pooled.covered}. "
        f"The paper reports an improvement of {paper['improvement']}% and a coverage of "
        f"{paper['coverage']}% ({paper['coverage_without_qags']}% without QAGS) over "
        f"{PAPER_CELLS} cells of four checkpoints, two held-out sets and three measures. The "
        f"paper's improvement does not follow from its tables (see `downstream published`)."
    )
    for measure, theirs in AS_PUBLISHED.items():
        if any(measure in one.differs for one in results):
            said += f" {measure} is measured differently from the paper, which uses {theirs}."
    return said
