"""The command `convogen stats`: measure statistics, lexical diversity and group-chat quality."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.cluster import Place, cluster_options
from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.interaction_tables import interacting_of, interaction_tables
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say, say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.corpora import Corpus
    from convogen.metrics import Distance, Estimate, Rendering, Statistics
    from convogen.published import Cell
    from convogen.reports.interaction import SourceInteraction

__all__ = [
    "command",
    "metric_tables",
    "more_tables",
    "paper_table",
    "print_metric_faults",
    "published_text",
    "repetition_table",
    "short_name",
]

_LABELS = {
    "paper": "Speaker labels count as words, as in the published numbers.",
    "text": "Unlike the published numbers, these numbers do not count speaker labels as words; to "
    "count the labels too, use --render paper.",
}


@click.command("stats")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=SourcePath())
@click.option(
    "--format",
    "format_",
    metavar="F",
    help="Format of the files; detected automatically by default.",
)
@click.option(
    "--render",
    type=click.Choice(["text", "paper"]),
    default="text",
    show_default=True,
    help="Count only the words of the text (`text`), or also the user1:/user2: labels, as in the "
    "ConvoGen paper (`paper`).",
)
@click.option(
    "--against",
    metavar="CORPUS",
    help="Corpus, usually of human conversations, to compare each FILE with.",
)
@click.option(
    "--interaction",
    is_flag=True,
    help="Also measure coherence, friction and who addresses whom. The command then takes several "
    "times as long.",
)
@click.option(
    "--judged",
    multiple=True,
    metavar="FOLDER",
    help="Folder with friction labels for a corpus, written by `evaluate CORPUS --judge friction "
    "--out FOLDER`. Run folders contain their own labels.",
)
@click.option("--strict", is_flag=True, help="Stop at the first row that cannot be read.")
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
@cluster_options("Measure", processes=True)
def command(
    files: tuple[str, ...],
    format_: str | None,
    render: Rendering,
    against: str | None,
    interaction: bool,
    judged: tuple[str, ...],
    strict: bool,
    as_json: bool,
    place: Place,
) -> None:
    """Measure conversation data: run folders, files in many formats, or hf:OWNER/NAME.

    Each FILE is measured separately. With several FILES, the JSON object describes the first FILE
    at the top level and all FILES under `corpora`.

    \b
    Examples:
      convogen stats runs/demo
      convogen stats generated.jsonl --against human.csv
    """
    from convogen.cli._shared.notices import notices

    if judged and not interaction:
        raise click.UsageError("--judged requires --interaction")
    click.get_current_context().with_resource(notices("convogen.corpora"))
    how = {"rendering": render, "workers": place.measuring(), "interaction": interaction}
    measured = {name: _measure(name, format_, strict, how) for name in files}
    human = _measure(against, None, strict, how)[0] if against else None
    print_metric_faults(found for found, _ in measured.values())
    people = {name: found for name, (found, _) in measured.items()}
    interacting = interacting_of(people, {against: human} if against and human else {}, judged)
    if as_json:
        beside = interacting.get(against) if against else None
        reports = [
            _Measured.of(*one, human, interacting.get(name), beside).as_dict()
            for name, one in measured.items()
        ]
        whole = dict(reports[0])
        if len(reports) > 1:
            whole["corpora"] = reports
        if human:
            labels = _judged_dict(beside)
            whole["against"] = {"source": against, **human.as_dict(), **labels}
        say_json(whole)
        return
    named = {short_name(name, people): found for name, found in people.items()}
    beside = {short_name(against, {}): human} if against and human else {}
    shown = zip([*named, *beside], interacting.values(), strict=False)
    _print_tables(named, beside, render, dict(shown))


def _judged_dict(one: SourceInteraction | None) -> dict[str, Any]:
    return {"judged_friction": asdict(one.judged)} if one and one.judged else {}


def _measure(
    name: str, format_: str | None, strict: bool, how: dict[str, Any]
) -> tuple[Statistics, Corpus]:
    from convogen.corpora import open_corpus
    from convogen.metrics import measure

    corpus = open_corpus(name, format_, strict=strict)
    return measure(corpus, **how), corpus


@dataclass(frozen=True, slots=True)
class _BadRows:
    """The number of unreadable rows, and the errors in the first few."""

    count: int
    first: list[str]


@dataclass(frozen=True, slots=True)
class _Measured:
    """A measured source in the form printed with `--json`, in which the statistics are top-level
    keys.

    Attributes:
        source: The path or name of the source.
        format: The format that the source was read in.
        left_out: For each kind of data that was read but not measured, the number of items.
        distance: The distance from the reference corpus, if one is given.
        interacting: The interaction measures, if requested.
        differences_told_by: How the turns of both corpora were labelled with behaviours: by a
            judge's model, or by rules.
        friction_differences: Differences from the reference corpus in the share of turns with each
            behaviour.
    """

    source: str
    statistics: Statistics
    format: str
    bad_rows: _BadRows
    left_out: dict[str, int]
    warnings: list[str]
    distance: Distance | None
    interacting: SourceInteraction | None
    differences_told_by: str | None
    friction_differences: dict[str, Estimate] | None

    @classmethod
    def of(
        cls,
        found: Statistics,
        corpus: Corpus,
        human: Statistics | None,
        ours: SourceInteraction | None,
        theirs: SourceInteraction | None,
    ) -> _Measured:
        from convogen.metrics import distance
        from convogen.reports.interaction import differences

        bad = corpus.bad_rows
        return cls(
            corpus.source,
            found,
            corpus.format.name,
            _BadRows(bad.count, [str(row) for row in bad.first]),
            dict(corpus.reading.left_out),
            [*corpus.warnings(), *_not_measured(corpus.source, found)],
            distance(found, human) if human else None,
            ours,
            *(differences(ours, theirs) if ours and theirs else (None, None)),
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "source": self.source,
            **self.statistics.as_dict(),
            "format": self.format,
            "bad_rows": asdict(self.bad_rows),
            "left_out": self.left_out,
            "warnings": self.warnings,
            **({"distance": asdict(self.distance)} if self.distance else {}),
            **_judged_dict(self.interacting),
            **self._differences(),
        }

    def _differences(self) -> dict[str, Any]:
        if self.friction_differences is None:
            return {}
        one_by_one = self.friction_differences.items()
        return {
            "friction_differences": {name: asdict(one) for name, one in one_by_one},
            "differences_told_by": self.differences_told_by,
        }


def _print_tables(
    ours: dict[str, Statistics],
    human: dict[str, Statistics],
    render: str,
    interacting: dict[str, SourceInteraction],
) -> None:
    console = terminal()
    console.print(paper_table(ours | human, render))
    tables = (*more_tables(ours, human), *interaction_tables(interacting))
    for table in (*tables, *metric_tables(ours | human)):
        console.print(table)
    for name, found in (ours | human).items():
        for line in _not_measured(name, found):
            console.print(styled(line))
    for name, found in ours.items():
        if found.repetition:
            console.print(repetition_table(name, found))


def _not_measured(name: str, found: Statistics) -> list[str]:
    from convogen.metrics.labels import lines_not_checked, lines_without_words

    lines = lines_without_words(found) + lines_not_checked(found.not_checked)
    return [f"{name}: {line}" for line in lines]


def paper_table(measured: dict[str, Statistics], render: str) -> Table:
    """Return the paper's tables II, III and V as one table, with the published rows below the
    data."""
    from rich.table import Table

    from convogen.published import published
    from convogen.reports.cells import number_text

    table = Table(title=f"Rendering: {render}", title_justify="left")
    table.add_column("Data set", overflow="fold")
    for name in ("Conv.", "nW", "nT", "nW/T", "MTLD", "± std"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, found in measured.items():
        numbers = (
            found.words_per_conversation,
            found.turns_per_conversation,
            found.words_per_turn,
            found.mtld_mean,
            found.mtld_std,
        )
        cells = (f"{found.conversations}", *map(number_text, numbers))
        table.add_row(styled(name), *cells, style="bold")
    table.add_section()
    tables = published("convogen")
    sizes = tables["I"].rows | tables["II"].rows
    for name, row in tables["III"].rows.items():
        printed = [*row.values(), *tables["V"].rows[name].values()]
        cells = (f"{sizes[name]['n_conversations']}", *map(published_text, printed))
        table.add_row(f"{name}, published", *cells, style="dim")
    table.caption = (
        f"nW: words per conversation; nT: turns per conversation; nW/T: words per turn; MTLD: "
        f"mean and standard deviation over conversations. {_LABELS[render]}"
    )
    return table


def more_tables(
    ours: dict[str, Statistics], human: dict[str, Statistics], columns: int = 4
) -> Iterator[Table]:
    """Yield tables of diversity and group-chat measures, with at most `columns` data sets each."""
    named = list((ours | human).items())
    for start in range(0, len(named), columns):
        yield _more_table(dict(named[start : start + columns]), human)


def _more_table(columns: dict[str, Statistics], human: dict[str, Statistics]) -> Table:
    from rich.table import Table

    from convogen.metrics import distance
    from convogen.metrics.labels import GROUP_CHAT, MEASURES, character_lengths
    from convogen.reports.cells import number_text
    from convogen.text.language_tags import language_name

    table = Table(title="Diversity and group chat", title_justify="left")
    table.add_column("Measure")
    for name in columns:
        table.add_column(styled(name), justify="right", overflow="fold")
    for label, key in MEASURES.items():
        table.add_row(label, *(number_text(getattr(found, key), 3) for found in columns.values()))
    lengths = [character_lengths(found) for found in columns.values()]
    for label in dict.fromkeys(label for found in lengths for label in found):
        table.add_row(label, *(number_text(found.get(label)) for found in lengths))
    for tag in dict.fromkeys(tag for found in columns.values() for tag in found.stated_languages):
        stated = (found.stated_languages.get(tag) for found in columns.values())
        shares = (number_text(one.share if one else None, 3) for one in stated)
        table.add_row(f"Turns in {language_name(tag)} / turns of five words or more", *shares)
    table.add_section()
    for label, key in GROUP_CHAT.items():
        chats = (getattr(found.group_chat, key) for found in columns.values())
        table.add_row(label, *(number_text(value, 3) for value in chats))
    for name, other in human.items():
        table.add_section()
        apart = [distance(found, other) for found in columns.values()]
        unit = other.length_unit
        for label, key in ((f"turn lengths, {unit}", "turn_length"), ("turn counts", "turn_count")):
            values = (getattr(one, key) if one else None for one in apart)
            table.add_row(
                f"Distance from {name}: {label}",
                *(number_text(value, 3) for value in values),
            )
    return table


def checks_tables(columns: dict[str, Statistics]) -> Iterator[Table]:
    """Yield a table that counts replies requested again, tidied or kept despite a fault, if any."""
    from rich.table import Table

    from convogen.metrics.labels import TURN_CHECKS

    table = Table(title="Turn checks", title_justify="left")
    table.add_column("Kind")
    for name in columns:
        table.add_column(styled(name), justify="right", overflow="fold")
    for key, label in TURN_CHECKS.items():
        counts: list[dict[str, int]] = [
            getattr(found.turn_checks, key) for found in columns.values()
        ]
        for kind in dict.fromkeys(kind for found in counts for kind in found):
            table.add_row(f"{label}: {kind}", *(f"{found.get(kind, 0)}" for found in counts))
    if table.rows:
        yield table


def metric_tables(columns: dict[str, Statistics]) -> Iterator[Table]:
    """Yield a table with the values of the installed metrics, if any are installed."""
    from rich.table import Table

    from convogen.reports.cells import number_text

    table = Table(title="Installed metrics", title_justify="left")
    table.add_column("Metric")
    for name in columns:
        table.add_column(styled(name), justify="right", overflow="fold")
    metrics = [found.metrics for found in columns.values()]
    for name, unit in {name: one.unit for of in metrics for name, one in of.items()}.items():
        values = (of[name].value if name in of else None for of in metrics)
        label = styled(f"{name}, {unit}" if unit else name)
        table.add_row(label, *(number_text(value, 3) for value in values))
    if table.rows:
        yield table


def print_metric_faults(measured: Iterable[Statistics]) -> None:
    """Print a line to stderr for each metric that failed."""
    faults = (one.fault for found in measured for one in found.metrics.values())
    for line in dict.fromkeys(fault for fault in faults if fault):
        say(line, err=True)


def repetition_table(name: str, found: Statistics) -> Table:
    from rich.table import Table

    table = Table(title=styled(f"Near-copies in {name}"), title_justify="left")
    for label in ("Kind", "Texts", "Different", "Near-copies", "Share", "Most common"):
        table.add_column(label, justify="left" if label in ("Kind", "Most common") else "right")
    for kind, view in found.repetition.items():
        common = "; ".join(f"{text} ×{count}" for text, count in list(view.most.items())[:3])
        counts = (f"{view.texts}", f"{view.different}", f"{view.copies}", f"{view.share:.1%}")
        table.add_row(kind, *counts, styled(common))
    return table


def published_text(cell: Cell) -> str:
    from convogen.reports.cells import number_text

    return number_text(cell) if isinstance(cell, int | float) else f"{cell}"


def short_name(name: str | None, others: Iterable[str]) -> str:
    """Return the last part of a path if it is unique among the sources, otherwise the whole
    path."""
    from pathlib import Path

    last = Path(name or "").name or f"{name}"
    alike = sum(Path(other).name == last for other in others)
    return f"{name}" if alike > 1 else last
