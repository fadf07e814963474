"""The command `convogen arena`: rank runs on shared seeds by a judge's pairwise comparisons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.judging import judge_runs
from convogen.cli._shared.limits import budget_options
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    OutPath,
    base_url_option,
    model_option,
    price_option,
    spec_from,
)
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.models.traffic.budget import Limits
    from convogen.papers.dialogueforge.arena_ranking import MatchResult, Standings
    from convogen.reports.ratings import Rating
    from convogen.reports.verdicts import Share
    from convogen.storage.run_folder import Run

__all__ = ["command"]

PAIR = re.compile("[0-9a-f]{16}-[0-9a-f]{16}")
"""Pattern for the name of a folder with the verdicts on a pair of sources; the name consists of the
two fingerprints."""


@click.command("arena")
@click.argument("sources", metavar="SOURCE SOURCE...", nargs=-1, required=True, type=SourcePath())
@model_option
@base_url_option
@price_option
@budget_options
@click.option(
    "--out",
    type=OutPath(file_okay=False),
    default=Path("runs/arena"),
    show_default=True,
    help="Folder for the verdicts, with one subfolder per pair of sources.",
)
@click.option("--n", type=WholeNumber(min=1), help="Compare only the first N seeds for each pair.")
@click.option(
    "--concurrency", type=WholeNumber(min=1), help="Maximum number of judge calls in flight."
)
@click.option("--fresh", is_flag=True, help="Move existing verdicts aside before judging.")
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(
    sources: tuple[str, ...],
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    out: Path,
    n: int | None,
    concurrency: int | None,
    fresh: bool,
    as_json: bool,
    limits: Limits,
) -> None:
    """Rank runs (or files of dialogues) by how human-like their users are.

    A judge sees two dialogues from the same seed, in random order, and chooses the one with the
    more human-like user, or a tie. Every pair of sources is compared. The ranking uses
    Bradley-Terry ratings on the Elo scale, with 95% intervals over seeds. A tie counts as half a
    win for each side. Half a tie is added to every pair, so that a source that never loses also
    gets a rating.

    Repeat the command to resume. If you add a source, only the pairs that include the new source
    are judged.
    """
    from convogen.cli.stats import short_name
    from convogen.judges.arena import Arena
    from convogen.judges.reference_dialogues import pair_by_seed
    from convogen.papers.dialogueforge.arena_ranking import Match, standings
    from convogen.storage.task_log import refuse_strewing

    distinct = dict.fromkeys(sources)
    if len(distinct) < 2:
        raise click.UsageError("give two or more sources to compare")
    refuse_strewing(out, lambda path: PAIR.fullmatch(path.name) is not None)
    opened = ((_open(source, out), short_name(source, distinct)) for source in distinct)
    # Sorted so that the folder of a pair does not depend on the order of the sources.
    field = sorted(opened, key=lambda one: str(one[0].manifest.get("fingerprint")))
    runs, names = [run for run, _ in field], [name for _, name in field]
    pairs = [
        (i, j, *pair_by_seed(runs[i], runs[j], out)) for i, j in combinations(range(len(runs)), 2)
    ]
    model = spec_from("judge", models, base_urls, prices)
    judged = [(pair, beside) for _, _, pair, beside in pairs]
    judge_runs(judged, Arena(), model, n, concurrency, fresh, limits=limits)
    found = standings(names, [Match(i, j, pair) for i, j, pair, _ in pairs])
    if as_json:
        say_json(asdict(found), indent=2)
    else:
        _print(found)


def _open(source: str, out: Path) -> Run:
    from convogen.judges.reference_dialogues import CorpusFolder
    from convogen.storage.run_folder import load_run

    if (Path(source) / "manifest.json").is_file():
        return load_run(source)
    return CorpusFolder(source, out)


def _print(found: Standings) -> None:
    console = terminal()
    table = _table("Ranking", ["source"], ["Elo", "95%", "games", "won"])
    for row in found.ratings:
        numbers = (f"{row.elo:.0f}", _ends(row, 0), f"{row.games}", f"{row.won:.0%}")
        table.add_row(row.name, *numbers)
    shown = found.first_shown
    if shown.value is not None:
        table.caption = (
            f"Share of choices for the dialogue shown first: {shown.value:.0%} ({_ends(shown, 2)})"
        )
    console.print(table)
    table = _table("Matches", ["first", "second"], ["won", "lost", "tied", "none", "points", "95%"])
    for row in found.matches:
        counts = (f"{count}" for count in (row.wins, row.losses, row.ties, row.missing))
        points = "–" if row.won is None else f"{row.won:.2f}"
        table.add_row(*(styled(name) for name in row.players), *counts, points, _ends(row, 2))
    console.print(table)


def _ends(row: Rating | MatchResult | Share, digits: int) -> str:
    """Return the ends of a 95% interval as text."""
    return "–" if row.low is None else f"{row.low:.{digits}f} to {row.high:.{digits}f}"


def _table(title: str, names: Sequence[str], numbers: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table
