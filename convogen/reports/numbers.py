"""The numbers of a report, gathered from runs and reference corpora."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isnan
from typing import Any

from convogen.costs.ledger_costs import JUDGE, spending
from convogen.metrics import CorpusTally
from convogen.metrics.judged_friction import judged_friction
from convogen.metrics.people import people_of
from convogen.published import published
from convogen.reports.acceptance import acceptance_of
from convogen.reports.course import course
from convogen.reports.coverage import coverage_courses
from convogen.reports.friction_labels import friction_labels
from convogen.reports.groundedness import judge_summary, scores_by_judge
from convogen.reports.intervals import mean_interval, ratio_interval, std_interval
from convogen.reports.limits import limits
from convogen.reports.matched_features import Target, matched_features
from convogen.reports.matching import matching
from convogen.reports.measured import Measured, measure_source
from convogen.reports.realism import realism_of
from convogen.reports.report import (
    Histogram,
    Made,
    Published,
    Report,
    ReportedCorpus,
    ReportedRun,
)
from convogen.storage.remote.shown import shown
from convogen.storage.run_folder import Run
from convogen.version import __version__

__all__ = ["gather"]

_HISTOGRAM_BINS = 40


def gather(
    runs: Mapping[str, Run],
    against: Mapping[str, str],
    workers: int = 1,
    baseline: str | None = None,
    judged: Sequence[str] = (),
) -> Report:
    """Return a report's numbers for runs and reference corpora, which are keyed by display name.

    `baseline` is the run whose distances from the corpora are compared with those of the other
    runs. `judged` lists folders that contain the `friction` judge's labels for corpora. Raises
    `SourceError` or `RunFolderError` if a source cannot be read.
    """
    human = {name: measure_source(source, workers, True) for name, source in against.items()}
    ours = {name: measure_source(str(run.folder), workers, True) for name, run in runs.items()}
    target = Target.of(runs.values())
    reported = {name: _run(runs[name], ours[name], human, target) for name in runs}
    labels = friction_labels(against.values(), judged)
    corpora = {
        name: replace(_corpus(source, human[name]), judged_friction=labels.get(source))
        for name, source in against.items()
    }
    return Report(
        convogen=__version__,
        runs=reported,
        against=corpora,
        baseline=baseline,
        published=_published(),
        mtld_histogram=_histogram({**ours, **human}),
        limits=limits(reported, corpora, baseline),
        coverage=coverage_courses(runs),
        realism=realism_of(runs, against),
    )


def _corpus(source: str, found: Measured) -> ReportedCorpus:
    tally = found.tally
    spoken = [words - turns for words, turns in zip(tally.words, tally.turns, strict=True)]
    return ReportedCorpus(
        source=shown(source),
        conversations=found.paper.conversations,
        bad_rows=found.bad_rows,
        tables={
            "nW": mean_interval(tally.words),
            "nT": mean_interval(tally.turns),
            "nW/T": ratio_interval(spoken, tally.turns),
            "mtld_mean": mean_interval(tally.mtld),
            "mtld_std": std_interval(tally.mtld),
        },
        text=found.text,
        balance=mean_interval(tally.balance),
    )


def _run(
    run: Run, found: Measured, human: Mapping[str, Measured], target: Target | None
) -> ReportedRun:
    corpus = _corpus(str(run.folder), found)
    accepted = acceptance_of(run, corpus.conversations)
    essence: Mapping[str, Any] = run.manifest.get("experiment", {})
    cost = spending(run)
    n_calls = sum(spent.calls for spent in cost if spent.role != JUDGE)
    apart = ("roles", "prompts", "sources", "format")
    return ReportedRun(
        source=corpus.source,
        conversations=corpus.conversations,
        bad_rows=corpus.bad_rows,
        tables=corpus.tables,
        text=corpus.text,
        balance=corpus.balance,
        judged_friction=judged_friction(run),
        distances=found.distances(human),
        matching=matching(run),
        groundedness=judge_summary(run),
        judged=scores_by_judge(run),
        course=course(run.experiences(), found.tally.mtld),
        failures=sum(1 for _ in run.failures()),
        rejected=accepted.rejected,
        acceptance_rate=accepted.rate,
        made=Made.of(run.manifest),
        parameters={key: value for key, value in essence.items() if key not in apart},
        prompts=essence.get("prompts", {}),
        sources=essence.get("sources", {}),
        persona_sources=_persona_sources(run),
        people=people_of(one for experience in run.experiences() for one in experience.personas),
        features=matched_features(run, target, n_calls) if target else None,
        cost=cost,
    )


def _persona_sources(run: Run) -> dict[str, int]:
    """Return the number of personas for each combination of source and, if known, licence."""
    counts: dict[str, int] = {}
    for experience in run.experiences():
        for persona in experience.personas:
            licence = f" ({persona.licence})" if persona.licence else ""
            counts[persona.source + licence] = counts.get(persona.source + licence, 0) + 1
    return counts


def _published() -> Published:
    tables = published("convogen")
    rows = {name: tables[name].rows for name in ("I", "II", "III", "IV", "V", "VI")}
    return Published(tables["III"].paper, rows)


def _histogram(sources: Mapping[str, Measured]) -> Histogram:
    """Return the shares of conversations in common MTLD bins, in the paper's rendering."""
    values = {name: _known(found.tally) for name, found in sources.items()}
    everything = sorted(value for found in values.values() for value in found)
    if not everything:
        return Histogram([], {})
    low, high = everything[0], everything[min(len(everything) - 1, int(0.995 * len(everything)))]
    step = max((high - low) / _HISTOGRAM_BINS, 1e-9)
    shares: dict[str, list[float]] = {}
    for name, found in values.items():
        bins = [0.0] * _HISTOGRAM_BINS
        for value in found:
            bins[min(int((value - low) / step), _HISTOGRAM_BINS - 1)] += 1 / len(found)
        shares[name] = bins
    return Histogram([low + step * at for at in range(_HISTOGRAM_BINS + 1)], shares)


def _known(tally: CorpusTally) -> list[float]:
    return [value for value in tally.mtld if not isnan(value)]
