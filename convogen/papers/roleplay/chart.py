"""LLM Roleplay's figure 8: each inquirer's lengths and failures as a polygon.

Each measure is divided by its largest value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.papers.roleplay.study import LENGTHS, RATES, Condition
from convogen.published import published
from convogen.reports.chartfile import check_kind, drawing, save_chart

__all__ = ["MEASURES", "draw", "normalized", "ours", "theirs"]

MEASURES = {
    **LENGTHS,
    **{
        name: RATES[name][0]
        for name in (
            "no_prompt",
            "several_prompts",
            "incoherent_inquirer",
            "self_reply",
            "incoherent_responder",
        )
    },
}
"""Maps the measures in table 1 to their labels. Smaller values are better, except for turns."""

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", "-.", ":")
_NOTE = (
    "Each measure is divided by its largest value in the same chart. The paper does not say how it "
    "normalizes its measures."
)
_MADE_BY = "convogen study"

Values = Mapping[str, Mapping[str, float | None]]
"""Maps each condition or inquirer and each measure to a value; None if nothing was measured."""


def ours(conditions: Mapping[str, Condition]) -> Values:
    """Return each condition's measures: lengths in turns or tokens, and failure rates (0 to 1)."""
    return {
        who: {
            name: (one.length(name) if name in LENGTHS else one.rate(name)).mean
            for name in MEASURES
        }
        for who, one in conditions.items()
    }


def theirs() -> Values:
    """Return the measures that table 1 prints for each inquirer; failure rates are in percent."""
    rows = published("roleplay")["1"].rows
    return {
        who: {
            name: float(cell) if isinstance(cell := row[name], int | float) else None
            for name in MEASURES
        }
        for who, row in rows.items()
    }


def normalized(values: Values) -> Values:
    """Return each measure divided by its largest value, 0 to 1; 0 if all values are 0."""
    largest = {
        name: max((row[name] or 0.0 for row in values.values()), default=0.0) for name in MEASURES
    }
    return {
        who: {
            name: None if (value := row[name]) is None else value / (largest[name] or 1.0)
            for name in MEASURES
        }
        for who, row in values.items()
    }


def draw(conditions: Mapping[str, Condition], path: Path) -> None:
    """Draw the runs' conditions and the published inquirers side by side, normalized separately.

    Raises `SourceError` if the file extension is not supported, and `RunFolderError` if the file
    cannot be written.
    """
    check_kind(path)
    with drawing({"font.size": 9}):
        figure = import_module("matplotlib.figure").Figure((11, 5.4), layout="constrained")
        for place, (title, values) in enumerate(
            (("These runs", ours(conditions)), ("Published (table 1)", theirs())), 1
        ):
            axes = figure.add_subplot(1, 2, place, projection="polar")
            _polygons(axes, normalized(values))
            axes.set_title(title, loc="left")
        figure.supxlabel(_NOTE, fontsize=8)
        save_chart(figure, path, _MADE_BY)


def _polygons(axes: Any, values: Values) -> None:
    angles = [2 * math.pi * at / len(MEASURES) for at in range(len(MEASURES))]
    for at, (who, row) in enumerate(values.items()):
        around = [row[name] or 0.0 for name in MEASURES]
        style = {"color": _COLOURS[at % len(_COLOURS)], "linestyle": _DASHES[at % len(_DASHES)]}
        axes.plot([*angles, angles[0]], [*around, around[0]], label=f" {who[:40]}", **style)
    axes.set_xticks(angles, list(MEASURES.values()))
    for label, angle in zip(axes.get_xticklabels(), angles, strict=True):
        side = round(math.cos(angle), 3)
        label.set_horizontalalignment("left" if side > 0 else "right" if side < 0 else "center")
    axes.set_ylim(0, 1)
    axes.legend(loc="upper left", bbox_to_anchor=(-0.2, -0.08), ncols=2)
