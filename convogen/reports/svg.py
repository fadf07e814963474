"""The style of a report's SVG figures, in the colours of the page.

The data colours are those of Okabe and Ito; series also differ in line style. Text and axes have
the page's colours, so that a plot is readable on a light page, on a dark page and on paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from convogen.reports.chartfile import drawing
from convogen.reports.report import Report

__all__ = [
    "SOFT",
    "add_legend",
    "line_style",
    "new_figure",
    "source_line",
    "styled",
    "to_svg",
]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", "-.", ":")
_INK, _GRID, SOFT = "#010203", "#040506", "#070809"
"""Placeholder colours, which are replaced by the page's colours."""

_SIZE = (5.2, 3.3)
_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "font.size": 10.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "grid.color": _GRID,
    "legend.fontsize": 9.5,
}


@contextmanager
def styled() -> Generator[None]:
    """Draw in the style of the page within this context."""
    with drawing(_STYLE):
        yield


def new_figure(height: float = _SIZE[1]) -> tuple[Any, Any]:
    """Return a figure of the page's width, and the axes in the figure; `height` is in inches."""
    figure: Any = import_module("matplotlib.figure").Figure(
        (_SIZE[0], height), layout="constrained"
    )
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def source_line(report: Report, name: str) -> dict[str, str | float]:
    """Return the line style for a source; reference corpora have thinner lines."""
    return line_style([*report.sources].index(name), name, human=name not in report.runs)


def line_style(at: int, name: str, *, human: bool) -> dict[str, str | float]:
    """Return the line style and the legend entry for the series at an index."""
    return {
        "color": _COLOURS[at % len(_COLOURS)],
        "linestyle": _DASHES[at % len(_DASHES)],
        "linewidth": 1.6 if human else 2.2,
        "label": _label(name),
    }


def _label(name: str) -> str:
    return f" {name[:28]}" if name.startswith("_") else name[:28]


def add_legend(axes: Any, count: int) -> None:
    """Put a legend with `count` entries above the axes."""
    columns = 2 if count > 1 else 1
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def to_svg(figure: Any) -> str:
    """Return the figure as an SVG element without ids, namespaces or metadata."""
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = text.replace("xlink:href", "href")
    for stand_in, colour in ((_INK, "ink"), (_GRID, "rule"), (SOFT, "soft")):
        text = text.replace(stand_in, f"var(--{colour})")
    return text
