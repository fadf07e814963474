"""Correction of a judge's pass rate with a few human labels.

The labelled dialogues are assumed to be a random sample of the judged dialogues. There are two
methods:

- `rogan_gladen` corrects the judge's pass rate for the judge's sensitivity and specificity on the
  labelled dialogues (Rogan and Gladen, 1978). The interval (Lang and Reiczigel, 2014) is valid for
  small samples, but it is very wide if the judge is hardly better than chance.
- `prediction_powered` adds the judge's mean error on the labelled dialogues to the judge's pass
  rate, weighted by how well the judge predicts the labels (PPI++: Angelopoulos et al., 2023). The
  estimate is never much worse than the estimate from the labels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Corrected", "prediction_powered", "rogan_gladen"]

_Z = 1.959963984540054

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Corrected:
    """A share and its 95% interval, 0 to 1; `value` is None if the share is unknown."""

    value: float | None
    low: float | None
    high: float | None


def rogan_gladen(judged: Flags, labelled: Flags, truth: Flags) -> Corrected:
    """Return an estimate of the true pass rate from the judge's sensitivity and specificity.

    `judged` contains all verdicts, `truth` the labels, and `labelled` the verdicts on the labelled
    dialogues. The value is None if all labels are equal or the judge is no better than
    chance.
    """
    passing, failing = int(truth.sum()), int((~truth).sum())
    if not (passing and failing):
        return Corrected(None, None, None)
    n, rate = len(judged), float(judged.mean())
    sensitivity = float(labelled[truth].mean())
    specificity = float((~labelled[~truth]).mean())
    told = sensitivity + specificity - 1
    if told <= 0:
        return Corrected(None, None, None)
    value = min(1.0, max(0.0, (rate + specificity - 1) / told))
    z2 = _Z**2
    rate = (n * rate + z2 / 2) / (n + z2)
    sensitivity = (passing * sensitivity + 1) / (passing + 2)
    specificity = (failing * specificity + 1) / (failing + 2)
    told = sensitivity + specificity - 1
    if told <= 0:
        return Corrected(value, 0.0, 1.0)
    middle = (rate + specificity - 1) / told
    of_passing = sensitivity * (1 - sensitivity) / (passing + 2)
    of_failing = specificity * (1 - specificity) / (failing + 2)
    spread = rate * (1 - rate) / (n + z2) + middle**2 * of_passing + (1 - middle) ** 2 * of_failing
    shift = 2 * z2 * (middle * of_passing - (1 - middle) * of_failing)
    half = _Z * sqrt(spread) / told
    low, high = (min(1.0, max(0.0, middle + shift + end)) for end in (-half, half))
    return Corrected(value, min(low, value), max(high, value))


def prediction_powered(judged: Flags, labelled: Flags, truth: Flags) -> Corrected:
    """Return an estimate of the true pass rate from few labels and many verdicts.

    `judged` contains the verdicts on unlabelled dialogues, `truth` the labels, and `labelled` the
    verdicts on the labelled dialogues. The value is None if there are fewer than two labels or
    no unlabelled dialogues. There is no interval if all labels are equal.
    """
    n, many = len(truth), len(judged)
    if n < 2 or not many:
        return Corrected(None, None, None)
    guesses, known, others = (each.astype(float) for each in (labelled, truth, judged))
    spread = float(np.concatenate([guesses, others]).var(ddof=1))
    shared = float(np.cov(known, guesses)[0, 1])
    weight = min(1.0, max(0.0, shared / ((1 + n / many) * spread))) if spread else 0.0
    errors = known - weight * guesses
    value = weight * float(others.mean()) + float(errors.mean())
    variance = weight**2 * float(others.var(ddof=1)) / many if many > 1 else 0.0
    variance += float(errors.var(ddof=1)) / n
    value = min(1.0, max(0.0, value))
    if not known.var():
        return Corrected(value, None, None)
    stats: Any = import_module("scipy.stats")
    half = float(stats.t.ppf(0.975, n - 1)) * sqrt(variance)
    return Corrected(value, max(0.0, value - half), min(1.0, value + half))
