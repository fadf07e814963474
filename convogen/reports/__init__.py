"""What is known of runs, put together: numbers, intervals, plots, one page to read."""

from __future__ import annotations

from convogen.reports.groundedness import groundedness
from convogen.reports.measured import Measured, measure_source, write_statistics

__all__ = ["Measured", "groundedness", "measure_source", "write_statistics"]
