"""The downstream value of generated data: percentage improvement and coverage (DiaSynth, 5.2).

Both numbers are means of per-cell ratios. A cell is one combination of model, data set and measure.
Computed in this way from the paper's tables, coverage equals the printed values: 90.48% over the 24
cells of LLaMA-3, and 77.07% without QAGS.

The tables do not reproduce the paper's improvement of 16.47%. Equation 1 gives 12.15% over the same
cells (QAGS falls by 7.40%, BERTScore rises by 20.23%, and ROUGE-L rises by 23.61%). The ratio
of the sums (5.14%), the median (13.40%) and the mean without QAGS (21.92%) also differ from the
printed number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import cast

from convogen.published import published

__all__ = [
    "Cell",
    "PublishedSums",
    "coverage",
    "mean_coverage",
    "mean_improvement",
    "percentage_improvement",
    "published_cells",
    "published_sums",
]

GENERATORS = ("Phi-3", "InternLM-2.5", "LLaMA-3", "GPT-4o")


@dataclass(frozen=True, slots=True)
class Cell:
    """A summariser's scores for one measure on one held-out set: before fine-tuning, after
    fine-tuning on in-domain data, and after fine-tuning on generated data."""

    model: str
    data: str
    measure: str
    before: float
    in_domain: float
    synthetic: float


def percentage_improvement(after: float, before: float) -> float:
    """Return the improvement of `after` over `before` in percent (equation 1).

    Raises `ZeroDivisionError` if `before` is 0.
    """
    return (after - before) / before * 100


def coverage(synthetic: float, in_domain: float) -> float:
    """Return the synthetic score as a percentage of the in-domain score (equation 2).

    Raises `ZeroDivisionError` if `in_domain` is 0.
    """
    return synthetic / in_domain * 100


def mean_improvement(cells: Sequence[Cell]) -> float:
    """Return the mean improvement over the cells, in percent."""
    return mean(percentage_improvement(cell.synthetic, cell.before) for cell in cells)


def mean_coverage(cells: Sequence[Cell]) -> float:
    """Return the mean coverage over the cells, in percent."""
    return mean(coverage(cell.synthetic, cell.in_domain) for cell in cells)


def published_cells(generator: str = "LLaMA-3") -> list[Cell]:
    """Return the paper's cells (tables 6 and 7) for the data from one generator.

    The generator is Phi-3, InternLM-2.5, LLaMA-3 or GPT-4o. A cell's `measure` is qags, bertscore
    or rouge_l.
    """
    tables = published("diasynth")
    cells: list[Cell] = []
    for row, printed in tables["6"].rows.items():
        model, _, data = row.partition("/")
        scores = cast("dict[str, float]", printed)
        after = cast("dict[str, float]", tables["7"].rows[row])
        for measure in ("qags", "bertscore", "rouge_l"):
            before, in_domain = scores[f"before.{measure}"], scores[f"in_domain.{measure}"]
            synthetic = after[f"{generator}.{measure}"]
            cells.append(Cell(model, data, measure, before, in_domain, synthetic))
    return cells


@dataclass(frozen=True, slots=True)
class PublishedSums:
    """Means over the paper's cells for the data from one generator, in percent."""

    cells: int
    improvement: float
    coverage: float
    coverage_without_qags: float


def published_sums() -> dict[str, PublishedSums]:
    """Return the means over the paper's cells for each generator."""
    found: dict[str, PublishedSums] = {}
    for generator in GENERATORS:
        cells = published_cells(generator)
        without_qags = [cell for cell in cells if cell.measure != "qags"]
        found[generator] = PublishedSums(
            len(cells), mean_improvement(cells), mean_coverage(cells), mean_coverage(without_qags)
        )
    return found
