"""The command `convogen personas`: list the shipped persona hubs and measure any hub."""

from __future__ import annotations

import click

from convogen.cli._shared.options import NearestGroup
from convogen.cli._shared.terminal import say, say_json

__all__ = ["command"]


@click.group("personas", cls=NearestGroup)
def command() -> None:
    """List persona hubs, or measure a hub."""


@command.command("list")
def list_hubs() -> None:
    """List the shipped hubs and the other supported sources."""
    from convogen.personas import open_hub, shipped_hubs

    for name in shipped_hubs():
        hub = open_hub(name)
        say(f"{name}  {len(hub)} personas, {hub.licence}")
    say("FILE  JSONL, JSON, CSV, Parquet, text with one persona per line, or PERSONA-CHAT")
    say("hf:OWNER/NAME[@CONFIG][:SPLIT]  a data set on the Hugging Face hub")


@command.command("stats")
@click.argument("source", metavar="HUB")
@click.option(
    "--field",
    metavar="NAME",
    help="Field that contains the persona's text; detected automatically by default.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def stats(source: str, field: str | None, as_json: bool) -> None:
    """Measure the size, duplicates and diversity of a hub.

    HUB is the name of a shipped hub, a file, or hf:OWNER/NAME[@CONFIG][:SPLIT].
    """
    from dataclasses import asdict

    from convogen.metrics.personas import measure_hub
    from convogen.personas import open_hub

    hub = open_hub(source, field)
    found = asdict(measure_hub(hub))
    report = {"hub": source, "licence": hub.licence or "not known", "hash": hub.hash, **found}
    if as_json:
        say_json(report)
        return
    width = max(map(len, report))
    for key, value in report.items():
        shown = f"{value:.3f}" if isinstance(value, float) else f"{value}"
        say(f"{key.replace('_', ' '):{width}}  {shown}")
