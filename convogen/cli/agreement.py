"""The command `convogen agreement`: compare judges with one another and with people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, cast

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say_json
from convogen.text.counting import counted

if TYPE_CHECKING:
    from rich.console import Console  # noqa: TID251 - only for type hints
    from rich.table import Table

    from convogen.judges.verdict_files import Protocol
    from convogen.reports.agreement import Agreement, Calibration, JudgePosition, SelfPreference
    from convogen.reports.cells import Bounded

__all__ = ["command"]


@click.command("agreement")
@click.argument(
    "sources", metavar="[JUDGE[,DIALOGUES]=]FILE...", nargs=-1, required=True, type=SourcePath()
)
@click.option(
    "--protocol",
    required=True,
    type=click.Choice(["unieval", "gteval", "scores"]),
    help="Kind of judgements in the files: verdicts of unieval or gteval, or scores.",
)
@click.option(
    "--own",
    multiple=True,
    metavar="JUDGE=DIALOGUES",
    help="Dialogues by the judge's own model, to measure whether the judge favours them.",
)
@click.option(
    "--human",
    "humans",
    multiple=True,
    metavar="[DIALOGUES=]FILE",
    help="File with human labels, which are used to correct the judges' pass rates.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(
    sources: tuple[str, ...],
    protocol: str,
    own: tuple[str, ...],
    humans: tuple[str, ...],
    as_json: bool,
) -> None:
    """Compare judges by their verdicts or scores.

    Verdicts: each FILE is a verdict file that `convogen verdicts` can read, or a judged folder. The
    output contains Cohen's kappa for every pair of judges of the same dialogues, and Fleiss' kappa
    and nominal Krippendorff's alpha over all judges. Self-preference is the number of points by
    which a judge favours its own model's dialogues, compared with the other judges. Position bias
    is reported if the order of the two dialogues was random. Human labels are JSON lines with
    `choice` and either `row` (from 1) or `conversation`.

    Scores (`--protocol scores`): each FILE is RUN/scores/geval.jsonl, or a file of human scores as
    JSON lines with `conversation`, `value` and `aspect`. The output contains Krippendorff's alpha
    per aspect: ordinal if all values are whole numbers, such as Likert ratings, otherwise interval.

    Files written by `convogen labels import` are supported too; each annotator then counts as a
    judge. With --human, the label of a dialogue is the annotators' majority choice.

    A path of the form JUDGE/uni_eval/DIALOGUES.jsonl names the judge and the dialogues. For other
    paths, add the names in front: JUDGE,DIALOGUES=FILE.

    \b
    Examples:
      convogen agreement gpt-4o,run=a.jsonl claude,run=b.jsonl --protocol gteval
      convogen agreement --protocol scores RUN/scores/geval.jsonl LABELS.jsonl
    """
    from convogen.reports.agreement import (
        agreements,
        calibrations,
        position_biases,
        self_preference,
    )
    from convogen.reports.annotators import in_one_set, read_all_verdicts

    if protocol == "scores":
        _compare_scores(sources, own, humans, as_json)
        return
    known = cast("Protocol", protocol)
    judged = in_one_set([one for each in sources for one in read_all_verdicts(each, known)])
    mine: dict[str, str] = {}
    for pair in own:
        judge, sign, dialogues = pair.partition("=")
        if not sign:
            raise click.UsageError(f"--own {pair}: must be JUDGE=DIALOGUES")
        if judge in mine:
            raise click.UsageError(
                f"--own {pair}: the dialogues of {judge} are already set to {mine[judge]}"
            )
        mine[judge] = dialogues
    found = _Compared(
        protocol,
        agreements(judged, known),
        self_preference(judged, mine),
        position_biases(judged),
        calibrations(judged, humans, known),
    )
    if as_json:
        say_json(asdict(found), indent=2)
        return
    if not (found.agreement or found.self_preference or found.position_bias or found.calibration):
        raise click.UsageError(
            "nothing to compare; give the verdicts of two judges on the same dialogues, or add "
            "--own or --human"
        )

    _print(terminal(), found)


def _compare_scores(
    sources: Sequence[str], own: Sequence[str], humans: Sequence[str], as_json: bool
) -> None:
    from convogen.reports.annotators import in_one_set, read_all_scores
    from convogen.reports.score_agreement import score_agreements

    if own or humans:
        raise click.UsageError(
            "--own and --human apply only to verdicts; give human scores as another FILE"
        )
    judged = in_one_set([one for each in sources for one in read_all_scores(each)])
    groups = score_agreements(judged)
    if as_json:
        say_json({"protocol": "scores", "agreement": [asdict(group) for group in groups]}, indent=2)
        return
    if not groups:
        raise click.UsageError(
            "nothing to compare; give two files with scores of the same dialogues"
        )
    for group in groups:
        of = f" on {group.dialogues}" if group.dialogues else ""
        title = f"Krippendorff's alpha{of}: {', '.join(group.judges)}"
        table = _table(title, "aspect", "level", "dialogues")
        for row in group.aspects:
            names = [row.aspect or "–", row.level, f"{row.n}"]
            _row(table, names, row.krippendorff_alpha)
        terminal().print(table)


@dataclass(frozen=True, slots=True)
class _Compared:
    """The results of a comparison of judges, in the form printed with `--json`."""

    protocol: str
    agreement: list[Agreement]
    self_preference: list[SelfPreference]
    position_bias: list[JudgePosition]
    calibration: list[Calibration]


def _print(console: Console, found: _Compared) -> None:
    for group in found.agreement:
        of = f" on {group.dialogues}" if group.dialogues else ""
        table = _table(f"Agreement{of}, {group.n} dialogues", "measure", "judges")
        for pair in group.pairs:
            names = " and ".join(pair.judges)
            _row(table, ["same verdict", names], pair.share)
            _row(table, ["Cohen's kappa", names], pair.cohen_kappa)
        _row(table, ["Fleiss' kappa", "all"], group.fleiss_kappa)
        _row(table, ["Krippendorff's alpha", "all"], group.krippendorff_alpha)
        console.print(table)
    if found.self_preference:
        table = _table("Self-preference, points", "judge", "own dialogues", "compared with")
        for one in found.self_preference:
            peers = ", ".join(one.compared_with) or "nobody"
            _row(table, [one.judge, one.own, peers], one.points, 2)
        console.print(table)
    if found.position_bias:
        table = _table("Position bias", "judge", "dialogues", "measure")
        for one in found.position_bias:
            _row(table, [one.judge, one.dialogues, "first dialogue chosen, share"], one.first)
            _row(
                table,
                [one.judge, one.dialogues, "advantage of being shown first, points"],
                one.gap,
                2,
            )
        console.print(table)
    if found.calibration:
        table = _table("Corrected pass rates, %", "judge", "dialogues", "method")
        for one in found.calibration:
            names = [one.judge, one.dialogues]
            _row(table, [*names, f"as judged, n={one.n}"], one.rate, 2)
            labels = counted(one.labels, "label") + (f", {one.tied} tied" if one.tied else "")
            _row(table, [*names, f"Rogan-Gladen, {labels}"], one.rogan_gladen, 2)
            _row(table, [*names, "prediction-powered"], one.prediction_powered, 2)
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    from rich.table import Table

    table = Table(title=styled(title), title_justify="left", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in ("value", "95%"):
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _row(table: Table, names: Sequence[str], found: Bounded | None, digits: int = 3) -> None:

    value = ends = "–"
    if found is not None and found.value is not None:
        value = f"{found.value:.{digits}f}"
        if found.low is not None:
            ends = f"{found.low:.{digits}f} to {found.high:.{digits}f}"
    table.add_row(*(styled(name) for name in names), value, ends)
