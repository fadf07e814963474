"""A judge's scores for each aspect of a run, like a row of table IV or VI in the ConvoGen paper.

`avgScore` is the mean of the aspects' means, as in all rows of the paper's tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from convogen.costs.ledger_costs import JUDGE, spending, total_usd
from convogen.judges.fed import FOLLOW_UPS
from convogen.judges.geval import GENERATED, SAMPLED
from convogen.judges.geval3 import QUALITIES
from convogen.judges.gptscore import QUESTIONS
from convogen.judges.verdict_files import PROTOCOLS
from convogen.reports.intervals import mean_interval
from convogen.storage.frames import columns_of, frame
from convogen.storage.run_folder import Run
from convogen.storage.score_store import scores_manifest

__all__ = [
    "PUBLISHED_TABLES",
    "AspectScore",
    "JudgeCost",
    "JudgeSummary",
    "by_method",
    "judge_cost",
    "judge_summary",
    "scores_by_judge",
]

PUBLISHED_TABLES = {tuple(GENERATED): "IV", tuple(SAMPLED): "VI"}
"""Maps aspects to the published table with these aspects, on a scale of 1 to 5."""

NOT_AVERAGED = ("fed",)
"""Judges whose aspects have different scales."""


COMPARING = (*PROTOCOLS, "arena")
"""Judges that return choices, which have no mean, instead of scores."""

WORDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "fed": ("follow_ups", {k: one.model_dump(mode="json") for k, one in FOLLOW_UPS.items()}),
    "gptscore": ("questions", dict(QUESTIONS)),
    "geval3": ("questions", dict(QUALITIES)),
}
"""Maps each judge to the manifest key for the judge's wording and to the shipped wording."""

_COLUMNS = ("conversation", "aspect", "value", "method", "mass", "reason")


@dataclass(frozen=True, slots=True)
class AspectScore:
    """A judge's scores for one aspect, on the judge's scale.

    Attributes:
        value: Mean of the scores; None if there are no scores.
        low: Lower end of the mean's 95% interval; None if there is no interval.
        high: Upper end of the interval; None if there is no interval.
        n: Number of scores.
        missing: Number of conversations without a score.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    missing: int


@dataclass(frozen=True, slots=True)
class JudgeCost:
    """The number and cost of a judge's model calls; `cost_usd` is None if a price is unknown."""

    calls: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class JudgeSummary:
    """A judge's scores for a run, their provenance, and their cost.

    Attributes:
        judge: The judge's name.
        conversations: Number of conversations judged.
        model: Name of the judge's model; `unknown` if not recorded.
        kind: Kind of the model's backend; `unknown` if not recorded.
        scale: Lowest and highest score; None if the judge has no scale.
        over: The scored unit, for judges that score turns or dialogues.
        speakers: Whether the judge was shown the speakers' names.
        own_wording: Whether a judge from DiaSynth's tables used the user's own wording.
        prompts: Hash of the prompt for each step.
        aspects: The scores for each aspect.
        average: Mean of the aspects' means; None if there are no scores or the scales differ.
        table: The published table with these aspects on this scale; None if there is no such table.
        methods: For each way of obtaining scores, the number of scores; `unknown` if not recorded.
        mean_mass: Mean total probability of the score tokens, 0 to 1; None if not recorded.
        missing: Number of missing scores for each reason.
    """

    judge: str
    conversations: int
    model: str
    kind: str
    scale: list[int | float] | None
    over: str | None
    speakers: bool
    own_wording: bool
    fingerprint: str
    prompts: dict[str, str]
    aspects: dict[str, AspectScore]
    average: float | None
    table: str | None
    methods: dict[str, int]
    mean_mass: float | None
    missing: dict[str, int]
    cost: JudgeCost


def scores_by_judge(run: Run) -> dict[str, JudgeSummary]:
    """Return the summary of each judge that has scored the run; geval comes first."""
    judges = [name for name in run.judges() if name not in COMPARING]
    ordered = sorted(judges, key=lambda name: (name != "geval", name))
    found = ((judge, judge_summary(run, judge)) for judge in ordered)
    return {judge: one for judge, one in found if one is not None}


def judge_summary(run: Run, judge: str = "geval") -> JudgeSummary | None:
    """Return the summary of a judge's scores; None if the judge has not judged the run.

    For runs that mix generated and sampled personas, the summary has the aspects of both kinds and
    no published table.
    """
    scores: Any = frame(columns_of("scores", _COLUMNS), map(vars, run.scores(judge)))
    if scores.empty:
        return None
    given, none = scores.dropna(subset=["value"]), scores[scores["value"].isna()]
    by_aspect = scores.groupby("aspect", sort=False)["value"]
    aspects = {aspect: _aspect_score(values) for aspect, values in by_aspect}
    mass = given["mass"].dropna().tolist()
    manifest = scores_manifest(run.folder / "scores" / f"{judge}.jsonl") or {}
    judged_by: Mapping[str, Any] = manifest.get("judged_by", {})
    scale = judged_by.get("scale", [1, 5] if judge == "geval" else None)
    return JudgeSummary(
        judge=judge,
        conversations=scores["conversation"].nunique(),
        model=judged_by.get("model", "unknown"),
        kind=manifest.get("kind", "unknown"),
        scale=scale,
        over=judged_by.get("over"),
        speakers=judged_by.get("speakers", False),
        own_wording=_own_wording(judge, judged_by),
        fingerprint=manifest.get("fingerprint", "unknown"),
        prompts=judged_by.get("prompts", {}),
        aspects=aspects,
        average=None if judge in NOT_AVERAGED else _average(aspects),
        table=PUBLISHED_TABLES.get(tuple(aspects)) if scale == [1, 5] else None,
        methods=_counts(given["method"].fillna("unknown")),
        mean_mass=sum(mass) / len(mass) if mass else None,
        missing=_counts(none["reason"].fillna("").str.split(":").str[0]),
        cost=judge_cost(run, judge),
    )


def by_method(method: str) -> str:
    """Return " by METHOD" for a key of `JudgeSummary.methods`; empty if the method is unknown."""
    return "" if method == "unknown" else f" by {method}"


def _aspect_score(values: Any) -> AspectScore:
    found, missing = mean_interval(values), int(values.isna().sum())
    if found is None:
        return AspectScore(None, None, None, 0, missing)
    return AspectScore(found.value, found.low, found.high, found.n, missing)


def _counts(texts: Any) -> dict[str, int]:
    """Return the frequency of each string, in order of first occurrence."""
    return texts.groupby(texts, sort=False).size().to_dict()


def _own_wording(judge: str, judged_by: Mapping[str, Any]) -> bool:
    """Return whether a judge from DiaSynth's tables used the user's own wording."""
    key, shipped = WORDINGS.get(judge, ("", None))
    return shipped is not None and judged_by.get(key, shipped) != shipped


def _average(aspects: Mapping[str, AspectScore]) -> float | None:
    means = [found.value for found in aspects.values() if found.value is not None]
    return sum(means) / len(means) if means else None


def judge_cost(run: Run, judge: str) -> JudgeCost:
    """Return the cost of a judge's model calls."""
    rows = [row for row in spending(run, judge=judge) if row.role == JUDGE]
    return JudgeCost(
        calls=sum(row.calls for row in rows),
        prompt_tokens=sum(row.prompt_tokens for row in rows),
        completion_tokens=sum(row.completion_tokens for row in rows),
        cached_tokens=sum(row.cached_tokens for row in rows),
        cost_usd=total_usd(rows),
    )
