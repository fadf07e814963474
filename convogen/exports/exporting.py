"""A run exported into a folder: `README.md`, `export.json`, and the data split by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from convogen import __version__, registry
from convogen.errors import SourceError
from convogen.exports.base import Column, Exporter, Item, context_values, given_labels
from convogen.exports.card import CardFacts, card_text
from convogen.exports.containers import Writer, finish, open_writer
from convogen.exports.folder import seal, staged
from convogen.exports.joining import (
    JOINS,
    Contents,
    items,
    joined_columns,
    joined_values,
    look_through,
)
from convogen.exports.licences import Licences
from convogen.exports.splits import WHOLE, split_of
from convogen.files import write_whole
from convogen.store import Run

__all__ = ["Exported", "Plan", "export_run", "open_exporter"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to export and how: `splits` are shares by name, `joins` some of `JOINS`."""

    exporter: Exporter
    splits: Mapping[str, float] = field(default_factory=lambda: dict(WHOLE))
    joins: Sequence[str] = ()
    seed: int = 0
    overwrite: bool = False


@dataclass
class Exported:
    """What an export holds: conversations and rows by split, the columns, the licences."""

    folder: Path
    columns: dict[str, Column]
    conversations: Counter[str] = field(default_factory=Counter[str])
    rows: Counter[str] = field(default_factory=Counter[str])
    left_out: int = 0
    licences: Licences = field(default_factory=Licences)
    example: Item | None = None


def open_exporter(name: str, options: Mapping[str, Any]) -> Exporter:
    """The exporter of a name with its options; raises `SourceError` for an option it lacks."""
    exporter: type[Exporter] = registry.load("exporters", name)
    try:
        return exporter.model_validate(options)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        option = ".".join(str(part) for part in detail["loc"])
        if detail["type"] == "extra_forbidden":
            allowed = ", ".join(exporter.model_fields) or "none"
            reason = f"not an option of {name}; its options: {allowed}"
        else:
            reason = detail["msg"]
        raise SourceError(f"export to {name}: {option}: {reason}") from None


def export_run(run: Run, out: Path, plan: Plan, workers: int = 1) -> Exported:
    """Export what is committed in a run into a folder, whole or not at all.

    Memory does not grow with the run. Raises `SourceError` for options that fit no conversation,
    unknown joins or scores that are not there, `RunFolderError` where a folder cannot be read or
    written, or `out` holds something already.
    """
    unknown = [name for name in plan.joins if name not in JOINS]
    if unknown:
        raise SourceError(f"with: {unknown[0]!r} is not known; allowed: {', '.join(JOINS)}")
    exporter = plan.exporter
    own, joined = exporter.columns(), joined_columns(plan.joins)
    contents = look_through(run, [*own, *joined])
    exporter.check(contents.speakers)
    labels = contents.labels if exporter.with_context else {}
    kinds = contents.kinds if exporter.with_context else {}
    of_context = dict.fromkeys(labels.values(), "string")
    columns: dict[str, Column] = {**own, **of_context, **kinds, **joined}
    if exporter.container == "csv":
        columns |= {name: "string" for name, kind in columns.items() if not isinstance(kind, str)}
    with staged(out, plan.overwrite) as folder:
        exported = Exported(out, columns)
        _write(run, contents, labels, kinds, plan, folder, exported)
        sources = run.manifest.get("experiment", {}).get("sources", {})
        exported.licences.add_dialogues(sources, exported.conversations.total())
        facts = CardFacts.gather(run, contents.conversations, workers)
        write_whole(folder / "README.md", card_text(facts, plan, exported))
        seal(folder, _description(run, plan, exported))
    return exported


def _write(
    run: Run,
    contents: Contents,
    labels: Mapping[str, str],
    kinds: Mapping[str, Column],
    plan: Plan,
    folder: Path,
    exported: Exported,
) -> None:
    """Write the data of all splits in one pass; a split without rows has no file."""
    container = plan.exporter.container
    writers: dict[str, Writer] = {}
    with ExitStack() as stack:
        for item in items(run, contents, plan.joins):
            split = split_of(item, plan.splits, plan.seed)
            shared = dict(context_values(item.conversation, labels))
            shared |= joined_values(item, plan.joins)
            rows = 0
            for row in plan.exporter.rows(item):
                turn = rows if plan.exporter.row_per_turn else None
                given = given_labels(item.conversation, kinds, turn)
                if split not in writers:
                    writer = open_writer(container, folder, split, exported.columns)
                    writers[split] = writer
                    stack.callback(writer.close)
                writers[split].write({**row, **dict(given), **shared})
                rows += 1
            _count(exported, item, split, rows)
    if not writers:
        raise SourceError(f"{run.folder}: these options leave out every conversation")
    finish(container, folder, [split for split in plan.splits if split in writers])


def _count(exported: Exported, item: Item, split: str, rows: int) -> None:
    if not rows:
        exported.left_out += 1
        return
    exported.conversations[split] += 1
    exported.rows[split] += rows
    if item.experience is not None:
        exported.licences.add(item.experience)
    exported.example = exported.example or item


def _description(run: Run, plan: Plan, exported: Exported) -> dict[str, Any]:
    """`export.json`: what another program wants to know of an export."""
    manifest = run.manifest
    splits = {
        name: {"conversations": exported.conversations[name], "rows": exported.rows[name]}
        for name in plan.splits
    }
    return {
        "convogen": __version__,
        "format": plan.exporter.name,
        "options": plan.exporter.model_dump(exclude_defaults=True),
        "with": list(plan.joins),
        "seed": plan.seed,
        "shares": dict(plan.splits),
        "splits": splits,
        "left_out": exported.left_out,
        "experiment": manifest.get("name"),
        "fingerprint": manifest.get("fingerprint"),
        "licence": exported.licences.hub_id,
    }
