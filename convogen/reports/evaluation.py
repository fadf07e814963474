"""The results of `convogen evaluate`: the measures of runs and the judges' scores."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from convogen.judges.verdict_files import PROTOCOLS, Protocol
from convogen.metrics.judged_friction import JudgedFriction, judged_friction
from convogen.reports.groundedness import JudgeSummary, judge_summary, scores_by_judge
from convogen.reports.measured import SourceStatistics
from convogen.reports.verdicts import RunVerdicts, told_apart
from convogen.storage.run_folder import Run

__all__ = ["EvaluatedRun", "Evaluation", "evaluated"]


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """A measured and judged run.

    Attributes:
        statistics: Measures of the run.
        method: Method of the run; None if unknown.
        mode: For the `diasynth` method, how dialogues are generated: `script` or `groupchat`.
        groundedness: Scores from the judge just used, or from geval if no scoring judge was used;
            None if that judge has not judged the run.
        judged: Scores from each judge.
        verdicts: Verdicts for each protocol.
        friction: Labels from the `friction` judge; None if there are no labels.
    """

    statistics: SourceStatistics
    method: str | None
    mode: str | None
    groundedness: JudgeSummary | None
    judged: dict[str, JudgeSummary]
    verdicts: dict[Protocol, RunVerdicts]
    friction: JudgedFriction | None

    def as_dict(self) -> dict[str, Any]:
        """Return the results as plain values, with the statistics at the top level."""
        return {
            **asdict(self.statistics),
            "method": self.method,
            "mode": self.mode,
            "groundedness": asdict(self.groundedness) if self.groundedness else None,
            "judged": {judge: asdict(one) for judge, one in self.judged.items()},
            "verdicts": {protocol: one.as_dict() for protocol, one in self.verdicts.items()},
            **({"friction": asdict(self.friction)} if self.friction else {}),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The results of each run and the statistics of each reference corpus, keyed by their names."""

    runs: dict[str, EvaluatedRun]
    against: dict[str, SourceStatistics]

    def as_dict(self) -> dict[str, Any]:
        """Return all results as plain values for JSON."""
        return {
            "runs": [run.as_dict() for run in self.runs.values()],
            "against": {name: asdict(one) for name, one in self.against.items()},
        }


def evaluated(run: Run, statistics: SourceStatistics, judge: str | None) -> EvaluatedRun:
    """Return the results of a run; `judge` is the judge just used, or None."""
    first = next(run.conversations(), None)
    experiment: dict[str, Any] = run.manifest.get("experiment") or {}
    return EvaluatedRun(
        statistics=statistics,
        method=first.method if first else None,
        mode=experiment.get("mode"),
        groundedness=judge_summary(run, judge if judge and judge not in PROTOCOLS else "geval"),
        judged=scores_by_judge(run),
        verdicts=told_apart(run),
        friction=judged_friction(run),
    )
