"""The command `convogen verdicts`: compute pass rates from judges' verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import OutPath
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.judges.verdict_files import Protocol, Verdicts
    from convogen.papers.dialogueforge.pass_rates import Compared, LengthChange, Rate, TuningGain
    from convogen.reports.verdicts import PositionBias

__all__ = ["command", "verdict_table"]

_SHORT = {"Conversation 1": "1st", "Conversation 2": "2nd"}

_FALSE_ALARM = "false alarms, in which the judge names utterance 1, which a person wrote"
_MARKS = {"order": "o", "prompt": "p", "judge": "j"}
_UNKNOWN = "?"


@click.command("verdicts")
@click.argument(
    "sources", metavar="[MODEL[,DATA[,N]]=]FILE...", nargs=-1, required=True, type=SourcePath()
)
@click.option(
    "--protocol",
    required=True,
    type=click.Choice(["unieval", "gteval"]),
    help="Protocol of the verdicts. With unieval, the judge is asked whether a dialogue contains "
    "a machine-written utterance; with gteval, which of two dialogues is generated.",
)
@click.option(
    "--generated",
    type=WholeNumber(1, 2),
    default=2,
    show_default=True,
    help="With --protocol gteval: position of the generated dialogue in files that convogen did "
    "not write.",
)
@click.option(
    "--table", is_flag=True, help="Print a table with the rate for each model, data set and length."
)
@click.option(
    "--chart",
    type=OutPath(dir_okay=False),
    help="File for a chart of the rates (.png, .svg or .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as JSON.")
def command(
    sources: tuple[str, ...],
    protocol: str,
    generated: int,
    table: bool,
    chart: Path | None,
    as_json: bool,
) -> None:
    """Compute pass rates from verdicts.

    Each FILE is a judged run, or contains JSON lines with `choice` and, optionally, `index` and
    `reason`. The pass rate is the percentage of dialogues that pass. For UniEval, a dialogue passes
    if the judge finds no machine-written utterance in it. For GTEval, it passes if the judge does
    not identify it as the generated dialogue.

    --table also shows how the rate changes from one length to the next and how much is gained from
    fine-tuning, next to the published numbers. Marks show how the judging differs from the paper's.
    A run folder records its model, data and length. For a file, put MODEL,DATA,N in front of the
    path, as in "Llama-3.2-3B (FT),OASST1,6=verdicts.jsonl". Use the model name `real` for real
    dialogues.
    """
    from convogen.papers.dialogueforge.pass_rates import compare, read_cell

    known = cast("Protocol", protocol)
    cells = [read_cell(each, known, cast("Literal[1, 2]", generated)) for each in sources]
    if table or chart:
        compared = compare(cells, known)
        if chart:
            from convogen.papers.dialogueforge.pass_rate_chart import draw

            draw(compared, chart)
        if as_json:
            say_json(compared.as_dict(), indent=2)
        elif table:
            _print_compared(compared)
        return
    found = [cell.counted for cell in cells]
    if as_json:
        say_json([asdict(each) for each in found], indent=2)
        return

    terminal().print(verdict_table(known, [(each.name, each, None) for each in found]))


def verdict_table(
    protocol: Protocol, rows: Sequence[tuple[str, Verdicts, PositionBias | None]]
) -> Table:
    """Return a table of rates and counts, with notes on position bias.

    Args:
        protocol: The protocol of the verdicts.
        rows: For each row, the name, the verdicts, and the position bias if the order was random.
    """
    from rich.table import Table

    about = {
        "unieval": "dialogues judged as human, %",
        "gteval": "dialogues not identified as generated, %",
    }
    title = f"{protocol}: {about[protocol]}"
    table = Table(title=title, title_justify="left", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Verdicts", overflow="fold", min_width=15)
    counts = list(rows[0][1].counts)
    for column in ("n", "rate", "95%"):
        table.add_column(column, justify="right", no_wrap=True)
    accused = any(found.false_alarms is not None for _, found, _ in rows)
    for column in (*counts, "none", *(["1st accused"] if accused else [])):
        table.add_column(_SHORT.get(column, column), justify="right", no_wrap=True)
    for name, found, _ in rows:
        numbers = [f"{count}" for count in (*found.counts.values(), found.missing)]
        if accused:
            numbers.append(_alarms(found))
        bounds = f"{found.low:.1f} to {found.high:.1f}"
        table.add_row(styled(name), f"{found.n}", f"{found.rate:.2f}", bounds, *numbers)
    notes = [_bias_text(name, bias) for name, _, bias in rows if bias is not None]
    if accused:
        notes.append(f"1st accused: {_FALSE_ALARM}")
    if notes:
        table.caption = "; ".join(notes)
    return table


def _alarms(row: Verdicts | Rate) -> str:
    """Return the number and share of dialogues that fail because the judge names the real utterance
    1."""
    if row.false_alarms is None:
        return ""
    return f"{row.false_alarms} ({row.false_alarm_rate:.1f}%)"


def _bias_text(name: str, bias: PositionBias) -> str:
    first, gap = bias.first, bias.gap
    if first.value is None or gap is None:
        return f"{name}: the positions are unknown"
    ends = f"{first.low:.0%} to {first.high:.0%}"
    return (
        f"{name}: the dialogue shown first is chosen {first.value:.0%} of the time ({ends}); being "
        f"shown first gives an advantage of {gap.value:+.2f} points"
    )


class _Line(NamedTuple):
    """A table row: the labels, the number as text, the result it comes from, and false alarms as
    text."""

    labels: tuple[str | int | None, ...]
    number: str
    row: Rate | LengthChange | TuningGain
    alarms: str = ""


def _print_compared(compared: Compared) -> None:
    console = terminal()
    for title, columns, lines in (
        (
            "Pass rate, %",
            ("model", "data", "utterances", "n", "rate"),
            [
                _Line((row.model, row.data, row.utterances), f"{row.rate:.2f}", row, _alarms(row))
                for row in compared.cells
            ],
        ),
        (
            "Change with length, points",
            ("model", "data", "from", "to", "n", "change"),
            [
                _Line((row.model, row.data, row.before, row.after), f"{row.change:+.2f}", row)
                for row in compared.degradation
            ],
        ),
        (
            "Gain from fine-tuning, points",
            ("model", "data", "utterances", "n", "gain"),
            [
                _Line((row.model, row.data, row.utterances), f"{row.gain:+.2f}", row)
                for row in compared.finetuning
            ],
        ),
    ):
        if lines:
            console.print(_compared_table(f"{compared.protocol}: {title}", columns, lines))


def _compared_table(title: str, columns: Sequence[str], lines: Sequence[_Line]) -> Table:
    """Return a table of the user's numbers next to the published ones, with marks for differences
    in the judging."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", pad_edge=False)
    more = ["1st accused"] if any(line.alarms for line in lines) else []
    for column in (*columns, "95%", "published", *more):
        left = column in ("model", "data")
        table.add_column(column, justify="left" if left else "right", no_wrap=not left)
    for line in lines:
        row = line.row
        cells = (styled("–" if label is None else f"{label}") for label in line.labels)
        ends = "" if row.low is None else f"{row.low:.2f} to {row.high:.2f}"
        numbers = (f"{row.n}", line.number, ends, _published(row))
        table.add_row(*cells, *numbers, *([line.alarms] if more else []))
    notes = _differences([line.row for line in lines])
    notes += [f"1st accused: {_FALSE_ALARM}"] if more else []
    table.caption = "; ".join(notes) or None
    return table


def _published(row: Rate | LengthChange | TuningGain) -> str:
    """Return a published number, with a mark for each difference in the judging."""
    if row.published is None:
        return ""
    marks = _UNKNOWN if row.differs is None else "".join(_MARKS[name] for name in row.differs)
    return f"{row.published:.2f} {marks}".rstrip()


def _differences(rows: Sequence[Rate | LengthChange | TuningGain]) -> list[str]:
    """Return explanations of the marks on published numbers."""
    from convogen.papers.dialogueforge.as_published import DIFFERENCES

    beside = [row.differs for row in rows if row.published is not None]
    found = [name for name in DIFFERENCES if any(name in differs for differs in beside if differs)]
    unknown = ["it is unknown how the judge of this file was prompted"] if None in beside else []
    notes = [f"{_MARKS[name]}: {DIFFERENCES[name]}" for name in found]
    return [*notes, *(f"{_UNKNOWN}: {note}" for note in unknown)]
