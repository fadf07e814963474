"""A judge's scores of a run, by aspect: a row of table IV or VI of the ConvoGen paper.

`avgScore` is the mean of the aspects' means, as in the paper: so it is in all rows of the tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from convogen.costs.ledger_costs import JUDGE, spending, total_usd
from convogen.judges.fed import FOLLOW_UPS
from convogen.judges.geval import GENERATED, SAMPLED
from convogen.judges.geval3 import QUALITIES
from convogen.judges.gptscore import QUESTIONS
from convogen.judges.verdict_files import PROTOCOLS
from convogen.records import Usage
from convogen.reports.intervals import mean_interval
from convogen.storage.frames import columns_of, frame
from convogen.storage.run_folder import Run
from convogen.storage.score_store import scores_manifest

__all__ = ["PUBLISHED_TABLES", "judge_cost", "judge_summary", "scores_by_judge"]

PUBLISHED_TABLES = {tuple(GENERATED): "IV", tuple(SAMPLED): "VI"}
"""The published table by the aspects; its scale is 1 to 5."""

NOT_AVERAGED = ("fed",)
"""Judges some of whose aspects are on another scale than the others."""


COMPARING = (*PROTOCOLS, "arena")
"""Judges that make a choice, which has no mean."""

WORDINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "fed": ("follow_ups", {k: one.model_dump(mode="json") for k, one in FOLLOW_UPS.items()}),
    "gptscore": ("questions", dict(QUESTIONS)),
    "geval3": ("questions", dict(QUALITIES)),
}
"""Judge -> the key that holds its wording, and the shipped one."""

_COLUMNS = ("conversation", "aspect", "value", "method", "mass", "reason")


def scores_by_judge(run: Run) -> dict[str, dict[str, Any]]:
    """What `groundedness` says of each judge that has scored the run; geval first."""
    judges = [name for name in run.judges() if name not in COMPARING]
    ordered = sorted(judges, key=lambda name: (name != "geval", name))
    found = ((judge, judge_summary(run, judge)) for judge in ordered)
    return {judge: one for judge, one in found if one is not None}


def judge_summary(run: Run, judge: str = "geval") -> dict[str, Any] | None:
    """The means by aspect with intervals, how they came about, the cost; None where not judged.

    `aspects` has, for each, the mean (`value`, on the judge's scale), its interval, the number `n`
    of scores and `missing`, how many are None. Runs of mixed personas have all aspects of both
    kinds; `table` names the published table to set beside, None where none has these aspects.
    """
    scores: Any = frame(columns_of("scores", _COLUMNS), map(vars, run.scores(judge)))
    if scores.empty:
        return None
    given, none = scores.dropna(subset=["value"]), scores[scores["value"].isna()]
    by_aspect = scores.groupby("aspect", sort=False)["value"]
    aspects = {aspect: _summed(values) for aspect, values in by_aspect}
    mass = given["mass"].dropna().tolist()
    judged_by = _judged_by(run, judge)
    published = PUBLISHED_TABLES.get(tuple(aspects)) if judged_by["scale"] == [1, 5] else None
    return {
        "judge": judge,
        "conversations": scores["conversation"].nunique(),
        **judged_by,
        "aspects": aspects,
        "average": None if judge in NOT_AVERAGED else _average(aspects),
        "table": published,
        "methods": _counts(given["method"].fillna("unknown")),
        "mean_mass": sum(mass) / len(mass) if mass else None,
        "missing": _counts(none["reason"].fillna("").str.split(":").str[0]),
        "cost": judge_cost(run, judge),
    }


def _summed(values: Any) -> dict[str, Any]:
    interval = mean_interval(values)
    shown = asdict(interval) if interval else {"value": None, "low": None, "high": None, "n": 0}
    return {**shown, "missing": int(values.isna().sum())}


def _counts(texts: Any) -> dict[str, int]:
    """How often each text occurs, in the order of the first of each."""
    return texts.groupby(texts, sort=False).size().to_dict()


def _judged_by(run: Run, judge: str) -> dict[str, Any]:
    manifest = scores_manifest(run.folder / "scores" / f"{judge}.jsonl") or {}
    essence: dict[str, Any] = manifest.get("judged_by", {})
    return {
        "model": essence.get("model", "unknown"),
        "kind": manifest.get("kind", "unknown"),
        "scale": essence.get("scale", [1, 5] if judge == "geval" else None),
        "over": essence.get("over"),
        "speakers": essence.get("speakers", False),
        "own_wording": _own_wording(judge, essence),
        "fingerprint": manifest.get("fingerprint", "unknown"),
        "prompts": essence.get("prompts", {}),
    }


def _own_wording(judge: str, essence: Mapping[str, Any]) -> bool:
    """Return whether a judge of DiaSynth's tables asked in words of the user's own."""
    key, shipped = WORDINGS.get(judge, ("", None))
    return shipped is not None and essence.get(key, shipped) != shipped


def _average(aspects: dict[str, dict[str, Any]]) -> float | None:
    means = [found["value"] for found in aspects.values() if found["value"] is not None]
    return sum(means) / len(means) if means else None


def judge_cost(run: Run, judge: str) -> dict[str, Any]:
    """Calls, tokens and cost of a judge's calls; the cost None where a price is not known."""
    rows = [row for row in spending(run, judge=judge) if row["role"] == JUDGE]
    counted = ("calls", *Usage.model_fields)
    return {
        **{key: sum(row[key] for row in rows) for key in counted},
        "cost_usd": total_usd(rows),
    }
