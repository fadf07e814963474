"""LLM Roleplay's figures 2 and 13: detected and undetected pairs for each confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.papers.roleplay.human_study import CONFIDENCES, Condition, printed_confidences
from convogen.reports.chartfile import check_kind, drawing, save_chart
from convogen.study.answers import Confidence, PairAnswer

__all__ = ["Bars", "draw", "figure_2", "figure_13"]

_COLOURS: dict[Confidence, str] = {
    "somewhat": "#56b4e9",
    "confident": "#0072b2",
    "very": "#08306b",
}
_INK = "#555555"
_MADE_BY = "convogen study results"
_LONGEST = 24
_LEVEL = 4
"""Maximum number of names that are set side by side without rotation."""


Bars = Mapping[str, Mapping[Confidence, float]]
"""Maps each bar and confidence to the height of the stacked part, in percent of all pairs."""


def figure_2(conditions: Sequence[Condition], subset: str) -> Bars:
    """Return one bar per condition for one subset, `detected` or `undetected`."""
    return {
        one.name: {
            level: 100 * count / one.subsets["total"].n
            for level, count in one.subsets[subset].confidences.items()
        }
        for one in conditions
    }


def figure_13(answers: Sequence[PairAnswer]) -> Bars:
    """Return one bar per choice, for all conditions together and without attention checks."""
    counted = [one for one in answers if not one.attention_check]
    choices = {
        "Simulated": [one for one in counted if one.detected],
        "Natural": [one for one in counted if not one.detected and one.choice != "unsure"],
        "Not sure": [one for one in counted if one.choice == "unsure"],
    }
    return {
        name: {
            level: 100 * sum(one.confidence == level for one in of) / len(counted)
            for level in CONFIDENCES
        }
        for name, of in choices.items()
    }


def draw(conditions: Sequence[Condition], answers: Sequence[PairAnswer], path: Path) -> None:
    """Draw figure 2 for the given and the published answers, and figure 13 for the given answers.

    Raises `SourceError` if the file extension is not supported, and `RunFolderError` if the file
    cannot be written.
    """
    check_kind(path)
    with drawing({"font.size": 9}):
        wide = max(3.2, 0.8 * len(conditions))
        figure: Any = import_module("matplotlib.figure").Figure(
            (2 * wide + 3.6, 6.6), layout="constrained"
        )
        grid = figure.add_gridspec(2, 3, width_ratios=(wide, wide, 3))
        for row, (whose, panels) in enumerate(
            (
                ("these answers", [figure_2(conditions, at) for at in ("detected", "undetected")]),
                ("published", [printed_confidences(at) for at in ("detected", "undetected")]),
            )
        ):
            for column, (what, bars) in enumerate(
                zip(("detected", "undetected"), panels, strict=True)
            ):
                axes = figure.add_subplot(grid[row, column])
                _stacked(axes, bars, f"Figure 2, {whose}: {what}")
                if column == 0:
                    axes.set_ylabel("% of pairs")
        pooled = figure.add_subplot(grid[0, 2])
        _stacked(pooled, figure_13(answers), "Figure 13, these answers")
        pooled.set_xlabel("marked as artificial, all conditions")
        handles, labels = pooled.get_legend_handles_labels()
        side = figure.add_subplot(grid[1, 2])
        side.set_axis_off()
        side.legend(handles[::-1], labels[::-1], loc="upper left", title="Confidence")
        save_chart(figure, path, _MADE_BY)


def _stacked(axes: Any, bars: Bars, title: str) -> None:
    """Draw one bar per name, with the lowest confidence at the bottom and the total on top."""
    names = list(bars)
    bottom = [0.0] * len(names)
    for level in reversed(CONFIDENCES):
        heights = [bars[name][level] for name in names]
        label = CONFIDENCES[level]
        axes.bar(range(len(names)), heights, 0.7, bottom, color=_COLOURS[level], label=label)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    for at, total in enumerate(bottom):
        axes.annotate(
            f"{total:.1f}%",
            (at, total),
            (0, 2),
            textcoords="offset points",
            ha="center",
            color=_INK,
        )
    turned = {"rotation": 30, "ha": "right"} if len(names) > _LEVEL else {}
    axes.set_xticks(range(len(names)), [_short(name) for name in names], **turned)
    axes.set_xlim(-0.6, max(len(names), 2) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 100)
    axes.set_title(title, loc="left")


def _short(name: str) -> str:
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return f" {name}" if name.startswith("_") else name
