"""All numbers of a report, as plain values: what the page shows and `--json` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from math import isnan
from typing import Any

from convogen.costs.ledger_costs import spending
from convogen.metrics import CorpusTally
from convogen.metrics.people import people_of
from convogen.published import PublishedTable, published
from convogen.reports.course import course
from convogen.reports.groundedness import judge_summary, scores_by_judge
from convogen.reports.intervals import Interval, mean_interval, ratio_interval, std_interval
from convogen.reports.limits import limits
from convogen.reports.matching import matching
from convogen.reports.measured import Measured, measure_source
from convogen.storage.run_folder import Run
from convogen.version import __version__

__all__ = ["accepted", "gather"]

_HISTOGRAM_BINS = 40


def gather(
    runs: Mapping[str, Run],
    against: Mapping[str, str],
    workers: int = 1,
    baseline: str | None = None,
) -> dict[str, Any]:
    """The numbers of runs and of the sources of corpora, by the names to show them under.

    `baseline` is the run that the others' distances from the corpora are compared with.
    Raises `SourceError` or `RunFolderError` where a source cannot be read.
    """
    human = {name: measure_source(source, workers) for name, source in against.items()}
    ours = {name: measure_source(str(run.folder), workers) for name, run in runs.items()}
    numbers: dict[str, Any] = {
        "convogen": __version__,
        "runs": {name: _run(runs[name], ours[name], human) for name in runs},
        "against": {
            name: {"source": against[name], **_corpus(found)} for name, found in human.items()
        },
        "baseline": baseline,
        "published": _published(),
        "mtld_histogram": _histogram({**ours, **human}),
    }
    numbers["limits"] = limits(numbers)
    return numbers


def _corpus(found: Measured) -> dict[str, Any]:
    """A row of tables III and V with intervals, and the statistics it is taken from."""
    tally = found.tally
    spoken = [words - turns for words, turns in zip(tally.words, tally.turns, strict=True)]
    row = {
        "nW": mean_interval(tally.words),
        "nT": mean_interval(tally.turns),
        "nW/T": ratio_interval(spoken, tally.turns),
        "mtld_mean": mean_interval(tally.mtld),
        "mtld_std": std_interval(tally.mtld),
    }
    return {
        "conversations": found.paper.conversations,
        "bad_rows": found.bad_rows,
        "tables": {key: _interval(value) for key, value in row.items()},
        "text": found.text.as_dict(),
        "balance": _interval(mean_interval(tally.balance)),
    }


def _run(run: Run, found: Measured, human: Mapping[str, Measured]) -> dict[str, Any]:
    manifest = run.manifest
    essence: dict[str, Any] = manifest.get("experiment", {})
    return {
        "source": str(run.folder),
        **_corpus(found),
        "distances": found.as_dict(human)["distances"],
        "matching": matching(run),
        "groundedness": judge_summary(run),
        "judged": scores_by_judge(run),
        "course": asdict(course(run.experiences(), found.tally.mtld)),
        "failures": sum(1 for _ in run.failures()),
        **accepted(run, found.paper.conversations),
        "made": {
            key: manifest.get(key)
            for key in ("name", "fingerprint", "n", "complete", "started_at", "packages", "models")
        },
        "parameters": {
            key: value
            for key, value in essence.items()
            if key not in ("roles", "prompts", "sources", "format")
        },
        "prompts": essence.get("prompts", {}),
        "sources": essence.get("sources", {}),
        "persona_sources": _persona_sources(run),
        "people": _people(run),
        "cost": spending(run),
    }


def accepted(run: Run, conversations: int) -> dict[str, Any]:
    """How many conversations each gate rejected; the share of the finished ones that is left."""
    rejected = Counter(one.gate for one in run.rejected())
    finished = conversations + rejected.total()
    return {
        "rejected": dict(rejected.most_common()),
        "acceptance_rate": conversations / finished if finished else None,
    }


def _persona_sources(run: Run) -> dict[str, int]:
    """How many personas came from where, with the licence where one is named."""
    counts: dict[str, int] = {}
    for experience in run.experiences():
        for persona in experience.personas:
            licence = f" ({persona.licence})" if persona.licence else ""
            counts[persona.source + licence] = counts.get(persona.source + licence, 0) + 1
    return counts


def _people(run: Run) -> dict[str, Any] | None:
    """How ages, genders and the origins of names are spread."""
    found = people_of(one for experience in run.experiences() for one in experience.personas)
    return asdict(found) if found else None


def _interval(found: Interval | None) -> dict[str, Any] | None:
    return asdict(found) if found else None


def _published() -> dict[str, Any]:
    tables: dict[str, PublishedTable] = published("convogen")
    rows = {name: tables[name].rows for name in ("I", "II", "III", "IV", "V", "VI")}
    return {"paper": tables["III"].paper, **rows}


def _histogram(sources: Mapping[str, Measured]) -> dict[str, Any]:
    """MTLD of the paper's rendering: shares of the conversations in bins they have in common."""
    values = {name: _known(found.tally) for name, found in sources.items()}
    everything = sorted(value for found in values.values() for value in found)
    if not everything:
        return {"edges": [], "shares": {}}
    low, high = everything[0], everything[min(len(everything) - 1, int(0.995 * len(everything)))]
    step = max((high - low) / _HISTOGRAM_BINS, 1e-9)
    shares: dict[str, list[float]] = {}
    for name, found in values.items():
        bins = [0.0] * _HISTOGRAM_BINS
        for value in found:
            bins[min(int((value - low) / step), _HISTOGRAM_BINS - 1)] += 1 / len(found)
        shares[name] = bins
    return {"edges": [low + step * at for at in range(_HISTOGRAM_BINS + 1)], "shares": shares}


def _known(tally: CorpusTally) -> list[float]:
    return [value for value in tally.mtld if not isnan(value)]
