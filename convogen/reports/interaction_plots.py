"""The figures of friction: shares of turns, and how conversations spread, by behaviour."""

from __future__ import annotations

from importlib import import_module
from math import ceil
from typing import Any

from convogen.interaction.patterns import behaviour_term
from convogen.metrics import Friction
from convogen.metrics.friction import MOST_TURNS
from convogen.reports.report import Report
from convogen.reports.svg import add_legend, new_figure, source_line, to_svg

__all__ = ["friction_histograms", "friction_shares"]

_COLUMNS = 3


def friction_shares(report: Report) -> str | None:
    """Return the share of turns with each behaviour, with intervals; None if it is not known."""
    friction, names = _friction(report)
    if not names:
        return None
    figure, axes = new_figure(1.2 + 0.32 * len(names))
    for at, (source, one) in enumerate(friction.items()):
        shift = (at - (len(friction) - 1) / 2) * 0.6 / max(len(friction), 2)
        style = source_line(report, source) | {"linestyle": "none"}
        for row, name in enumerate(names):
            if (share := one.shares.get(name)) is None:
                continue
            error = [[100 * (share.value - share.low)], [100 * (share.high - share.value)]]
            marker = "osD^v"[at % 5]
            place = row + shift
            axes.errorbar(
                100 * share.value, place, xerr=error, marker=marker, capsize=2, ms=4, **style
            )
            style["label"] = "_"
    axes.set_yticks(range(len(names)), [behaviour_term(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("% of turns, with 95% intervals")
    add_legend(axes, len(friction))
    return to_svg(figure)


def friction_histograms(report: Report) -> str | None:
    """Return how many turns of a conversation have each behaviour, a panel each; None if it is not
    known."""
    friction, names = _friction(report)
    names = [
        name
        for name in names
        if any(one.histograms[name][0] < 1 for one in friction.values() if name in one.histograms)
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
        _bars(axes, report, friction, name)
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("Turns of a conversation with it", fontsize=10)
    figure.supylabel("% of conversations", fontsize=10)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=3)
    return to_svg(figure)


def _bars(axes: Any, report: Report, friction: dict[str, Friction], name: str) -> None:
    """Draw a behaviour's histogram, the bars of the sources side by side."""
    width = 0.8 / len(friction)
    for at, (source, one) in enumerate(friction.items()):
        if name not in one.histograms:
            continue
        style = source_line(report, source)
        places = [n + (at - (len(friction) - 1) / 2) * width for n in range(MOST_TURNS + 1)]
        shares = [100 * share for share in one.histograms[name]]
        axes.bar(places, shares, width, color=style["color"], label=style["label"])
    ticks = [f"{n}" for n in range(MOST_TURNS)]
    axes.set_xticks(range(MOST_TURNS + 1), [*ticks, f"{MOST_TURNS}+"])


def _friction(report: Report) -> tuple[dict[str, Friction], list[str]]:
    """Return the friction of each source that has any, and the behaviours of all of them."""
    sources = report.interaction().items()
    friction = {name: one.friction for name, one in sources if one.friction}
    return friction, list(dict.fromkeys(name for one in friction.values() for name in one.shares))
