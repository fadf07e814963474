"""The command `convogen labels`: import human labels from a labelling tool."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from convogen.cli._shared.options import NearestGroup, OutPath
from convogen.cli._shared.terminal import say, say_json
from convogen.text.counting import counted

if TYPE_CHECKING:
    from convogen.labels import Imported

__all__ = ["command"]


@click.group("labels", cls=NearestGroup)
def command() -> None:
    """Import human labels for conversations that were exported with `convogen export`."""


@command.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--from",
    "tool",
    required=True,
    type=click.Choice(["argilla", "label-studio"]),
    help="Tool that FILE was exported from.",
)
@click.option("--out", type=OutPath(), required=True, help="File for the labels, as JSON lines.")
@click.option(
    "--export",
    "exported",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="Folder written by `convogen export`. Its questions are used, and conversation ids are "
    "checked against it. Without this option, the default questions are used, and ids are not "
    "checked.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def import_(file: Path, tool: str, out: Path, exported: Path | None, as_json: bool) -> None:
    """Import the answers in FILE as labels for `convogen agreement`.

    For Argilla, FILE is the folder written by `Dataset.to_disk`, the file written by
    `Dataset.records.to_json`, or the JSON of `Dataset.records.to_list(flatten=True)`. Only the
    flattened list records which answers were discarded. For Label Studio, FILE is an export as JSON
    or JSON-MIN.

    Each line of the output contains `conversation`, `annotator` (the tool's code for the
    annotator), `aspect` (the question) and one of `value`, `choice` and `comment`. Use ratings as
    scores and choices as verdicts.

    \b
    Examples:
      convogen agreement --protocol scores RUN/scores/geval.jsonl LABELS.jsonl
      convogen agreement --protocol unieval RUN/scores/unieval.jsonl --human LABELS.jsonl
    """
    from convogen.errors import SourceError
    from convogen.jsonl import write_ours
    from convogen.labels import import_labels
    from convogen.labels.human import is_label_text

    found = import_labels(file, tool, exported)
    if not found.labels:
        left = "; ".join(f"{kind}: {n}" for kind, n in found.left_out.items())
        raise SourceError(
            f"{file}: contains no usable answers{f' (left out: {left})' if left else ''}"
        )
    text = "".join(label.to_line().decode() for label in found.labels)
    write_ours(out, text, is_label_text)
    if as_json:
        say_json(_counts(found), indent=2)
        return
    say(
        f"{counted(len(found.labels), 'label')} by {counted(found.annotators, 'annotator')} for "
        f"{counted(found.conversations, 'conversation')}"
    )
    for kind, n in found.left_out.items():
        say(f"left out: {n:,} {kind}")
    if found.unknown_status:
        say(
            "this export does not record which answers were discarded "
            f"({counted(found.unknown_status, 'answer')} affected); use the JSON of "
            "`records.to_list(flatten=True)`, which does",
            err=True,
        )
    if exported is None:
        say("conversation ids were not checked; use --export FOLDER to check them", err=True)
    say(out)


def _counts(found: Imported) -> dict[str, object]:
    return {
        "labels": len(found.labels),
        "annotators": found.annotators,
        "conversations": found.conversations,
        "left_out": dict(found.left_out),
        "unknown_status": found.unknown_status,
    }
