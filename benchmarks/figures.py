"""Figures, each with its limit or next to a peer measured in the same run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Figure", "middle", "table"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its unit; `limit` is its maximum, or its minimum if `at_least` is true.

    `about` describes the method of measurement, or the peer.
    """

    name: str
    value: float
    unit: str = ""
    limit: float | None = None
    at_least: bool = False
    about: str = ""

    @property
    def holds(self) -> bool | None:
        """Return whether the value is within its limit; None without a limit."""
        if self.limit is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def middle(values: Iterable[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def table(figures: Sequence[Figure], *, heading: bool = True) -> str:
    """Return the figures as a Markdown table."""
    head = ["| what | measured | limit | holds | how |", "| --- | ---: | ---: | --- | --- |"]
    lines = head if heading else []
    for figure in figures:
        sign = ">=" if figure.at_least else "<="
        limit = "" if figure.limit is None else f"{sign} {figure.limit:.4g} {figure.unit}".strip()
        holds = {None: "", True: "yes", False: "NO"}[figure.holds]
        measured = f"{figure.value:.4g} {figure.unit}".strip()
        lines.append(f"| {figure.name} | {measured} | {limit} | {holds} | {figure.about} |")
    return "\n".join(lines)
