"""Tables 2 to 5 of the DiaSynth paper, our numbers beside the published ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.table import Table

from convogen.cli._shared.console import styled
from convogen.published import PublishedTable, published
from convogen.reports import Measured

__all__ = ["diasynth_tables"]

TABLES = {"geval3": "5", "gptscore": "4", "fed": "3"}
"""The table of a judge; its columns are the judge's aspects."""

Row = list[float | None]


def diasynth_tables(
    measured: Mapping[str, Measured], reports: Mapping[str, dict[str, Any]]
) -> Iterator[Table]:
    """Table 2 for runs of the method diasynth; a judge's table for those it has scored."""
    known = published("diasynth")
    rows = {
        name: _statistics(measured[name])
        for name, report in reports.items()
        if report["method"] == "diasynth"
    }
    if rows:
        yield _table(known["2"], "words in place of tokens", rows)
    for judge, number in TABLES.items():
        of = [(name, r["judged"][judge]) for name, r in reports.items() if judge in r["judged"]]
        same = [pair for pair in of if _comparable(pair[1], known[number])]
        if same:
            rows = {name: [row["value"] for row in one["aspects"].values()] for name, one in same}
            yield _table(known[number], _caution(judge), rows)


def _statistics(found: Measured) -> Row:
    text = found.text
    return [text.conversations, text.turns_per_conversation, text.words_per_turn, text.rouge_l]


def _comparable(judged: Mapping[str, Any], known: PublishedTable) -> bool:
    """Whether a judge scored the paper's aspects on its scale: FED's is that of whole dialogues."""
    return [*judged["aspects"]] == [*known.columns] and judged["over"] in (None, "dialogue")


def _caution(judge: str) -> str:
    """What keeps ours from being the same measure as the published ones."""
    return f"the wording of the {'follow-ups' if judge == 'fed' else 'questions'} is ours"


def _table(known: PublishedTable, caution: str, rows: Mapping[str, Row]) -> Table:
    """A line a column of the paper's; of the published rows the range over the models."""
    title = f"DiaSynth, table {known.table}: {known.about}"
    table = Table(title=styled(title), title_justify="left", caption=caution)
    table.add_column("")
    for name in rows:
        table.add_column(styled(name), justify="right", overflow="fold", style="bold")
    kinds = list(dict.fromkeys(name.partition("/")[2] for name in known.rows))
    for kind in kinds:
        table.add_column(f"{kind}, published", justify="right", style="dim")
    for at, (column, about) in enumerate(known.columns.items()):
        ranges = [_range(known, column, kind) for kind in kinds]
        table.add_row(styled(about), *(_number(row[at]) for row in rows.values()), *ranges)
    return table


def _range(known: PublishedTable, column: str, kind: str) -> str:
    """The lowest and the highest over the models whose examples were of a kind."""
    cells = [row[column] for name, row in known.rows.items() if name.endswith(f"/{kind}")]
    values = sorted(float(cell) for cell in cells if cell is not None)
    return f"{_number(values[0])} to {_number(values[-1])}"


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}"
