"""Pass rates as a bar chart: one bar per model and length, and a line for the real dialogues.

The chart follows DialogueForge's figures 2 to 5. Whiskers are 95% intervals, and diamonds are
published rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.errors import SourceError
from convogen.papers.dialogueforge.as_published import REAL
from convogen.papers.dialogueforge.pass_rates import Compared, Rate
from convogen.reports.chartfile import check_kind, drawing, save_chart

__all__ = ["draw"]

_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
_INK, _SOFT, _LINE = "#222222", "#dddddd", "#c1121f"
_TITLES = {"unieval": "UniEval pass rate, %", "gteval": "GTEval indistinguishability rate, %"}
_MADE_BY = "convogen verdicts"
"""The mark in the metadata of convogen's charts; only marked files are replaced."""

_LONGEST = 28
_LEVEL = 3
"""Maximum number of names that are set side by side without rotation."""


def draw(compared: Compared, path: Path) -> None:
    """Draw the result of `compare`, one panel per data set; the file extension sets the format.

    Raises `SourceError` if the extension is not supported or there is no model to draw, and
    `RunFolderError` if the file cannot be written.
    """
    check_kind(path)
    models = [row for row in compared.cells if row.model != REAL]
    if not models:
        raise SourceError(f"{path}: there are only real dialogues to draw; add a model's verdicts")
    panels = list(dict.fromkeys(row.data for row in models))
    with drawing({"font.size": 10}):
        widest = max(len({row.model for row in models if row.data == data}) for data in panels)
        figure = import_module("matplotlib.figure").Figure(
            (max(5.0, 1.6 + 0.75 * widest), 3.6 * len(panels)), layout="constrained"
        )
        lengths = sorted({row.utterances for row in models}, key=lambda n: (n is None, n or 0))
        named: dict[str, object] = {}
        for at, data in enumerate(panels, 1):
            axes = figure.add_subplot(len(panels), 1, at)
            _panel(axes, [row for row in models if row.data == data], lengths)
            _real(axes, compared.cells, data)
            axes.set_ylabel(_TITLES[compared.protocol])
            axes.set_title("" if data is None else str(data)[:60], loc="left", fontsize=10.5)
            named.update(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        figure.legend(named.values(), named.keys(), loc="outside upper left", ncols=2, fontsize=9)
        save_chart(figure, path, _MADE_BY)


def _panel(axes: Any, rows: Sequence[Rate], lengths: Sequence[int | None]) -> None:
    """Draw the bars for one data set: for each model, one bar per length."""
    names = list(dict.fromkeys(row.model for row in rows))
    wide = 0.8 / len(lengths)
    label: str | None = _published_label(rows)
    for at, length in enumerate(lengths):
        group = [row for row in rows if row.utterances == length]
        if not group:
            continue
        shift = (at - (len(lengths) - 1) / 2) * wide
        places = [names.index(row.model) + shift for row in group]
        rates = [row.rate for row in group]
        ends = [_whisker(row) for row in group]
        axes.bar(
            places,
            rates,
            0.92 * wide,
            yerr=[[low for low, _ in ends], [high for _, high in ends]],
            color=_COLOURS[at % len(_COLOURS)],
            ecolor=_INK,
            capsize=2.5,
            error_kw={"linewidth": 1},
            label="length not given" if length is None else f"{length} utterances",
        )
        known = [
            (place, row.published)
            for place, row in zip(places, group, strict=True)
            if row.published is not None
        ]
        if known:
            style = {"s": 22, "marker": "D", "facecolor": "white", "edgecolor": _INK, "zorder": 3}
            axes.scatter(*zip(*known, strict=True), label=label, **style)
            label = None
    turned = {"rotation": 30, "ha": "right"} if len(names) > _LEVEL else {}
    axes.set_xticks(range(len(names)), [_short(name) for name in names], **turned)
    axes.set_xlim(-0.6, max(len(names), 2) - 0.4)
    axes.tick_params(axis="x", length=0)
    axes.set_ylim(0, 100)
    axes.grid(axis="y", color=_SOFT)


def _published_label(rows: Sequence[Rate]) -> str:
    """Return the diamonds' label, which states whether the paper's judging differs or may
    differ."""
    told = [row.differs for row in rows if row.published is not None]
    if any(told):
        return "published, different judging"
    return "published, judging may differ" if None in told else "published"


def _whisker(row: Rate) -> tuple[float, float]:
    low = row.rate if row.low is None else row.low
    high = row.rate if row.high is None else row.high
    return max(0.0, row.rate - low), max(0.0, high - row.rate)


def _real(axes: Any, cells: Sequence[Rate], data: str | None) -> None:
    """Draw a line at the rate for a data set's real dialogues and a band for the interval."""
    rows = [row for row in cells if row.model == REAL and row.data in (data, None)]
    for row in rows[:1]:
        axes.axhline(row.rate, color=_LINE, linestyle="--", linewidth=1.4, label="real dialogues")
        if row.low is not None:
            axes.axhspan(row.low, row.high, color=_LINE, alpha=0.12, linewidth=0)


def _short(name: str) -> str:
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
    return f" {name}" if name.startswith("_") else name
