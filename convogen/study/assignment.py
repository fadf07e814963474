"""The selection of pairs of dialogues, and their probabilities.

`paper` gives all pairs in a condition the same probability. `adaptive` prefers pairs for which a
judge cannot predict people's answers, as in active statistical inference (Zrnic and Candès, 2024).
The variance of the estimate is smallest if a pair's probability is proportional to the expected
error of the judge's prediction. For a binary answer predicted with probability p, this error is the
square root of p(1 - p). Part of the probability is spread evenly, so that every pair may be drawn
and an overconfident judge does little harm.

All pairs are drawn before the study begins, so each pair's probability is exact, whatever the order
of the answers. The probability is stored with the answer, and the results weight each answer by the
inverse of its probability.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, Literal

import numpy as np

from convogen.errors import SourceError
from convogen.study.candidates import Candidate
from convogen.text.counting import counted

__all__ = [
    "EVEN_SHARE",
    "Assignment",
    "chosen_pairs",
    "inclusion_probabilities",
    "systematic_sample",
]

Assignment = Literal["paper", "adaptive"]

EVEN_SHARE = 0.5
"""The share of the probability that is spread evenly over all pairs.

In `benchmarks.study`, a judge that guesses then increases the standard error by 2%, and a useful
judge reduces it by 4%. With a share of 0.25, these numbers are 7% and 6%.
"""


def chosen_pairs(
    by_condition: Mapping[str, Sequence[Candidate]],
    n: int,
    participants: int,
    draw: random.Random,
    predicted: Mapping[str, float] | None = None,
) -> list[list[Candidate]]:
    """Return the pairs drawn for each condition, with their probabilities.

    Args:
        by_condition: Condition -> candidate pairs.
        n: Number of pairs to draw per condition, at most the number of candidates.
        participants: Number of participants, which is also the maximum number of drawn pairs per
            person and goal.
        draw: The source of randomness.
        predicted: For adaptive assignment: candidate id -> the judge's probability that people do
            not detect the simulated dialogue. If None, all pairs are equally probable.

    Raises:
        SourceError: No selection meets the limits set by `n` and `participants`.
    """
    ordered = sorted(by_condition.items())
    if participants >= len(by_condition):
        if predicted is not None:
            return [_by_uncertainty(of, n, predicted, draw) for _, of in ordered]
        return [
            [replace(one, probability=n / len(of)) for one in draw.sample(of, n)]
            for _, of in ordered
        ]
    if predicted is not None:
        raise SourceError(
            f"adaptive assignment needs at least as many participants as conditions (found "
            f"{participants} for {len(by_condition)} conditions)"
        )
    return _by_flow(by_condition, n, participants, draw)


def inclusion_probabilities(predicted: Sequence[float], n: int) -> list[float]:
    """Return the probability with which each pair is drawn; the probabilities add up to `n`.

    Args:
        predicted: For each pair, the judge's probability that people do not detect the simulated
            dialogue, 0 to 1.
        n: Number of pairs to draw, at most the length of `predicted`.
    """
    unsure = [math.sqrt(max(0.0, p * (1 - p))) for p in predicted]
    mean = math.fsum(unsure) / max(len(unsure), 1)
    weights = [EVEN_SHARE + (1 - EVEN_SHARE) * (one / mean if mean else 1.0) for one in unsure]
    found = [0.0] * len(weights)
    left, open_ = n, list(range(len(weights)))
    while open_:
        scale = left / math.fsum(weights[at] for at in open_)
        certain = [at for at in open_ if weights[at] * scale >= 1]
        for at in certain or open_:
            found[at] = min(1.0, weights[at] * scale)
        if not certain:
            break
        left -= len(certain)
        open_ = [at for at in open_ if weights[at] * scale < 1]
    return found


def systematic_sample(probabilities: Sequence[float], draw: random.Random) -> list[int]:
    """Return the indices of a sample of fixed size with exactly these inclusion probabilities.

    The method is systematic sampling in random order (Madow, 1949).

    Args:
        probabilities: Inclusion probabilities, each above 0 and at most 1, that add up to a whole
            number.
        draw: The source of randomness.
    """
    certain = [at for at, p in enumerate(probabilities) if p >= 1]
    others = [at for at, p in enumerate(probabilities) if p < 1]
    size = round(math.fsum(probabilities[at] for at in others))
    draw.shuffle(others)
    start, chosen, cumulated = draw.random(), list(certain), 0.0
    for nth, at in enumerate(others, 1):
        after = size if nth == len(others) else min(size, cumulated + probabilities[at])
        if math.floor(after - start) > math.floor(cumulated - start):
            chosen.append(at)
        cumulated = after
    return sorted(chosen)


def _by_uncertainty(
    of: Sequence[Candidate], n: int, predicted: Mapping[str, float], draw: random.Random
) -> list[Candidate]:
    missing = [one for one in of if one.id not in predicted]
    if missing:
        raise SourceError(
            f"adaptive assignment needs a judge's probability for every pair; add the verdicts "
            f"missing for {len(missing)} of the pairs in condition {of[0].condition!r}, for "
            f"example {missing[0].id!r}"
        )
    probabilities = inclusion_probabilities([predicted[one.id] for one in of], n)
    return [
        replace(of[at], probability=probabilities[at])
        for at in systematic_sample(probabilities, draw)
    ]


def _by_flow(
    by_condition: Mapping[str, Sequence[Candidate]], n: int, most: int, draw: random.Random
) -> list[list[Candidate]]:
    """Choose `n` pairs per condition and at most `most` per cell, by computing a maximum flow."""
    csgraph: Any = import_module("scipy.sparse.csgraph")
    sparse: Any = import_module("scipy.sparse")
    conditions = sorted(by_condition)
    draw.shuffle(conditions)
    cells = sorted({one.cell for of in by_condition.values() for one in of})
    draw.shuffle(cells)
    sink = 1 + len(conditions) + len(cells)
    places = {name: at for at, name in enumerate([*conditions, *cells], 1)}
    edges = [(0, places[name], n) for name in conditions]
    edges += [(places[name], sink, most) for name in cells]
    edges += [
        (places[one.condition], places[one.cell], 1) for of in by_condition.values() for one in of
    ]
    rows, columns, capacities = zip(*edges, strict=True)
    whole = (np.array(capacities, np.int32), (rows, columns))
    flow = csgraph.maximum_flow(sparse.csr_matrix(whole, (sink + 1, sink + 1)), 0, sink)
    if int(flow.flow_value) < n * len(conditions):
        raise SourceError(
            f"{n * len(conditions)} pairs cannot be assigned to {counted(most, 'participant')} "
            "without showing a participant two pairs with the same person and goal (with "
            f"{counted(len(cells), 'combination')} of person and goal, the maximum is "
            f"{counted(int(flow.flow_value), 'pair')}); use more participants or fewer pairs"
        )
    found: list[list[Candidate]] = []
    for condition, of in sorted(by_condition.items()):
        row = flow.flow[places[condition]]
        used = {at for at, units in zip(row.indices, row.data, strict=True) if units > 0}
        found.append(
            [replace(one, probability=n / len(of)) for one in of if places[one.cell] in used]
        )
    return found
