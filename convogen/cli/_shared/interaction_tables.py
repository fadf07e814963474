"""Interaction measures and their tables for `stats` and `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from convogen.cli._shared.console import styled

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.metrics import Statistics
    from convogen.reports import cells
    from convogen.reports.interaction import SourceInteraction

__all__ = ["interacting_of", "interaction_tables"]


def interaction_tables(sources: dict[str, SourceInteraction]) -> Iterator[Table]:
    """Yield tables of the sources' interaction measures; yield nothing if nothing was measured."""
    from convogen.reports import interaction

    for table in interaction.interaction_tables(sources):
        yield _shown(table)


def interacting_of(
    ours: dict[str, Statistics], human: dict[str, Statistics], judged: Sequence[str]
) -> dict[str, SourceInteraction]:
    """Return a mapping from sources, runs first, to interaction measures; empty if nothing was
    measured."""
    from convogen.reports.friction_labels import friction_labels
    from convogen.reports.interaction import SourceInteraction

    if not any(one.interaction for one in (*ours.values(), *human.values())):
        return {}
    labels = friction_labels((*ours, *human), judged)
    return {
        name: SourceInteraction(one.interaction, labels.get(name), human=name in human)
        for name, one in (*ours.items(), *human.items())
    }


def _shown(table: cells.Table) -> Table:
    from rich.table import Table

    shown = Table(
        title=styled(table.title),
        title_justify="left",
        caption=styled(table.note),
        caption_justify="left",
    )
    first, *others = table.head
    shown.add_column(styled(first))
    for name in others:
        shown.add_column(styled(name), justify="right", overflow="fold")
    for row in table.rows:
        values = (f"{c.text} ({c.interval})" if c.interval else c.text for c in row.cells)
        shown.add_row(styled(row.label), *map(styled, values))
    return shown
