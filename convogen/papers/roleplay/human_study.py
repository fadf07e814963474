"""Which dialogue is artificial? LLM Roleplay's tables 3 and 10, for new and published answers.

The standard deviations of durations and utterance numbers divide by n - 1. The paper does not say
whether it divides by n or n - 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import fmean, stdev
from typing import NamedTuple, get_args

from convogen.papers.roleplay.published_checks import Check, numbers_of, verdict_on
from convogen.published import published
from convogen.study.answers import Confidence, PairAnswer
from convogen.study.mixed import fit_shares, fit_spreads
from convogen.study.results import Model, modelled

__all__ = [
    "CONFIDENCES",
    "SUBSETS",
    "Condition",
    "Printed",
    "Spread",
    "Subset",
    "checks",
    "printed",
    "printed_confidences",
    "printed_counts",
    "table_3",
]

CONFIDENCES: dict[Confidence, str] = {
    "very": "very confident",
    "confident": "confident",
    "somewhat": "somewhat confident",
}
SUBSETS = ("total", "detected", "undetected")

PAIRS = 200
"""Number of pairs per inquirer in the paper's study (appendix D)."""


class Spread(NamedTuple):
    """A mean and a sample standard deviation; None if there are too few values."""

    mean: float | None
    std: float | None


@dataclass(frozen=True, slots=True)
class Subset:
    """The answers to a subset of a condition's pairs.

    Attributes:
        n: Number of answers.
        confidences: Number of answers for each confidence.
        seconds: Mean and deviation of the time per answer, in seconds.
        utterance: Mean and deviation of the number of the exchange that gave the dialogue away,
            counted from 1, over the answers that name an exchange.
    """

    n: int
    confidences: dict[Confidence, int]
    seconds: Spread
    utterance: Spread


@dataclass(frozen=True, slots=True)
class Condition:
    """A column of table 3: a condition's answers for each subset in `SUBSETS`."""

    name: str
    subsets: dict[str, Subset]

    @property
    def undetected_percent(self) -> float:
        """The undetectability rate in percent; 50 means indistinguishable."""
        return 100 * self.subsets["undetected"].n / self.subsets["total"].n


@dataclass(frozen=True, slots=True)
class Printed:
    """The paper's statistical models, and models without random effects that are computed from the
    paper's counts.

    Attributes:
        tests: Maps each outcome to the printed statistic of the Wald test.
        letters: Maps each outcome and condition to the printed compact letters.
        recomputed: Models for detection, utterance and seconds, computed from the counts, means and
            deviations in table 3.
    """

    tests: dict[str, float]
    letters: dict[str, dict[str, str]]
    recomputed: list[Model]


def table_3(answers: Iterable[PairAnswer]) -> list[Condition]:
    """Return the columns of table 3, sorted by name, without attention checks."""
    by_condition: dict[str, list[PairAnswer]] = {}
    for one in answers:
        if not one.attention_check:
            by_condition.setdefault(one.condition, []).append(one)
    return [
        Condition(
            name,
            {
                "total": _subset(of),
                "detected": _subset([one for one in of if one.detected]),
                "undetected": _subset([one for one in of if not one.detected]),
            },
        )
        for name, of in sorted(by_condition.items())
    ]


def printed_counts() -> dict[str, tuple[int, int]]:
    """Return the paper's numbers of detected pairs and of all pairs for each inquirer."""
    return {
        name: (sum(_counts(row, "detected").values()), sum(_counts(row, "total").values()))
        for name, row in _rows().items()
    }


def printed_confidences(subset: str) -> dict[str, dict[Confidence, float]]:
    """Return the paper's confidences in a subset for each inquirer, in percent of all pairs."""
    return {
        name: {level: 100 * count / PAIRS for level, count in _counts(row, subset).items()}
        for name, row in _rows().items()
    }


def printed() -> Printed:
    """Return the paper's tests and letters, and models recomputed from the paper's counts."""
    rows = published("roleplay")["10"].rows
    tests = numbers_of(rows["test"])
    letters = {
        outcome: {name: f"{row[outcome]}" for name, row in rows.items() if name != "test"}
        for outcome in published("roleplay")["10"].columns
    }
    shares = fit_shares(printed_counts())
    utterances = {name: _spread_of(row, "detected", "utterance") for name, row in _rows().items()}
    seconds = {
        name: _pooled(*(_spread_of(row, subset, "seconds") for subset in SUBSETS[1:]))
        for name, row in _rows().items()
    }
    recomputed = [
        modelled("detection", shares, attrgetter("value")),
        modelled("utterance", fit_spreads(utterances), lambda one: -one.value),
        modelled("seconds", fit_spreads(seconds), lambda one: -one.value),
    ]
    return Printed(tests, letters, recomputed)


def checks() -> list[Check]:
    """Return a check for every number in table 3 that follows from other numbers in the table."""
    return [*_sums(), *_percentages()]


def _sums() -> Iterator[Check]:
    """Check that the counts of all pairs are the sums of detected and undetected pairs."""
    for name, row in _rows().items():
        of = {subset: _counts(row, subset) for subset in SUBSETS}
        for one in CONFIDENCES:
            both = of["detected"][one] + of["undetected"][one]
            verdict = verdict_on(of["total"][one], both, both)
            yield Check(_WHAT, name, f"total_{one}", of["total"][one], both, verdict)


def _percentages() -> Iterator[Check]:
    """Check each inquirer's percentages against the counts of pairs."""
    for name, row in _rows().items():
        counts = {subset: _counts(row, subset) for subset in SUBSETS}
        parts = {
            f"{subset}_{one}_percent": count
            for subset, of in counts.items()
            for one, count in of.items()
        }
        parts["undetected_percent"] = sum(counts["undetected"].values())
        for cell, part in parts.items():
            computed = 100 * part / PAIRS
            verdict = verdict_on(row[cell], computed, computed)
            yield Check(_WHAT, name, cell, row[cell], computed, verdict)


_WHAT = "table 3 from its counts"


def _rows() -> dict[str, dict[str, float]]:
    return {name: numbers_of(row) for name, row in published("roleplay")["3"].rows.items()}


def _counts(row: Mapping[str, float], subset: str) -> dict[Confidence, int]:
    return {one: int(row[f"{subset}_{one}"]) for one in CONFIDENCES}


def _spread_of(row: Mapping[str, float], subset: str, measure: str) -> tuple[int, float, float]:
    n = sum(_counts(row, subset).values())
    return n, row[f"{subset}_{measure}"], row[f"{subset}_{measure}_std"]


def _pooled(
    one: tuple[int, float, float], other: tuple[int, float, float]
) -> tuple[int, float, float]:
    """Return the number, mean and sample standard deviation of two pooled samples."""
    n = one[0] + other[0]
    mean = (one[0] * one[1] + other[0] * other[1]) / n
    squares = sum((m - 1) * std**2 + m * (each - mean) ** 2 for m, each, std in (one, other))
    return n, mean, math.sqrt(squares / (n - 1))


def _subset(answers: Sequence[PairAnswer]) -> Subset:
    return Subset(
        n=len(answers),
        confidences={
            level: sum(one.confidence == level for one in answers)
            for level in reversed(get_args(Confidence))
        },
        seconds=_spread([one.seconds for one in answers]),
        utterance=_spread([float(one.utterance) for one in answers if one.utterance is not None]),
    )


def _spread(values: Sequence[float]) -> Spread:
    mean = fmean(values) if values else None
    return Spread(mean, stdev(values) if len(values) > 1 else None)
