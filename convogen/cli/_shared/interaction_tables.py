"""Tables of how people interact, for `convogen stats`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from convogen.cli._shared.console import styled

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.reports import cells
    from convogen.reports.interaction import SourceInteraction

__all__ = ["interaction_tables"]


def interaction_tables(sources: dict[str, SourceInteraction]) -> Iterator[Table]:
    """Yield the tables that a report has; nothing if nothing was measured."""
    from convogen.reports import interaction

    for table in interaction.interaction_tables(sources):
        yield _shown(table)


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
