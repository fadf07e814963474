"""Reports on runs: numbers, intervals, plots, and a page to read."""

from __future__ import annotations

from convogen.reports.groundedness import judge_summary, scores_by_judge
from convogen.reports.measured import Measured, measure_source, write_statistics
from convogen.reports.numbers import gather
from convogen.reports.tables import report_frame

__all__ = [
    "Measured",
    "gather",
    "judge_summary",
    "measure_source",
    "report_frame",
    "scores_by_judge",
    "write_statistics",
]
