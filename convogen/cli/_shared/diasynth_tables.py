"""Tables 2 to 5 of the DiaSynth paper, with the user's numbers next to the published ones.

The notes below each table say how the measures differ from those in the paper.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from rich.table import Table

from convogen.cli._shared.console import styled
from convogen.metrics.tally import FIRST
from convogen.published import PublishedTable, published
from convogen.reports.groundedness import JudgeSummary
from convogen.reports.measured import Measured

__all__ = ["diasynth_tables"]

TABLES = {"geval3": "5", "gptscore": "4", "fed": "3"}
"""Maps each judge to the number of its table; the table's columns are the judge's aspects."""

_KEYS = {"geval3": "questions", "gptscore": "questions", "fed": "follow_ups"}

SCORER = "Phi-3.5-mini"
"""The model that computes the scores in tables 3 to 5 in the authors' code."""

Row = Mapping[str, float | None]
"""Maps each column of the paper's table to a run's number."""


def diasynth_tables(
    measured: Mapping[str, Measured],
    judged: Mapping[str, Mapping[str, JudgeSummary]],
    group_chats: Collection[str] = (),
) -> Iterator[Table]:
    """Yield tables 2 to 5 with the numbers of runs next to the published ones.

    Args:
        measured: The names and measurements of the runs with the `diasynth` method, for table 2.
        judged: The scores for each run and judge, for tables 3 to 5.
        group_chats: The names of the runs with `mode: groupchat`.
    """
    known = published("diasynth")
    if measured:
        rows = {name: _statistics(known["2"], found) for name, found in measured.items()}
        table = _table(known["2"], rows)
        pairs = (_number(found.text.rouge_l) for found in measured.values())
        table.add_row("mean ROUGE-L over a sample of all pairs", *pairs, style="dim")
        table.caption = styled(_sentences(_cautions_2(measured, group_chats)))
        yield table
    for judge, number in TABLES.items():
        of = {name: by[judge] for name, by in judged.items() if judge in by}
        same = {name: one for name, one in of.items() if _comparable(one, known[number])}
        if same:
            rows = {name: _scores(one) for name, one in same.items()}
            table = _table(known[number], rows)
            table.caption = styled(_sentences(_cautions(judge, same)))
            yield table


def _statistics(known: PublishedTable, found: Measured) -> Row:
    text = found.text
    row = [text.conversations, text.turns_per_conversation, text.words_per_turn]
    return dict(zip(known.columns, [*row, text.rouge_l_nearest], strict=True))


def _scores(judged: JudgeSummary) -> Row:
    return {aspect: row.value for aspect, row in judged.aspects.items()}


def _comparable(judged: JudgeSummary, known: PublishedTable) -> bool:
    """Return whether a judge scored the paper's aspects on the paper's scale, for whole
    dialogues."""
    return [*judged.aspects] == [*known.columns] and judged.over in (None, "dialogue")


def _cautions_2(measured: Mapping[str, Measured], group_chats: Collection[str]) -> list[str]:
    """Return notes on how the measures in table 2 differ from the published ones."""
    said = [
        "diversity is each dialogue's highest ROUGE-L with another dialogue, averaged over the "
        f"first {FIRST} dialogues"
    ]
    few = {name: one.text.nearest_of for name, one in measured.items()}
    fewer = [f"{name} has {n}" for name, n in few.items() if n < FIRST]
    if fewer:
        said.append(f"fewer dialogues give lower values: {', '.join(fewer)}")
    if chats := [name for name in measured if name in group_chats]:
        said.append(
            f"the dialogues of {', '.join(chats)} are group chats with one model call per turn, "
            "whereas the paper's dialogues are written in one reply"
        )
    return [*said, "lengths are in words instead of tokens"]


def _cautions(judge: str, judged: Mapping[str, JudgeSummary]) -> list[str]:
    """Return notes on the differences between a judge's measure and the published one."""
    said: list[str] = []
    others = dict.fromkeys(
        one.model for one in judged.values() if SCORER.casefold() not in one.model.casefold()
    )
    if others:
        said.append(f"scored by {', '.join(others)}; the published scores are by {SCORER}")
    if judge == "fed" and not all(one.speakers for one in judged.values()):
        said.append(
            "speaker names were not shown to the judge, unlike in the paper; show them with "
            "`speakers: true`"
        )
    if judge == "gptscore":
        said.append("replies begin with Yes or No here, but with `Answer:` in the paper")
    if judge == "geval3" and any("explain" in one.prompts for one in judged.values()):
        said.append(
            "some scores come from an earlier version of convogen, which asked for an explanation "
            "first and defined groundedness as staying on topic; use --fresh to score again"
        )
    if all(one.own_wording for one in judged.values()):
        return [*said, "the wording is your own"]
    of = "follow-ups" if judge == "fed" else "questions"
    return [
        *said,
        f"the wording of the {of} is convogen's; to use the paper's wording, set the "
        f"{_KEYS[judge]} key",
    ]


def _sentences(parts: list[str]) -> str:
    return " ".join(f"{part[0].upper()}{part[1:]}." for part in parts)


def _table(known: PublishedTable, rows: Mapping[str, Row]) -> Table:
    """Return a table with one row per column of the paper; published cells are ranges over
    models."""
    title = f"DiaSynth, table {known.table}: {known.about}"
    table = Table(title=styled(title), title_justify="left")
    table.add_column("")
    for name in rows:
        table.add_column(styled(name), justify="right", overflow="fold", style="bold")
    kinds = list(dict.fromkeys(name.partition("/")[2] for name in known.rows))
    for kind in kinds:
        table.add_column(f"{kind}, published", justify="right", style="dim")
    for column, about in known.columns.items():
        ranges = [_range(known, column, kind) for kind in kinds]
        table.add_row(styled(about), *(_number(row[column]) for row in rows.values()), *ranges)
    return table


def _range(known: PublishedTable, column: str, kind: str) -> str:
    """Return the published range of a column over all models that were given one kind of
    examples."""
    cells = [row[column] for name, row in known.rows.items() if name.endswith(f"/{kind}")]
    values = sorted(float(cell) for cell in cells if cell is not None)
    return f"{_number(values[0])} to {_number(values[-1])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
