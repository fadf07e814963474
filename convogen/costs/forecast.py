"""A forecast of the total cost of a run, based on its first conversations.

A unit is the amount spent between one accepted conversation and the next. Failed and rejected tasks
therefore count towards the conversation that replaced them. The sum of m further units has the
prediction interval m x ± t s √(m + m²/k), where x and s are the mean and the standard deviation of
the k units observed so far, and t is the quantile of the t distribution with k - 1 degrees of
freedom (Hahn and Meeker, Statistical Intervals, 1991, section 4.7, for a sum). The interval does
not account for effects that the k units cannot show, such as failures rarer than one in k and
prompts that grow over the run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from math import sqrt
from statistics import mean, stdev

from convogen.costs.ledger_costs import JUDGE, Prices, usage_of
from convogen.storage.run_folder import Run

__all__ = ["LEVEL", "Forecast", "Range", "forecast"]

LEVEL = 0.95
COUNTS = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens", "seconds")


@dataclass(frozen=True, slots=True)
class Range:
    """The expected amount for a whole run and its 95% prediction interval.

    Attributes:
        so_far: Amount that has been spent so far.
        low: Lower end of the interval. `low` and `high` are None if the run has fewer than two
            conversations.
    """

    so_far: float
    expected: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Forecast:
    """The forecast for a run of `n` conversations, based on the first `seen` of them.

    `roles` maps each (role, model) pair to its ranges. `total` contains the ranges of the sums over
    all roles. The amounts are `calls`, `prompt_tokens`, `cached_tokens`, `completion_tokens`,
    `seconds` (summed over all calls) and `cost_usd`, which is missing if a price is unknown.
    """

    n: int
    seen: int
    roles: dict[tuple[str, str], dict[str, Range]]
    total: dict[str, Range]


def forecast(run: Run, n: int, prices: Prices | None = None) -> Forecast:
    """Return the forecast for a run of `n` conversations, excluding judge calls."""
    accepted = [c.task or 0 for c in run.conversations()]
    others = sum(1 for _ in run.failures()) + sum(1 for _ in run.rejected())
    committed = len(accepted) + others
    spent: dict[tuple[str, str], _Units] = {}
    prices = prices or Prices(run)
    for row in run.ledger():
        key = (row["role"], row["model"])
        if row["role"] == JUDGE or "lost_attempts" in row:
            continue
        if key not in spent:
            spent[key] = _Units(len(accepted))
        amounts = {"calls": 1, **usage_of(row).model_dump(), "seconds": row["seconds"]}
        price, _ = prices.of(*key)
        if price is not None:
            amounts["cost_usd"] = price(usage_of(row))
        spent[key].add(
            bisect_left(accepted, row["task"]), amounts, committed=row["task"] < committed
        )
    known = all(prices.of(*key)[0] for key in spent)
    amount_names = (*COUNTS, "cost_usd") if known else COUNTS
    return Forecast(
        n,
        len(accepted),
        {key: units.ranges(n) for key, units in sorted(spent.items())},
        _sum(spent.values(), len(accepted)).ranges(n, amount_names),
    )


class _Units:
    """The amounts per unit. Amounts spent after the last accepted conversation are kept separately
    for failed tasks and for unfinished tasks."""

    def __init__(self, seen: int) -> None:
        self.units: list[dict[str, float]] = [{} for _ in range(seen)]
        self.failed: dict[str, float] = {}
        self.begun: dict[str, float] = {}

    def add(self, index: int, amounts: Mapping[str, float], *, committed: bool) -> None:
        """Add amounts to the unit at `index`. If there is no such unit, add them to the amounts for
        failed tasks if `committed` is true, otherwise to the amounts for unfinished tasks."""
        after = self.failed if committed else self.begun
        unit = self.units[index] if index < len(self.units) else after
        for name, amount in amounts.items():
            unit[name] = unit.get(name, 0) + amount

    def ranges(self, n: int, names: Iterable[str] | None = None) -> dict[str, Range]:
        """Return the range of each amount over a run of `n` conversations."""
        every = [*self.units, self.failed, self.begun]
        return {
            name: _range(
                [unit.get(name, 0) for unit in self.units],
                self.failed.get(name, 0),
                self.begun.get(name, 0),
                max(n - len(self.units), 0),
            )
            for name in (dict.fromkeys(key for unit in every for key in unit))
            if names is None or name in names
        }


def _sum(roles: Iterable[_Units], seen: int) -> _Units:
    total = _Units(seen)
    for role in roles:
        for index, unit in enumerate(role.units):
            total.add(index, unit, committed=True)
        total.add(seen, role.failed, committed=True)
        total.add(seen, role.begun, committed=False)
    return total


def _range(units: list[float], failed: float, begun: float, missing: int) -> Range:
    """Return the range of a total. The amount `begun` counts towards the missing units, but the
    amount `failed` does not."""
    so_far, seen = sum(units) + failed, len(units)
    rest = missing * mean(units) if units else 0.0
    expected = so_far + max(rest, begun)
    if not missing:
        return Range(so_far + begun, expected, expected, expected)
    if seen < 2:
        return Range(so_far + begun, expected, None, None)
    t: float = import_module("scipy.special").stdtrit(seen - 1, (1 + LEVEL) / 2)
    half = float(t) * stdev(units) * sqrt(missing + missing**2 / seen)
    low, high = so_far + max(rest - half, begun), so_far + max(rest + half, begun)
    return Range(so_far + begun, expected, low, high)
