"""Does describing a persona change the user's language? A test for LLM Roleplay's table 2.

If runs differ only in how much of each persona their prompts describe, they have the same personas
and goals, so their dialogues form pairs. Each dialogue's values are averaged over the seeds.
Wilcoxon's signed-rank test is two-sided, and its p-values are corrected for the number of
comparisons (Holm, 1979).
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from statistics import fmean
from typing import Any

from convogen.papers.roleplay.study import BESIDE, DIVERSITY, Condition
from convogen.reports.ablation import holm

__all__ = ["MEASURES", "Told", "told_apart"]

MEASURES = {**DIVERSITY, **BESIDE}
BASE = "none"
"""The value of `told` in conditions without a description, the baseline of all comparisons."""

_LEAST_PAIRS = 2
_OF_PERSONAS = ("features",)


@dataclass(frozen=True, slots=True)
class Told:
    """Comparison of a condition with its counterpart without a description, on one measure.

    Attributes:
        condition: The condition's index among all conditions, from 0.
        told: The described part of the personas.
        measure: One of `MEASURES`, measured on the user's text.
        pairs: Number of combinations of persona and goal that both conditions have.
        difference: Mean of the pairs' differences; positive if the description raises the measure.
        share: Share of positive differences among the pairs that differ, 0 to 1; None if no pair
            differs.
        p: Corrected p-value of the test.
    """

    condition: int
    told: str
    measure: str
    pairs: int
    difference: float
    share: float | None
    p: float


def told_apart(found: Sequence[Condition]) -> list[Told]:
    """Compare each condition that describes its personas with its counterpart without
    descriptions."""
    compared: list[Told] = []
    for at, one in enumerate(found):
        base = next((b for b in found if b.told == BASE and _alike(b, one)), None)
        if base is None or one.told == BASE:
            continue
        with_, without = _values(one), _values(base)
        for measure in MEASURES:
            pairs = [
                with_[key][measure] - without[key][measure]
                for key in sorted(with_.keys() & without.keys())
                if measure in with_[key] and measure in without[key]
            ]
            if len(pairs) >= _LEAST_PAIRS:
                compared.append(_told(at, one.told, measure, pairs))
    corrected = holm([one.p for one in compared])
    return [replace(one, p=p) for one, p in zip(compared, corrected, strict=True)]


def _alike(base: Condition, other: Condition) -> bool:
    """Return whether two conditions differ only in the description of personas."""
    settings = [
        {key: value for key, value in one.runs[0].setting.items() if key not in _OF_PERSONAS}
        for one in (base, other)
    ]
    for setting in settings:
        sources: Mapping[str, Any] = setting.get("sources") or {}
        setting["sources"] = {key: value for key, value in sources.items() if key != "personas"}
    return settings[0] == settings[1]


def _values(condition: Condition) -> dict[int, dict[str, float]]:
    """Return the measures of each task, averaged over the seeds."""
    by_task: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in condition.runs:
        for task, text in one.texts.items():
            for measure, value in text.items():
                by_task[task][measure].append(value)
    return {
        task: {measure: fmean(values) for measure, values in text.items()}
        for task, text in by_task.items()
    }


def _told(at: int, told: str, measure: str, pairs: Sequence[float]) -> Told:
    differing = [one for one in pairs if one]
    share = fmean(one > 0 for one in differing) if differing else None
    p = 1.0
    if differing:
        stats: Any = import_module("scipy.stats")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # with ties, scipy uses the normal approximation
            p = float(stats.wilcoxon(pairs, alternative="two-sided").pvalue)
    return Told(at, told, measure, len(pairs), fmean(pairs), share, p)
