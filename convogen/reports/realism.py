"""The section of a report that shows how well runs can be distinguished from human corpora."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from convogen.corpora import open_corpus
from convogen.errors import UserError
from convogen.realism import Realism, compare, sample
from convogen.reports.cells import Cell, Row, Table, interval_cell, number_cell
from convogen.reports.intervals import Interval
from convogen.storage.run_folder import Run

__all__ = ["FAMILY_NAMES", "realism_of", "realism_tables"]

FAMILY_NAMES = {
    "surface": "length and punctuation",
    "lexical": "choice of words",
    "turn_taking": "turn-taking",
    "interaction": "interaction",
    "tfidf": "words (TF-IDF)",
    "embeddings": "embeddings",
    "all": "all features",
}
"""Maps each feature family to its display name."""

MOST_TELLTALES = 8
LEAST_EFFECT = 0.1


def realism_of(
    runs: Mapping[str, Run], against: Mapping[str, str]
) -> dict[str, dict[str, Realism]]:
    """Return the comparison of each run with each human corpus, keyed by run and by corpus.

    Comparisons are left out if there are too few conversations or scikit-learn is not installed.
    """
    if find_spec("sklearn") is None:
        return {}
    result: dict[str, dict[str, Realism]] = {}
    for corpus, source in against.items():
        try:
            human = sample(open_corpus(source), corpus)
        except UserError:
            continue
        for name, run in runs.items():
            try:
                found = compare(sample(run.conversations(), name), human)
            except UserError:
                continue
            result.setdefault(name, {})[corpus] = found
    return result


def realism_tables(realism: Mapping[str, Mapping[str, Realism]]) -> Iterator[Table]:
    """Yield two kinds of table for each human corpus: one shows how well runs can be distinguished
    from the corpus, and one per run shows the features that distinguish the run."""
    corpora = dict.fromkeys(corpus for by_corpus in realism.values() for corpus in by_corpus)
    for corpus in corpora:
        runs = {name: found[corpus] for name, found in realism.items() if corpus in found}
        yield _separations(corpus, runs)
        for name, found in runs.items():
            if (table := _telltales(name, corpus, found)).rows:
                yield table


def _separations(corpus: str, runs: Mapping[str, Realism]) -> Table:
    first = next(iter(runs.values()))
    families = dict.fromkeys(family for found in runs.values() for family in found.separations)
    rows: list[Row] = []
    for family in families:
        cells = [_auc(found, family) for found in runs.values()]
        control = first.controls.get(family)
        halves = (
            Interval(control.auc, control.low, control.high, control.halves) if control else None
        )
        rows.append(Row("ours", FAMILY_NAMES.get(family, family), [*cells, interval_cell(halves)]))
    note = (
        "Area under the ROC curve of a cross-fitted classifier that decides whether a conversation "
        "is generated: 0.5 means chance, 1 means perfect separation. Intervals are over groups of "
        "related conversations, with fixed classifiers. The intervals of the human halves are over "
        "random halves."
    )
    removed = {change.name for found in runs.values() for change in found.normalisations}
    if removed:
        note += f" Typographic differences were removed first: {', '.join(sorted(removed))}."
    columns = ["Classifier", *runs, f"{corpus}, halves"]
    return Table(f"Distinguished from {corpus}", note, columns, rows)


def _auc(found: Realism, family: str) -> Cell:
    separation = found.separations.get(family)
    if separation is None:
        return interval_cell(None)
    interval = Interval(separation.auc, separation.low, separation.high, found.generated)
    return interval_cell(interval)


def _telltales(name: str, corpus: str, found: Realism) -> Table:
    shown = [one for one in found.telltales if abs(one.effect) >= LEAST_EFFECT][:MOST_TELLTALES]
    rows = [
        Row(
            "ours",
            f"{one.about}, %" if one.unit == "share" else one.about,
            [
                number_cell(100 * one.generated if one.unit == "share" else one.generated),
                number_cell(100 * one.human if one.unit == "share" else one.human),
                number_cell(one.effect),
            ],
        )
        for one in shown
    ]
    note = (
        "Means over conversations. The effect is Cliff's delta (-1 to 1); it is positive if the "
        "run has higher values."
    )
    columns = ["Feature", name, corpus, "effect"]
    return Table(f"What distinguishes {name} from {corpus}", note, columns, rows)
