"""What is known of runs, put together: numbers, intervals, plots, one page to read."""

from __future__ import annotations

from convogen.reports.groundedness import groundedness, judged_by_all
from convogen.reports.measured import Measured, measure_source, write_statistics
from convogen.reports.numbers import gather
from convogen.reports.tables import report_frame

__all__ = [
    "Measured",
    "gather",
    "groundedness",
    "judged_by_all",
    "measure_source",
    "report_frame",
    "write_statistics",
]
