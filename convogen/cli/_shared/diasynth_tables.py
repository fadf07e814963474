"""Tables 2 to 5 of the DiaSynth paper, with your numbers next to the published ones.

The notes below each table say how the measures differ from the paper's.
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
"""The table of each judge; its columns are the judge's aspects."""

_KEYS = {"geval3": "questions", "gptscore": "questions", "fed": "follow_ups"}

SCORER = "Phi-3.5-mini"
"""The model that scores tables 3 to 5 in the authors' code."""

Row = Mapping[str, float | None]
"""A run's numbers by column of the paper's table."""


def diasynth_tables(
    measured: Mapping[str, Measured],
    judged: Mapping[str, Mapping[str, JudgeSummary]],
    group_chats: Collection[str] = (),
) -> Iterator[Table]:
    """Yield tables 2 to 5 for runs, next to the published ones.

    Args:
        measured: Runs of the method diasynth, for table 2.
        judged: Each judge's scores of each run, by run and judge, for tables 3 to 5.
        group_chats: Names of the runs of mode groupchat.
    """
    known = published("diasynth")
    if measured:
        rows = {name: _statistics(known["2"], found) for name, found in measured.items()}
        table = _table(known["2"], rows)
        pairs = (_number(found.text.rouge_l) for found in measured.values())
        table.add_row("mean ROUGE-L of all pairs, a sample", *pairs, style="dim")
        table.caption = styled(_sentence(_cautions_2(measured, group_chats)))
        yield table
    for judge, number in TABLES.items():
        of = {name: by[judge] for name, by in judged.items() if judge in by}
        same = {name: one for name, one in of.items() if _comparable(one, known[number])}
        if same:
            rows = {name: _scores(one) for name, one in same.items()}
            table = _table(known[number], rows)
            table.caption = styled(_sentence(_cautions(judge, same)))
            yield table


def _statistics(known: PublishedTable, found: Measured) -> Row:
    text = found.text
    row = [text.conversations, text.turns_per_conversation, text.words_per_turn]
    return dict(zip(known.columns, [*row, text.rouge_l_nearest], strict=True))


def _scores(judged: JudgeSummary) -> Row:
    return {aspect: row.value for aspect, row in judged.aspects.items()}


def _comparable(judged: JudgeSummary, known: PublishedTable) -> bool:
    """Return whether a judge scored the paper's aspects on its scale; FED scores whole
    dialogues."""
    return [*judged.aspects] == [*known.columns] and judged.over in (None, "dialogue")


def _cautions_2(measured: Mapping[str, Measured], group_chats: Collection[str]) -> list[str]:
    """Return how table 2 is measured differently from the published one."""
    said = [f"diversity: mean of each dialogue's largest ROUGE-L to another of the first {FIRST}"]
    few = {name: one.text.nearest_of for name, one in measured.items()}
    fewer = [f"{name} has {n}" for name, n in few.items() if n < FIRST]
    if fewer:
        said.append(f"{', '.join(fewer)}; fewer dialogues give lower values")
    if chats := [name for name in measured if name in group_chats]:
        said.append(
            f"{', '.join(chats)}: group chats, one call per turn; the paper's are written in one "
            f"reply"
        )
    return [*said, "words in place of tokens"]


def _cautions(judge: str, judged: Mapping[str, JudgeSummary]) -> list[str]:
    """Return the differences between a judge's measure and the published one."""
    said: list[str] = []
    others = dict.fromkeys(
        one.model for one in judged.values() if SCORER.casefold() not in one.model.casefold()
    )
    if others:
        said.append(f"scored by {', '.join(others)}, the published ones by {SCORER}")
    if judge == "fed" and not all(one.speakers for one in judged.values()):
        said.append("without speaker names, which the paper's have (speakers: true)")
    if judge == "gptscore":
        said.append(
            "here, Yes is the first word of the reply; in the paper, the reply begins with Answer:"
        )
    if judge == "geval3" and any("explain" in one.prompts for one in judged.values()):
        said.append(
            "scores from an earlier version of convogen, which asked for an explanation first "
            "and took groundedness to mean staying on topic (--fresh scores again)"
        )
    if all(one.own_wording for one in judged.values()):
        return [*said, "the wording comes from your own keys"]
    of = "follow-ups" if judge == "fed" else "questions"
    return [
        *said,
        f"the wording of the {of} is convogen's; the paper's goes into the key {_KEYS[judge]}",
    ]


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _table(known: PublishedTable, rows: Mapping[str, Row]) -> Table:
    """Return one line per column of the paper; published rows show the range over models."""
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
    """Return the lowest and highest value over the models with examples of one kind."""
    cells = [row[column] for name, row in known.rows.items() if name.endswith(f"/{kind}")]
    values = sorted(float(cell) for cell in cells if cell is not None)
    return f"{_number(values[0])} to {_number(values[-1])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
