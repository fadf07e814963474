"""The tables of a report, built from its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convogen.costs.ledger_costs import Spending
from convogen.metrics.judged_friction import JUDGE
from convogen.metrics.labels import GROUP_CHAT, MEASURES, TURN_CHECKS, character_lengths
from convogen.metrics.repetition import Repetition
from convogen.reports.cells import (
    COLUMNS,
    Cell,
    Row,
    Table,
    interval_cell,
    number_cell,
    printed_cell,
    share_cell,
)
from convogen.reports.interaction import interaction_tables
from convogen.reports.matched_features import MatchedFeature
from convogen.reports.people import people_table
from convogen.reports.realism import realism_tables
from convogen.reports.report import Report, ReportedCorpus, ReportedRun
from convogen.storage.frames import frame

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["metric_faults", "report_frame", "tables"]

_COLUMNS_III_V = ("nW", "nT", "nW/T", "mtld_mean", "mtld_std")


def tables(report: Report) -> dict[str, list[Table]]:
    """Return the tables for each part of the report."""
    found = {
        "statistics": [_statistics(report)],
        "groundedness": [
            table for name in ("IV", "VI") if (table := _groundedness(report, name)) is not None
        ]
        + _other_aspects(report),
        "judges": _other_judges(report),
        "diversity": [_measures(report), _installed(report), _repetition(report)],
        "people": [people_table(report.runs)],
        "group_chat": [_group_chat(report), _turn_checks(report)],
        "interaction": list(interaction_tables(report.interaction())),
        "realism": list(realism_tables(report.realism)),
        "distances": [_distances(report), _changes(report), _targets(report), *_features(report)],
        "cost": [_cost(report)],
    }
    return {part: [table for table in group if table.rows] for part, group in found.items()}


def report_frame(report: Report | Mapping[str, Any]) -> DataFrame:
    """Return all tables of a report in one frame.

    The columns are `part` (the part of the report) and those of `Table.to_pandas`.

    Args:
        report: A report from `gather`, or a parsed `report.json`.

    Raises:
        SourceError: The parsed JSON is not a report.
    """
    report = report if isinstance(report, Report) else Report.from_dict(report)
    rows = (
        {"part": part, **cell}
        for part, group in tables(report).items()
        for table in group
        for cell in table.flat()
    )
    return frame({"part": "string[pyarrow]", **COLUMNS}, rows)


def _statistics(report: Report) -> Table:
    rows = [_measured_row(name, found, "ours") for name, found in report.runs.items()]
    rows += [_measured_row(name, found, "human") for name, found in report.against.items()]
    known = report.published
    sizes = {**known.numbers("I"), **known.numbers("II")}
    diversity = known.numbers("V")
    for name, row in known.numbers("III").items():
        printed = [*row.values(), *diversity[name].values()]
        cells = [number_cell(sizes[name]["n_conversations"]), *map(printed_cell, printed)]
        rows.append(Row("published", name, cells))
    return Table(
        "Tables III and V",
        "nW: words per conversation; nT: turns per conversation; nW/T: words per turn; MTLD: "
        "mean and standard deviation over conversations. As in the paper, speaker labels count "
        "as words, except in nW/T.",
        ["Data set", "Conv.", "nW", "nT", "nW/T", "MTLD", "std"],
        rows,
    )


def _measured_row(name: str, found: ReportedCorpus, kind: str) -> Row:
    cells = [interval_cell(found.tables[key]) for key in _COLUMNS_III_V]
    return Row(kind, name, [number_cell(found.conversations), *cells])


def _groundedness(report: Report, table: str) -> Table | None:
    """Return table IV or VI transposed: one row per aspect, one column per data set."""
    judged = {
        name: run.groundedness
        for name, run in report.runs.items()
        if run.groundedness and run.groundedness.table == table
    }
    if not judged:
        return None
    known = report.published.numbers(table)
    aspects = list(next(iter(judged.values())).aspects)
    rows: list[Row] = []
    for at, aspect in enumerate(aspects, 1):
        cells = [interval_cell(found.aspects.get(aspect)) for found in judged.values()]
        cells += [printed_cell(row[f"Q{at}"]) for row in known.values()]
        rows.append(Row("ours", f"Q{at} {aspect.replace('_', ' ')}", cells))
    average = [number_cell(found.average) for found in judged.values()]
    average += [printed_cell(row["avgScore"]) for row in known.values()]
    rows.append(Row("ours", "average", average))
    how = ", ".join(f"{found.model} ({name})" for name, found in judged.items())
    return Table(
        f"Groundedness, 1 to 5 (table {table})",
        f"Judged by {how}. Columns with an asterisk are published scores, judged by GPT-4o mini "
        f"with the authors' prompts, not with the prompts used here.",
        ["Aspect", *judged, *(f"{name}*" for name in known)],
        rows,
    )


def _other_aspects(report: Report) -> list[Table]:
    found: list[Table] = []
    for name, run in report.runs.items():
        judged = run.groundedness
        if judged and judged.table is None:
            rows = [Row("ours", key, [interval_cell(row)]) for key, row in judged.aspects.items()]
            title = f"Groundedness of {name}{_scale(judged.scale)}"
            found.append(Table(title, f"Judged by {judged.model}.", ["Aspect", name], rows))
    return found


def _other_judges(report: Report) -> list[Table]:
    """Return one table per judge other than geval and friction, with one row per aspect and one
    column per run."""
    runs = report.runs
    found: list[Table] = []
    for judge in dict.fromkeys(judge for run in runs.values() for judge in run.judged):
        if judge in ("geval", JUDGE):
            continue
        of = {name: run.judged[judge] for name, run in runs.items() if judge in run.judged}
        aspects = dict.fromkeys(aspect for one in of.values() for aspect in one.aspects)
        rows = [
            Row(
                "ours",
                aspect,
                [interval_cell(one.aspects.get(aspect), 4) for one in of.values()],
            )
            for aspect in aspects
        ]
        scales = {tuple(one.scale or ()) for one in of.values()}
        scale = _scale(scales.pop()) if len(scales) == 1 else ""
        how = ", ".join(f"{one.model} ({name})" for name, one in of.items())
        found.append(Table(f"{judge}{scale}", f"Judged by {how}.", ["Aspect", *of], rows))
    return found


def _scale(scale: Sequence[float] | None) -> str:
    """Return the lowest and the highest score as a suffix for a title."""
    return ", {} to {}".format(*scale) if scale else ""


def _measures(report: Report) -> Table:
    columns = report.sources
    rows = [
        Row("ours", label, [number_cell(getattr(one.text, key), 3) for one in columns.values()])
        for label, key in MEASURES.items()
    ]
    lengths = [character_lengths(one.text) for one in columns.values()]
    rows += [
        Row("ours", label, [number_cell(found.get(label)) for found in lengths])
        for label in dict.fromkeys(label for found in lengths for label in found)
    ]
    note = (
        "Measured on the unmodified text. Self-BLEU and ROUGE-L are between 0 and 1; higher values "
        "mean more similar conversations. ROUGE-L with the nearest text is the mean of each "
        "conversation's highest ROUGE-L with another conversation, as in the DiaSynth paper."
    )
    return Table("Further measures of diversity", note, ["Measure", *columns], rows)


def _installed(report: Report) -> Table:
    """Return a table of the plugins' metrics."""
    columns = report.sources
    found = {name: one.text.metrics for name, one in columns.items()}
    units = {key: one.unit for of in found.values() for key, one in of.items()}
    rows = [
        Row(
            "ours",
            f"{key}, {unit}" if unit else key,
            [number_cell(of[key].value if key in of else None, 3) for of in found.values()],
        )
        for key, unit in units.items()
    ]
    return Table("Installed metrics", "Measured by plugins.", ["Metric", *columns], rows)


def metric_faults(report: Report) -> list[str]:
    """Return a line for each metric that failed."""
    found = (one.text.metrics.values() for one in report.sources.values())
    return list(dict.fromkeys(one.fault for of in found for one in of if one.fault))


def _repetition(report: Report) -> Table:
    columns = report.sources
    kinds = dict.fromkeys(kind for one in columns.values() for kind in one.text.repetition)
    rows = [
        Row("ours", kind, [_share(one.text.repetition.get(kind)) for one in columns.values()])
        for kind in kinds
    ]
    note = "Share of texts that are copies or near-copies of another text in the same data set."
    return Table("Near-copies", note, ["Texts", *columns], rows)


def _share(found: Repetition | None) -> Cell:
    if found is None:
        return Cell("–")
    return share_cell(found.share, interval=f"{found.copies:,} of {found.texts:,}")


def _group_chat(report: Report) -> Table:
    columns = report.sources
    speakers = [number_cell(one.text.speakers_per_conversation) for one in columns.values()]
    rows = [Row("ours", "Speakers per conversation", speakers)]
    for label, key in GROUP_CHAT.items():
        if key == "balance":
            cells = [interval_cell(one.balance, 3) for one in columns.values()]
        else:
            cells = [number_cell(getattr(one.text.group_chat, key), 3) for one in columns.values()]
        rows.append(Row("ours", label, cells))
    note = (
        "These measures are not from a paper. Participation balance is the normalised entropy of "
        "the speakers' shares of turns; 1 means equal shares."
    )
    return Table("Quality of the group chat", note, ["Measure", *columns], rows)


def _turn_checks(report: Report) -> Table:
    columns = report.sources
    rows: list[Row] = []
    for key, label in TURN_CHECKS.items():
        counts: list[dict[str, int]] = [
            getattr(one.text.turn_checks, key) for one in columns.values()
        ]
        for kind in dict.fromkeys(kind for found in counts for kind in found):
            cells = [number_cell(found.get(kind, 0)) for found in counts]
            rows.append(Row("ours", f"{label}: {kind}", cells))
    note = (
        "Counts of replies that were requested again or tidied, of turns kept despite a fault, "
        "and of conversations that ended early."
    )
    return Table("Turn checks", note, ["Kind", *columns], rows)


def _lengths(corpus: ReportedCorpus) -> dict[str, str]:
    """Return the distance fields with their display names."""
    unit = corpus.text.length_unit
    return {"turn_length": f"turn lengths, {unit}", "turn_count": "turn counts"}


def _distances(report: Report) -> Table:
    runs = report.runs
    rows: list[Row] = []
    for name in report.against:
        for key, what in _lengths(report.against[name]).items():
            cells = [number_cell(_apart(run, name, key)) for run in runs.values()]
            rows.append(Row("ours", f"{name}: {what}", cells))
    note = (
        "Wasserstein distances: how far, on average, values would have to move to match the corpus."
    )
    return Table("Distance from human conversations", note, ["From", *runs], rows)


def _changes(report: Report) -> Table:
    """Return a table of each run's distances next to the baseline's distances."""
    runs, base = report.runs, report.baseline
    if base is None:
        return Table("Before and after", "", [], [])
    rows: list[Row] = []
    for name in report.against:
        for key, what in _lengths(report.against[name]).items():
            before = _apart(runs[base], name, key)
            for one in (run for run in runs if run != base):
                after = _apart(runs[one], name, key)
                change = Cell("–")
                if before and after is not None:
                    change = share_cell(after / before - 1, 0, sign="+")
                cells = [number_cell(before), number_cell(after), change]
                rows.append(Row("ours", f"{one} from {name}: {what}", cells))
    note = f"Distances of the baseline {base} (before) and of the other runs (after)."
    return Table("Before and after", note, ["Distance of", "Before", "After", "Change"], rows)


def _apart(run: ReportedRun, corpus: str, key: str) -> float | None:
    found = run.distances.get(corpus)
    return getattr(found, key) if found else None


def _targets(report: Report) -> Table:
    found = {name: run.matching for name, run in report.runs.items() if run.matching}
    runs = found.values()
    rows = [
        Row("ours", "Turns with a target", [number_cell(one.turns) for one in runs]),
        Row("ours", "Mean deviation, words", [number_cell(one.mean_off) for one in runs]),
        Row("ours", "Turns outside the tolerance", [share_cell(one.far_off) for one in runs]),
        Row("ours", "Turns requested again", [share_cell(one.asked_again) for one in runs]),
    ]
    note = (
        "Deviation of turns from the requested numbers of words, which are drawn from the matched "
        "corpus."
    )
    return Table("Requested lengths", note, ["Measure", *found], rows if found else [])


def _features(report: Report) -> list[Table]:
    """Return tables of the cost of matching features and of the remaining deviations."""
    found = {name: run.features for name, run in report.runs.items() if run.features}
    runs = found.values()
    taken = [
        Row(
            "ours",
            "Finished conversations per accepted conversation",
            [number_cell(one.finished_per_accepted) for one in runs],
        ),
        Row(
            "ours",
            "Calls per accepted conversation",
            [number_cell(one.calls_per_accepted, 1) for one in runs],
        ),
    ]
    rows = [
        Row("ours", f"{name}: {feature.about}", _feature_cells(feature))
        for name, one in found.items()
        for feature in one.features.values()
    ]
    corpora = ", ".join(dict.fromkeys(one.corpus for one in runs))
    note = (
        f"Means over the conversations of {corpora} and of each run, for all finished "
        f"conversations and for those that the gates accepted. Each mean is followed by the shares "
        f"of conversations in the bins of the corpus. Distances are Wasserstein distances from the "
        f"human values, in the feature's unit."
    )
    head = [
        "Run: feature",
        "Human",
        "Finished",
        "Accepted",
        "Distance, finished",
        "Distance, accepted",
    ]
    return [
        Table("Cost of matching features", "", ["Measure", *found], taken if found else []),
        Table("Features compared with the human corpus", note, head, rows),
    ]


def _feature_cells(feature: MatchedFeature) -> list[Cell]:
    spreads = (feature.finished, feature.accepted)
    means = [(feature.human_mean, feature.human_shares)] + [(s.mean, s.shares) for s in spreads]
    cells = [
        replace(number_cell(mean), interval=" / ".join(f"{share:.0%}" for share in shares))
        for mean, shares in means
    ]
    return [*cells, *(number_cell(one.distance, 3) for one in spreads)]


def _cost(report: Report) -> Table:
    rows = [
        Row("ours", f"{name}: {spent.role}, {spent.model}", _cost_cells(spent))
        for name, run in report.runs.items()
        for spent in run.cost
    ]
    head = [
        "Run: role, model",
        "Calls",
        "Input tokens",
        "of which cached",
        "Output tokens",
        "Price",
    ]
    return Table("Calls, tokens and cost", "At list prices.", head, rows)


def _cost_cells(spent: Spending) -> list[Cell]:
    counts = (spent.calls, spent.prompt_tokens, spent.cached_tokens, spent.completion_tokens)
    usd = spent.cost_usd
    price = Cell("not known" if usd is None else f"${usd:.2f}", value=usd)
    return [*map(number_cell, counts), price]
