"""Export of a run to a folder with `README.md`, `export.json`, and the data for each split."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import Any

from convogen.corpora.cells import protected
from convogen.errors import SourceError
from convogen.exports.alternatives import Alternatives
from convogen.exports.base import (
    Column,
    Exporter,
    Item,
    Packing,
    context_values,
    given_labels,
)
from convogen.exports.card import CardFacts, card_text
from convogen.exports.containers import Writer, arrow_schema, finish, open_writer
from convogen.exports.folder import SingleFile, seal, staged
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
from convogen.inputs.validation import validated
from convogen.jsonl import write_whole
from convogen.metrics import Processes
from convogen.plugins import registry
from convogen.storage.run_folder import Run, load_run
from convogen.version import __version__

__all__ = ["ExportPlan", "Exported", "export_run", "open_exporter"]


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """The settings for an export: `splits` maps the names of splits to their shares, and `joins`
    are elements of `JOINS`.

    `alternatives` are the folders of runs and replays whose conversations are compared with the
    run's conversations, in addition to the replays next to the run. Only exporters that compare
    conversations use `alternatives`.
    """

    exporter: Exporter
    _: KW_ONLY
    splits: Mapping[str, float] = field(default_factory=lambda: dict(WHOLE))
    joins: Sequence[str] = ()
    seed: int = 0
    overwrite: bool = False
    alternatives: Sequence[str | Path] = ()


@dataclass
class Exported:
    """The contents of an export: columns, licences, and numbers of conversations and rows per
    split.

    `counts` maps each kind of difference between the rows and the run to the number of differences.
    `description` is the content of `export.json`.
    """

    folder: Path
    columns: dict[str, Column]
    conversations: Counter[str] = field(default_factory=Counter[str])
    rows: Counter[str] = field(default_factory=Counter[str])
    left_out: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])
    alternatives: Alternatives | None = None
    licences: Licences = field(default_factory=Licences)
    example: Item | None = None
    description: dict[str, Any] = field(default_factory=dict[str, Any])


def open_exporter(name: str, options: Mapping[str, Any]) -> Exporter:
    """Return an exporter with these options; raises `SourceError` for an unknown or invalid
    option."""
    exporter: type[Exporter] = registry.load("exporters", name)
    return validated(exporter, options, f"export to {name}", raising=SourceError)


def export_run(
    run: str | Path | Run,
    out: str | Path,
    plan: ExportPlan | str = "jsonl",
    workers: Processes = 1,
) -> Exported:
    """Export the committed conversations of a run, completely or not at all.

    Memory use does not grow with the size of the run.

    Args:
        run: The run, or its folder.
        out: The folder to write, or the file if the exporter writes a single file.
        plan: The settings, or the name of an exporter to use with default settings.
        workers: Number of processes that compute the card's statistics, or a cluster that computes
        them.

    Returns:
        The contents of the export: counts, columns and description.

    Raises:
        SourceError: No conversation fits the options, a join is unknown, or scores are missing.
        RunFolderError: A folder cannot be read or written, or `out` is not empty.
    """
    run, out = run if isinstance(run, Run) else load_run(run), Path(out)
    plan = ExportPlan(open_exporter(plan, {})) if isinstance(plan, str) else plan
    _check(plan, out)
    exporter = plan.exporter
    with registry.blaming("exporters", exporter.name):
        own, joined = exporter.columns(), joined_columns(plan.joins)
        arrow_schema(own)
    contents = look_through(run, [*own, *joined])
    if "scores" in plan.joins and not contents.judges:
        raise SourceError(
            f"{run.folder}: has no scores to join; run `convogen evaluate RUN --judge geval` first"
        )
    exporter.check(contents.speakers)
    alternatives = None
    if exporter.judged_by is not None:
        alternatives = Alternatives.find(run, plan.alternatives, exporter.judged_by)
    labels = contents.labels if exporter.with_context else {}
    if exporter.container == "csv" and exporter.protects_cells:
        labels = {label: protected(column) for label, column in labels.items()}
    kinds = contents.kinds if exporter.with_context else {}
    of_context = dict.fromkeys(labels.values(), "string")
    columns: dict[str, Column] = {**own, **of_context, **kinds, **joined}
    if exporter.container == "csv":
        columns |= {name: "string" for name, kind in columns.items() if not isinstance(kind, str)}
    single = None
    if exporter.single_file is not None:
        single = SingleFile(f"export{exporter.single_file}", exporter.wrote)
    with staged(out, plan.overwrite, single) as folder:
        exported = Exported(out, columns, alternatives=alternatives)
        with registry.blaming("exporters", exporter.name):
            _write(
                run,
                contents,
                labels=labels,
                kinds=kinds,
                plan=plan,
                folder=folder,
                exported=exported,
            )
        for source in [*(alternatives.runs if alternatives else ()), run]:
            sources = source.manifest.get("experiment", {}).get("sources", {})
            exported.licences.add_dialogues(sources, exported.conversations.total())
        exported.description = _description(run, plan, exported)
        if exporter.for_tool:
            with registry.blaming("exporters", exporter.name):
                _pack(run, plan, folder, exported)
        if single is None:
            facts = CardFacts.gather(run, contents.conversations, workers)
            write_whole(folder / "README.md", card_text(facts, plan, exported))
            seal(folder, exported.description)
    return exported


def _pack(run: Run, plan: ExportPlan, folder: Path, exported: Exported) -> None:
    """Convert the rows to the tool's files."""
    (rows,) = (folder / "data").iterdir()
    plan.exporter.pack(Packing(folder, rows, run.manifest, exported.description))
    shutil.rmtree(folder / "data")


def _check(plan: ExportPlan, out: Path) -> None:
    """Raise `SourceError` for unsupported options and unknown joins."""
    exporter = plan.exporter
    if exporter.for_tool and len(plan.splits) > 1:
        raise SourceError(
            f"export to {exporter.name}: does not support splits; omit --splits to export the "
            f"whole run"
        )
    if exporter.for_tool and plan.joins:
        raise SourceError(f"export to {exporter.name}: does not support joins; omit --with")
    if exporter.single_file and out.suffix != exporter.single_file:
        raise SourceError(
            f"export to {exporter.name}: {str(out)!r} must be a file name ending in "
            f"{exporter.single_file}"
        )
    unknown = [name for name in plan.joins if name not in JOINS]
    if unknown:
        raise SourceError(f"with: {unknown[0]!r} is not a known join; allowed: {', '.join(JOINS)}")
    if plan.alternatives and plan.exporter.judged_by is None:
        raise SourceError(
            f"export to {plan.exporter.name}: does not use alternatives; omit --alternatives, or "
            f"export to dpo"
        )


def _write(
    run: Run,
    contents: Contents,
    *,
    labels: Mapping[str, str],
    kinds: Mapping[str, Column],
    plan: ExportPlan,
    folder: Path,
    exported: Exported,
) -> None:
    """Write the data for all splits in one pass; a split without rows has no file."""
    exporter = plan.exporter
    container = exporter.container
    joined = "scores" in plan.joins or exporter.with_scores
    wanted = set(contents.judges if joined else ()) | {exporter.judged_by}
    judges = [name for name in contents.judges if name in wanted]
    writers: dict[str, Writer] = {}
    with ExitStack() as stack:
        for item in items(run, judges, contents.conversations):
            if exported.alternatives is not None:
                item = exported.alternatives.of(item)
            split = split_of(item, plan.splits, plan.seed)
            shared = dict(context_values(item.conversation, labels))
            shared |= joined_values(item, plan.joins)
            rows = 0
            for row in exporter.rows(item, exported.counts):
                turn = rows if exporter.row_per_turn else None
                given = given_labels(item.conversation, kinds, turn)
                if split not in writers:
                    writer = open_writer(
                        container, folder, split, exported.columns, exporter.protects_cells
                    )
                    writers[split] = writer
                    stack.callback(writer.close)
                writers[split].write({**row, **dict(given), **shared})
                rows += 1
            _count(exported, item, split, rows)
    if not writers:
        raise SourceError(f"{run.folder}: {exporter.why_empty(exported.counts)}")
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


def _description(run: Run, plan: ExportPlan, exported: Exported) -> dict[str, Any]:
    """Return the content of `export.json`, which describes an export for other programs."""
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
        "counts": {kind: n for kind, n in sorted(exported.counts.items()) if n},
        "experiment": manifest.get("name"),
        "fingerprint": manifest.get("fingerprint"),
        "licence": exported.licences.hub_id,
    } | _compared(exported.alternatives)


def _compared(alternatives: Alternatives | None) -> dict[str, Any]:
    """Return the entries in `export.json` about the judge and the runs with alternatives."""
    if alternatives is None:
        return {}
    judged_by = alternatives.judged_by.get("judged_by", {})
    return {"alternatives": alternatives.described, "judged_by": judged_by}
