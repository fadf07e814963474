"""Tables of how people interact, for `convogen stats`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convogen.cli._shared.console import styled

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.metrics import Estimate, InteractionStatistics, Statistics

__all__ = ["interaction_tables"]

Columns = dict[str, "InteractionStatistics"]


def interaction_tables(
    ours: dict[str, Statistics], human: dict[str, Statistics]
) -> Iterator[Table]:
    """Yield the means per conversation and the shares of turns; nothing if neither was measured."""
    columns = {
        name: found.interaction
        for name, found in (ours | human).items()
        if found.interaction and found.interaction.conversations
    }
    if columns:
        yield _measures_table(columns)
        if any(found.friction for found in columns.values()):
            beside = next((found.interaction for found in human.values()), None)
            yield _friction_table(columns, beside)


def _measures_table(columns: Columns) -> Table:
    from convogen.interaction.analysis import MEASURES

    table = _table("Interaction", columns)
    table.caption = (
        "Means over conversations, with 95% intervals. Addressees are inferred; measures of groups "
        "are over conversations of three people or more."
    )
    for key, label in MEASURES.items():
        cells = [_number(found.measures.get(key)) for found in columns.values()]
        if any(cell != "-" for cell in cells):
            table.add_row(label, *cells)
    return table


def _friction_table(columns: Columns, human: InteractionStatistics | None) -> Table:
    from convogen.interaction.patterns import BEHAVIOUR_LABELS
    from convogen.metrics import share_differences

    table = _table("Friction", columns)
    table.caption = "Shares of turns by rules for English, with 95% intervals."
    apart = {
        name: share_differences(found, human) if human and found is not human else {}
        for name, found in columns.items()
    }
    if human:
        table.caption += " *: differs from the human corpus."
    for key, label in BEHAVIOUR_LABELS.items():
        cells = (
            _share(found.friction.get(key), apart[name].get(key)) for name, found in columns.items()
        )
        table.add_row(label[0].upper() + label[1:], *cells)
    return table


def _table(title: str, columns: Columns) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption_justify="left")
    table.add_column("Measure")
    for name in columns:
        table.add_column(styled(name), justify="right", overflow="fold")
    return table


def _number(one: Estimate | None) -> str:
    return "-" if one is None else f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"


def _share(one: Estimate | None, apart: Estimate | None) -> str:
    if one is None:
        return "-"
    mark = "*" if apart and (apart.low > 0 or apart.high < 0) else ""
    return f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%}){mark}"
