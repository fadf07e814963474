"""`convogen verdicts`: what judges said, counted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

__all__ = ["command"]


@click.command("verdicts")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    required=True,
    type=click.Choice(["unieval", "gteval"]),
    help="unieval: does it hold a machine's utterance; gteval: which of two is generated.",
)
@click.option(
    "--generated",
    type=click.IntRange(1, 2),
    default=2,
    show_default=True,
    help="GTEval: which of the two was the generated one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(files: tuple[Path, ...], protocol: str, generated: int, as_json: bool) -> None:
    """Count the verdicts in FILES: JSON lines with `choice` (and `index`, `reason`).

    The rate is the share of dialogues that pass, in percent: for UniEval those of which the judge
    says that no utterance is a machine's, for GTEval those it does not name as the generated one.
    """
    from convogen.judges.verdicts import read_verdicts

    found = [read_verdicts(path, protocol, generated) for path in files]  # type: ignore[arg-type]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(pad_edge=False)
    table.add_column("file", overflow="fold")
    for column in ("n", "rate", "95%", *found[0].counts):
        table.add_column(column, justify="right")
    for each in found:
        counts = (str(n) for n in each.counts.values())
        bounds = f"{each.low:.2f} – {each.high:.2f}"
        table.add_row(escape(each.name), str(each.n), f"{each.rate:.2f}%", bounds, *counts)
    Console().print(table)
