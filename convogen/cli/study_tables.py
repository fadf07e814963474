"""The command `convogen study tables`: print the LLM Roleplay paper's tables for runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.options import OutPath
from convogen.cli._shared.run_folders import RunPath
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.papers.roleplay.published_checks import Check
    from convogen.papers.roleplay.study import Condition, Measure, Overall, Played
    from convogen.published import Cell

__all__ = ["command"]

_LENGTHS = (
    "convogen's lengths are those of the accepted dialogues. Tokens are counted by the endpoint; "
    "the token count for a prompt includes the whole output that contains the prompt. The paper "
    "does not name its tokenizer."
)
"""A note on the measurement of lengths, for every table with published lengths."""


@click.command("tables")
@click.argument("folders", metavar="RUN...", nargs=-1, required=True, type=RunPath())
@click.option(
    "--chart",
    type=OutPath(dir_okay=False),
    help="File for a chart like figure 8 of the paper (.png, .svg or .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(folders: tuple[Path, ...], chart: Path | None, as_json: bool) -> None:
    """Print the LLM Roleplay paper's tables for RUNS: lengths, failures and lexical diversity.

    Runs that differ only in their seeds form one condition; means and standard deviations are
    computed over the runs in a condition. The tables show the published numbers next to yours. A
    list below the tables shows which published numbers can be recomputed from other published
    numbers, and how well the results agree.
    """
    from convogen.papers.roleplay.published_checks import checks
    from convogen.papers.roleplay.study import conditions, over_inquirers
    from convogen.reports.chartfile import check_kind
    from convogen.storage.run_folder import load_run

    if chart is not None:
        check_kind(chart)  # before reading the runs, which takes a while
    found = conditions(load_run(folder) for folder in folders)
    arithmetic = checks()
    if chart is not None:
        from convogen.papers.roleplay.chart import draw

        draw(_numbered(found), chart)
    if as_json:
        from convogen.papers.roleplay.diversity import told_apart

        whole = {
            "conditions": [_report(one) for one in found],
            "over_inquirers": [_overall(one) for one in over_inquirers(found)],
            "told": [asdict(one) for one in told_apart(found)],
            "published": [asdict(one) for one in arithmetic],
        }
        say_json(whole)
        return
    _print(found, arithmetic)


class _MeasureReport(TypedDict):
    """A `Measure` in the form printed as JSON."""

    mean: float | None
    std: float | None
    spread: float | None


class _ConditionReport(TypedDict):
    """A condition in the form printed as JSON; lists have one entry per run.

    Lengths are in turns and tokens; rates and shares are between 0 and 1. The keys of the mappings
    are measures.
    """

    name: str
    told: str
    runs: list[str]
    seeds: list[int]
    dialogues: list[int]
    complete: list[bool]
    failures: list[dict[str, int]]
    lengths: dict[str, _MeasureReport]
    rates: dict[str, _MeasureReport]
    per_dialogue: dict[str, _MeasureReport]
    per_turn: dict[str, _MeasureReport]
    counts: dict[str, _MeasureReport]
    diversity: dict[str, _MeasureReport]


class _OverallReport(TypedDict):
    """Conditions that differ only in their inquirers, in the form printed as JSON; `conditions`
    contains their indices."""

    conditions: tuple[int, ...]
    inquirers: int
    lengths: dict[str, _MeasureReport]


def _report(one: Condition) -> _ConditionReport:
    from convogen.papers.roleplay.study import DIVERSITY, LENGTHS, RATES

    outputs = ("inquirer_outputs", "responder_outputs", "dialogues", "regenerated")
    return _ConditionReport(
        name=one.name,
        told=one.told,
        runs=[f"{each.run.folder}" for each in one.runs],
        seeds=[each.seed for each in one.runs],
        dialogues=[each.counts["dialogues"] for each in one.runs],
        complete=[each.run.manifest.get("complete") is True for each in one.runs],
        failures=[dict(each.failures) for each in one.runs],
        lengths=_measures(LENGTHS, one.length),
        rates=_measures(RATES, one.rate),
        per_dialogue=_measures(RATES, one.per_dialogue),
        per_turn=_measures(RATES, one.per_turn),
        counts=_measures((*RATES, *outputs), one.count),
        diversity=_measures(DIVERSITY, one.diversity),
    )


def _overall(one: Overall) -> _OverallReport:
    return _OverallReport(
        conditions=one.conditions,
        inquirers=one.inquirers,
        lengths=_measures(one.lengths, one.lengths.__getitem__),
    )


def _measures(names: Iterable[str], measure: Callable[[str], Measure]) -> dict[str, _MeasureReport]:
    found = {name: measure(name) for name in names}
    return {
        name: _MeasureReport(mean=one.mean, std=one.std, spread=one.spread)
        for name, one in found.items()
    }


def _numbered(found: Sequence[Condition]) -> dict[str, Condition]:
    return {f"({nth}) {one.name}": one for nth, one in enumerate(found, 1)}


def _print(found: Sequence[Condition], arithmetic: Sequence[Check]) -> None:
    console = terminal()
    for nth, one in enumerate(found, 1):
        seeds = ", ".join(map(_seed, one.runs))
        console.print(styled(f"({nth}) {one.name}; dialogues by seed: {seeds}"))
    for draw in _TABLES:
        if (table := draw(found)) is not None:
            console.print(table)
    console.print(styled(_told(arithmetic)))


def _seed(one: Played) -> str:
    """Return a run's seed and the number of dialogues started, as text."""
    whole = "" if one.run.manifest.get("complete") is True else " (incomplete)"
    return f"{one.seed}: {one.counts['dialogues']}{whole}"


def _table(title: str, caption: str, columns: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.add_column(columns[0], overflow="fold")
    for column in columns[1:]:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _rates(found: Sequence[Condition]) -> Table:
    from convogen.papers.roleplay.study import LENGTHS, RATES
    from convogen.published import published

    rows = published("roleplay")["1"].rows
    table = _table(
        "Table 1: lengths, and failures in percent of outputs",
        "Standard deviations are in parentheses: within a seed for lengths, over seeds for "
        "failures.\nEndless thanks, ended early and not saved are percentages of the dialogues "
        "started. Failures that the paper does not report are counted by convogen's own "
        f"rules.\n{_LENGTHS}",
        ["", *(f"({nth})" for nth, _ in enumerate(found, 1)), *rows],
    )
    for name, label in LENGTHS.items():
        ours = [_text(one.length(name), spread=True) for one in found]
        table.add_row(label, *ours, *(_cell(row, name) for row in rows.values()))
    table.add_section()
    for name, (label, _) in RATES.items():
        ours = [_text(one.rate(name), 100) for one in found]
        table.add_row(label, *ours, *(_cell(row, name) for row in rows.values()))
    return table


def _counts(found: Sequence[Condition]) -> Table:
    from convogen.papers.roleplay.study import RATES
    from convogen.published import published
    from convogen.reports.cells import number_text

    rows = published("roleplay")["7"].rows
    table = _table(
        "Table 7: lengths, and failures with the number of outputs",
        "Standard deviations are in parentheses: within a seed for lengths, over seeds for "
        "failures.\nconvogen's counts are unweighted means over seeds; the paper's counts are "
        f"means over three seeds. {_LENGTHS}",
        ["", *(f"({nth})" for nth, _ in enumerate(found, 1)), *rows],
    )
    for name, label, of, scale in (
        ("utterances", "Utterances per dialogue", "turns", 2),
        ("prompt_tokens", "Tokens per prompt", "prompt_tokens", 1),
    ):
        ours = [_text(one.length(of), scale, spread=True) for one in found]
        table.add_row(label, *ours, *(_cell(row, name) for row in rows.values()))
    table.add_section()
    for name, (label, of) in RATES.items():
        ours = [f"{_text(one.count(name))} of {number_text(one.count(of).mean)}" for one in found]
        printed = [
            f"{_cell(row, name)} of {row[of]:,.2f}" if name in row else "–" for row in rows.values()
        ]
        table.add_row(label, *ours, *printed)
    return table


def _places(found: Sequence[Condition]) -> Table:
    from convogen.papers.roleplay.study import RATES

    columns = [f"({nth}) {per}" for nth, _ in enumerate(found, 1) for per in ("turns", "dialogues")]
    table = _table(
        "Failures in percent of turns and of dialogues",
        "The table counts the turns and dialogues in which a failure occurs at least once. "
        "Standard deviations over seeds are in parentheses. A turn is a prompt and its response; "
        "for a failed task, only the last turn is known. The paper counts only outputs (table 1).",
        ["", *columns],
    )
    for name, (label, _) in RATES.items():
        of_dialogue = name in ("thanking", "broken", "unsaved")
        cells = [
            cell
            for one in found
            for cell in (
                "–" if of_dialogue else _text(one.per_turn(name), 100),
                _text(one.rate(name) if of_dialogue else one.per_dialogue(name), 100),
            )
        ]
        table.add_row(label, *cells)
    return table


def _told_apart(found: Sequence[Condition]) -> Table | None:
    from convogen.papers.roleplay.diversity import MEASURES, told_apart

    compared = told_apart(found)
    if not compared:
        return None
    table = _table(
        "Table 2, tested: the effect of describing a persona on the user's text",
        "Each condition is compared with the condition without a persona, in pairs with the same "
        "person and goal. The columns show the number of pairs, the mean difference, the share of "
        "pairs with an increase, and p from Wilcoxon's signed-rank test (Holm). The type-token "
        "ratio falls as the text gets longer, so see also MTLD and the number of words. The paper "
        "reports no test.",
        ["Persona", "measure", "pairs", "difference", "increased", "p"],
    )
    for one in compared:
        table.add_row(
            f"({one.condition + 1}) {one.told}",
            MEASURES[one.measure],
            f"{one.pairs}",
            f"{one.difference:+.3f}",
            "–" if one.share is None else f"{one.share:.0%}",
            f"{one.p:.3f}" if one.p >= 0.001 else "<0.001",
        )
    return table


def _diversity(found: Sequence[Condition]) -> Table:
    from convogen.papers.roleplay.study import DIVERSITY
    from convogen.published import published

    table = _table(
        "Table 2: the user's language for each description of the persona",
        "convogen's numbers are computed over all prompts of a dialogue and averaged over "
        "dialogues; standard deviations over seeds are in parentheses. The paper reports variances "
        "and uses Mixtral as the inquirer; it does not say which text it measures.",
        ["Persona", *DIVERSITY.values()],
    )
    for nth, one in enumerate(found, 1):
        ours = [_text(one.diversity(name), digits=3) for name in DIVERSITY]
        table.add_row(f"({nth}) {one.told}", *ours)
    table.add_section()
    for name, row in published("roleplay")["2"].rows.items():
        table.add_row(f"{name}, published", *(_cell(row, key, "_var", 3) for key in DIVERSITY))
    return table


def _lengths(found: Sequence[Condition]) -> Table:
    from convogen.papers.roleplay.study import LENGTHS, over_inquirers
    from convogen.published import published

    table = _table(
        "Table 4: comparison with other data sets",
        "The standard deviation within a seed is in parentheses. In rows over inquirers and in the "
        "paper's own row, the parentheses contain the standard deviation of the inquirers' means "
        f"or, for responses, the mean of their standard deviations.\n{_LENGTHS}",
        ["", *LENGTHS.values()],
    )
    for nth, one in enumerate(found, 1):
        table.add_row(f"({nth})", *(_text(one.length(name), spread=True) for name in LENGTHS))
    for row in over_inquirers(found):
        members = ", ".join(f"{at + 1}" for at in row.conditions)
        cells = (_text(row.lengths[name]) for name in LENGTHS)
        table.add_row(f"({members}) over {row.inquirers} inquirers", *cells)
    table.add_section()
    for name, row in published("roleplay")["4"].rows.items():
        table.add_row(f"{name}, published", *(_cell(row, key) for key in LENGTHS))
    return table


def _data_sets(found: Sequence[Condition]) -> Table:
    from convogen.published import published

    columns = ("type", "dialogues", "style", "topics", "persona")
    table = _table(
        "Table 9: comparison with further data sets",
        "The published rows are as printed, except for the type, which is taken from table 4 "
        "because it is unclear which rows the three groups of table 9 span. convogen's rows cover "
        "all dialogues of all seeds. "
        f"{_LENGTHS}",
        ["", "type", "dialogues", "Turns per dialogue", "Tokens per prompt", *columns[2:]],
    )
    for nth, one in enumerate(found, 1):
        lengths = [_text(one.length(name), spread=True) for name in ("turns", "prompt_tokens")]
        count = sum(len(run.lengths["turns"]) for run in one.runs)
        persona = "no" if one.told == "none" else "yes"
        table.add_row(
            f"({nth})", "synthetic", f"{count}", *lengths, "human-chatbot", "goals", persona
        )
    table.add_section()
    for name, row in published("roleplay")["9"].rows.items():
        lengths = [_cell(row, key) for key in ("turns", "prompt_tokens")]
        about = ["-" if row[key] is None else f"{row[key]}" for key in columns]
        table.add_row(f"{name}, published", *about[:2], *lengths, *about[2:])
    return table


def _figure(found: Sequence[Condition]) -> Table:
    from convogen.papers.roleplay.chart import MEASURES, normalized, ours, theirs
    from convogen.reports.cells import number_text

    mine, printed = normalized(ours(_numbered(found))), normalized(theirs())
    table = _table(
        "Figure 8: each measure divided by the largest value in its group",
        "The groups are convogen's conditions and the inquirers of table 1. Smaller values are "
        "better, except for turns. Use --chart FILE to draw the figure. Dividing by the largest "
        "value is convogen's choice; the paper does not say how it normalises.",
        ["", *(f"({nth})" for nth, _ in enumerate(found, 1)), *printed],
    )
    for name, label in MEASURES.items():
        cells = (row[name] for row in (*mine.values(), *printed.values()))
        table.add_row(label, *map(number_text, cells))
    return table


_TABLES: tuple[Callable[[Sequence[Condition]], Table | None], ...] = (
    _rates,
    _counts,
    _places,
    _diversity,
    _told_apart,
    _lengths,
    _data_sets,
    _figure,
)


def _told(arithmetic: Sequence[Check]) -> str:
    """Return a summary of how well published numbers agree with recomputed numbers."""
    lines = ["The published numbers, recomputed from one another:"]
    for what in dict.fromkeys(one.what for one in arithmetic):
        own = [one for one in arithmetic if one.what == what]
        verdicts = dict.fromkeys(("rounded", "truncated", "within the spread", "off"), 0)
        for one in own:
            verdicts[one.verdict] += 1
        told = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items() if count)
        lines.append(f"  {what}: {told}")
        lines += [
            f"    {one.row}, {one.cell}: published {one.printed:g}, recomputed {one.computed:.4g}"
            for one in own
            if one.verdict != "rounded"
        ]
    return "\n".join(lines)


def _text(found: Measure, scale: float = 1, *, spread: bool = False, digits: int = 2) -> str:
    """Return a mean with its standard deviation in parentheses."""
    from convogen.reports.cells import number_text

    std = found.spread if spread else found.std
    shown = number_text(None if found.mean is None else found.mean * scale, digits)
    return shown if std is None else f"{shown} ({number_text(std * scale, digits)})"


def _cell(row: dict[str, Cell], name: str, deviation: str = "_std", digits: int = 2) -> str:
    """Return a published number with its standard deviation in parentheses."""
    from convogen.reports.cells import number_text

    value, std = row.get(name), row.get(f"{name}{deviation}")
    if not isinstance(value, float):
        return "–"
    shown = number_text(value, digits)
    return f"{shown} ({number_text(std, digits)})" if isinstance(std, float) else shown
