"""The coverage of a human study's intervals, measured on simulated studies.

`python -m benchmarks.study` simulates 200 studies with known effects (`--studies` changes the
number), and counts how often 95% intervals contain these effects. It covers the contrasts of the
mixed models, and the shares of undetected pairs and their differences. Shares are estimated from
answers alone and with a judge's verdicts, for pairs assigned evenly and by the judge's uncertainty.
The exit status is 1 if a coverage is below 95% by more than chance explains, if a useful judge
makes intervals wider, or if adaptive assignment does not make them shorter.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from statistics import fmean

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the matrices are small

from benchmarks.simulated_study import (
    LOG_ODDS,
    answered,
    pool,
    simulated,
    true_rates,
)
from convogen.errors import SourceError
from convogen.study.assignment import Assignment
from convogen.study.contrasts import contrasts
from convogen.study.mixed import fit_binomial, fit_linear
from convogen.study.undetected import Bounds, undetected

LEVEL = 0.95

JUDGES = {"useful": {}, "useless": {"skill": 0.0}, "overconfident": {"off": -2.0}}
"""Settings of three judges: one that is often right, one that guesses, and one that is biased."""


@dataclass(slots=True)
class Coverage:
    """Intervals of one kind, compared with the true values."""

    held: list[bool] = field(default_factory=list[bool])
    errors: list[float] = field(default_factory=list[float])
    widths: list[float] = field(default_factory=list[float])

    def add(self, value: float, low: float, high: float, truth: float) -> None:
        self.held.append(low <= truth <= high)
        self.errors.append(value - truth)
        self.widths.append(high - low)

    @property
    def rate(self) -> float:
        return fmean(self.held)

    @property
    def bias(self) -> float:
        return fmean(self.errors)

    @property
    def width(self) -> float:
        return fmean(self.widths)

    @property
    def rms(self) -> float:
        """Return the root mean squared error."""
        return math.sqrt(fmean(error**2 for error in self.errors))

    def holds(self, studies: int, *, slack: float = 0.0) -> bool:
        """Return whether the coverage is at least 95% minus four binomial standard errors.

        The intervals of one study are not independent, so the error depends on `studies` alone.
        """
        error = math.sqrt(LEVEL * (1 - LEVEL) / studies)
        return self.rate >= LEVEL - slack - 4 * error

    def __str__(self) -> str:
        return (
            f"{self.rate:6.1%} of {len(self.held)}, bias {self.bias:+.4f}, "
            f"root mean squared error {self.rms:.4f}, width {self.width:.4f}"
        )


def mixed_models(studies: int, **setting: int) -> dict[str, Coverage]:
    """Return the coverage of pairwise contrasts, in log odds and in utterances."""
    found = {"log odds": Coverage(), "utterances": Coverage()}
    names = list(LOG_ODDS)
    for seed in range(studies):
        study = simulated(seed, **setting)
        truths = {
            "log odds": LOG_ODDS,
            "utterances": {name: float(at) for at, name in enumerate(names)},
        }
        fits = {
            "log odds": lambda s=study: fit_binomial(s.detected, s.conditions, s.groups()),
            "utterances": lambda s=study: fit_linear(s.utterances, s.conditions, s.groups()),
        }
        for kind, fit in fits.items():
            try:
                compared = contrasts(fit())
            except SourceError:
                continue  # separation: there is no interval to count
            for one in compared:
                truth = truths[kind][one.first] - truths[kind][one.second]
                found[kind].add(one.difference, one.low, one.high, truth)
    return found


def shares(
    studies: int, judge: str = "useful", *, participants: int = 20, each: int = 20
) -> dict[str, Coverage]:
    """Return the coverage of shares and of their differences for each method of estimation."""
    truth = true_rates()
    found: dict[str, Coverage] = defaultdict(Coverage)
    assignments: tuple[Assignment, ...] = ("paper", "adaptive")
    for seed in range(studies):
        of = pool(seed, **JUDGES[judge])
        for assignment in assignments:
            answers = answered(of, seed, assignment, participants=participants, each=each)
            rates, differences = undetected(answers, of.verdicts)
            wanted = [truth[one.condition] for one in rates]
            wanted_between = [truth[one.first] - truth[one.second] for one in differences]
            for what, rows, truths in (
                ("share", rates, wanted),
                ("difference", differences, wanted_between),
            ):
                for one, true in zip(rows, truths, strict=True):
                    _add(found[f"{what}, {assignment}, answers alone"], one.alone, true)
                    if one.powered is not None:
                        _add(found[f"{what}, {assignment}, with judge"], one.powered, true)
    return dict(found)


def _add(to: Coverage, bounds: Bounds, truth: float) -> None:
    low = bounds.value if bounds.low is None else bounds.low
    high = bounds.value if bounds.high is None else bounds.high
    to.add(bounds.value, low, high, truth)


def faults(found: dict[str, Coverage], studies: int) -> Iterator[str]:
    """Yield the faults in the coverages that `shares` returned for a useful judge."""
    for what in ("share", "difference"):
        alone, judged = (f"{what}, paper, {how}" for how in ("answers alone", "with judge"))
        adaptive = f"{what}, adaptive, with judge"
        for shorter, longer in ((judged, alone), (adaptive, judged)):
            if found[shorter].width > found[longer].width:
                yield f"{shorter} is not shorter than {longer}"
    yield from not_held(found, studies)


def not_held(found: dict[str, Coverage], studies: int) -> Iterator[str]:
    """Yield the coverages that are below 95% by more than chance explains."""
    for name, one in found.items():
        if not one.holds(studies):
            yield f"{name}: {one.rate:.1%} of the intervals contain the effect"


def _shown(title: str, found: dict[str, Coverage], said: Iterable[str], begun: float) -> bool:
    print(f"\n{title} ({time.perf_counter() - begun:.0f} s)")
    for name, one in found.items():
        print(f"  {name:<38} {one}")
    wrong = list(said)
    for line in wrong:
        print(f"  NO: {line}")
    return not wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    n = parser.parse_args().studies
    fine: list[bool] = []
    for title, setting in (
        ("Contrasts: 20 people, 40 pairs each", {}),
        ("Contrasts: 8 people, 24 pairs each", {"participants": 8, "each": 24, "persons": 12}),
    ):
        begun = time.perf_counter()
        found = mixed_models(n, **setting)
        fine.append(_shown(title, found, not_held(found, n), begun))
    for judge in JUDGES:
        begun = time.perf_counter()
        found = shares(n, judge)
        said = faults(found, n) if judge == "useful" else not_held(found, n)
        title = f"Shares: 20 people, 20 of 1,200 pairs each; the judge is {judge}"
        fine.append(_shown(title, found, said, begun))
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
