"""Output about plugins: one row per plugin, and one line per broken plugin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from convogen.cli._shared.terminal import say

__all__ = ["PluginRow", "plugin_rows", "print_faults", "print_rows"]


def print_faults() -> None:
    """Print a line to stderr for each plugin that cannot be used."""
    from convogen.plugins import registry

    for line in registry.faults():
        say(line, err=True)


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A plugin as a row of text; `state` is `ok`, or the reason why the plugin cannot be used."""

    kind: str
    name: str
    distribution: str
    version: str
    target: str
    state: str


def plugin_rows() -> list[PluginRow]:
    """Return a row for each plugin."""
    from convogen.plugins import registry

    return [
        PluginRow(
            kind=plugin.kind,
            name=plugin.name,
            distribution=plugin.distribution,
            version=plugin.version,
            target=plugin.target,
            state=registry.fault(plugin) or "ok",
        )
        for plugin in registry.plugins()
    ]


def print_rows(rows: Sequence[PluginRow]) -> None:
    """Print one line per plugin, with the reason if the plugin cannot be used."""
    if not rows:
        say("no plugins are installed")
    lines = [(row.kind, row.name, f"{row.distribution} {row.version}") for row in rows]
    widths = [max(len(line[at]) for line in lines) for at in range(3)] if lines else []
    for row, line in zip(rows, lines, strict=True):
        cells = "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True))
        say(f"{cells}  {row.state}")
