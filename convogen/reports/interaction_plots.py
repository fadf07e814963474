"""Friction figures: for each behaviour, shares of turns and distributions over conversations."""

from __future__ import annotations

from importlib import import_module
from math import ceil
from typing import Any

from convogen.interaction.patterns import behaviour_term
from convogen.metrics import Friction
from convogen.metrics.friction import MOST_TURNS
from convogen.reports.interaction import friction_columns
from convogen.reports.report import Report
from convogen.reports.svg import line_style, new_figure, to_svg

__all__ = ["friction_histograms", "friction_shares"]

_COLUMNS = 3
_MOST_LABEL = 28
"""Maximum length of a legend entry, in characters; the origin of the labels is never truncated."""

Series = list[tuple[Friction, dict[str, Any]]]
"""The drawn sources, with the style of each."""


def friction_shares(report: Report) -> str | None:
    """Plot the share of turns with each behaviour, with intervals.

    Return None if friction was not measured.
    """
    series, names = _series(report)
    if not names:
        return None
    height = 0.16 * max(2, len(series))
    figure, axes = new_figure(1.2 + height * len(names))
    for at, (friction, style) in enumerate(series):
        shift = (at - (len(series) - 1) / 2) * 0.7 / max(len(series), 2)
        style["linestyle"] = "none"
        for row, name in enumerate(names):
            if (share := friction.shares.get(name)) is None:
                continue
            error = [[100 * (share.value - share.low)], [100 * (share.high - share.value)]]
            place, marker = row + shift, "osD^v"[at % 5]
            axes.errorbar(
                100 * share.value, place, xerr=error, marker=marker, capsize=2, ms=4, **style
            )
            style["label"] = "_"
    axes.set_yticks(range(len(names)), [behaviour_term(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("% of turns, with 95% intervals")
    figure.legend(loc="outside upper left", ncols=2)
    return to_svg(figure)


def friction_histograms(report: Report) -> str | None:
    """Plot the number of turns per conversation with each behaviour, one panel per behaviour;
    return None if friction was not measured, or if no turn has any of the behaviours."""
    series, names = _series(report)
    names = [
        name
        for name in names
        if any(one.histograms[name][0] < 1 for one, _ in series if name in one.histograms)
    ]
    if not names:
        return None
    rows = ceil(len(names) / _COLUMNS)
    figure: Any = import_module("matplotlib.figure").Figure(
        (7.8, 0.7 + 1.35 * rows), layout="constrained"
    )
    figure.patch.set_alpha(0)
    grid: Any = figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    for name, axes in zip(names, panels, strict=False):
        axes.patch.set_alpha(0)
        axes.grid(visible=False)
        axes.set_title(behaviour_term(name), fontsize=9.5, loc="left")
        _bars(axes, series, name)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("Turns per conversation with the behaviour", fontsize=10)
    figure.supylabel("% of conversations", fontsize=10)
    handles = {text: bar for axes in panels for bar, text in zip(*_entries(axes), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside upper left", ncols=2)
    return to_svg(figure)


def _entries(axes: Any) -> tuple[list[Any], list[str]]:
    return axes.get_legend_handles_labels()


def _bars(axes: Any, series: Series, name: str) -> None:
    """Draw the histogram of a behaviour, with the bars of the series side by side."""
    width = 0.8 / len(series)
    for at, (friction, style) in enumerate(series):
        if name not in friction.histograms:
            continue
        places = [n + (at - (len(series) - 1) / 2) * width for n in range(MOST_TURNS + 1)]
        shares = [100 * share for share in friction.histograms[name]]
        axes.bar(places, shares, width, color=style["color"], label=style["label"])
    ticks = [f"{n}" for n in range(MOST_TURNS)]
    axes.set_xticks(range(MOST_TURNS + 1), [*ticks, f"{MOST_TURNS}+"])


def _series(report: Report) -> tuple[Series, list[str]]:
    """Return the sources to draw, with their styles, and the behaviours of all sources."""
    columns = friction_columns(report.interaction())
    order = [*report.sources]
    one_each = len({one.source for one in columns}) == len(columns)
    series: Series = []
    for at, one in enumerate(columns):
        place = order.index(one.source) if one_each else at
        told_by = one.label.removeprefix(one.source)
        label = f"{one.source[: max(8, _MOST_LABEL - len(told_by))]}{told_by}"
        series.append((one.friction, line_style(place, label, human=one.human)))
    return series, list(dict.fromkeys(name for one in columns for name in one.friction.shares))
