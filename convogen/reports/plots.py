"""The plots of a report: SVG to stand in an HTML page, in the page's own colours.

Data colours are Okabe and Ito's, told apart by line style too; text and axes take the page's, so
that a plot suits a light page, a dark one and paper.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from convogen.reports.groundedness import JudgeSummary
from convogen.reports.report import Report

__all__ = ["plots"]

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_DASHES = ("-", "--", "-.", ":")
_INK, _GRID, _SOFT = "#010203", "#040506", "#070809"
"""Stand-ins, replaced by the page's colours."""

_SIZE = (5.2, 3.3)
_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "convogen",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.grid": True,
    "grid.color": _GRID,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
}


def plots(report: Report) -> dict[str, str]:
    """Return SVG by name: mtld, words, course, and coverage and judge if the report has them."""
    matplotlib: Any = import_module("matplotlib")
    drawn: dict[str, str] = {}
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name's characters that the measuring font lacks
        for name, draw in (("mtld", _mtld), ("words", _words), ("judge", _judge)):
            if (svg := draw(report)) is not None:
                drawn[name] = svg
        for key, label in _COURSE.items():
            drawn[f"course_{key}"] = _course(report, key, label)
        for key, label in _COVERAGE.items() if report.coverage else ():
            drawn[f"coverage_{key}"] = _coverage(report, key, label)
    return drawn


def _figure(height: float = _SIZE[1]) -> tuple[Any, Any]:
    figure: Any = import_module("matplotlib.figure").Figure(
        (_SIZE[0], height), layout="constrained"
    )
    figure.patch.set_alpha(0)
    axes = figure.add_subplot()
    axes.patch.set_alpha(0)
    return figure, axes


def _line(report: Report, name: str) -> dict[str, str | float]:
    """Return a source's colour and dashes; corpora to compare with are thinner."""
    at = [*report.sources].index(name)
    ours = name in report.runs
    return {
        "color": _COLOURS[at % len(_COLOURS)],
        "linestyle": _DASHES[at % len(_DASHES)],
        "linewidth": 2.2 if ours else 1.6,
        "label": _label(name),
    }


def _label(name: str) -> str:
    return f" {name[:28]}" if name.startswith("_") else name[:28]


def _legend(axes: Any, count: int) -> None:
    columns = 2 if count > 1 else 1
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2)


def _svg(figure: Any) -> str:
    """The figure as an element of a page: no ids, no namespaces, no metadata."""
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
    for stand_in, colour in ((_INK, "ink"), (_GRID, "rule"), (_SOFT, "soft")):
        text = text.replace(stand_in, f"var(--{colour})")
    return text


def _mtld(report: Report) -> str | None:
    histogram = report.mtld_histogram
    if not histogram.shares:
        return None
    figure, axes = _figure()
    for name, shares in histogram.shares.items():
        axes.stairs([100 * share for share in shares], histogram.edges, **_line(report, name))
    axes.set_xlabel("MTLD of a conversation")
    axes.set_ylabel("% of conversations")
    _legend(axes, len(histogram.shares))
    return _svg(figure)


def _words(report: Report) -> str | None:
    figure, axes = _figure()
    units = {found.text.length_unit for found in report.sources.values()}
    unit = "words" if "words" in units else "characters"
    sources = {
        name: found for name, found in report.sources.items() if found.text.length_unit == unit
    }
    longest = 1
    for name, found in sources.items():
        counts = found.text.turn_length_counts
        total = sum(counts.values())
        upto, seen = 0, 0
        for words in sorted(counts):
            seen += counts[words]
            upto = words
            if seen >= 0.99 * total:
                break
        longest = max(longest, upto)
        steps = range(max(counts, default=0) + 1)
        shares = _cumulative([counts.get(words, 0) / max(total, 1) for words in steps])
        axes.plot(list(steps), shares, **_line(report, name))
    axes.set_xlim(0, longest)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"{unit.capitalize()} in a turn, so many or fewer")
    axes.set_ylabel("% of turns")
    _legend(axes, len(sources))
    return _svg(figure)


def _cumulative(shares: Sequence[float]) -> list[float]:
    total = 0.0
    found: list[float] = []
    for share in shares:
        total += 100 * share
        found.append(total)
    return found


def _judge(report: Report) -> str | None:
    judged = {name: run.groundedness for name, run in report.runs.items() if run.groundedness}
    if not judged:
        return None
    aspects = list(dict.fromkeys(a for found in judged.values() for a in found.aspects))
    figure, axes = _figure(1.2 + 0.34 * len(aspects) + 0.1 * len(judged))
    for at, (name, found) in enumerate(judged.items()):
        shift = (at - (len(judged) - 1) / 2) * 0.6 / max(len(judged), 2)
        line = _line(report, name)
        line["linestyle"] = "none"
        for aspect, row in found.aspects.items():
            if row.value is None:
                continue
            low, high = (row.value if end is None else end for end in (row.low, row.high))
            error = [[max(0.0, row.value - low)], [max(0.0, high - row.value)]]
            place = aspects.index(aspect) + shift
            axes.errorbar(row.value, place, xerr=error, marker="osD^v"[at % 5], capsize=2, **line)
            line["label"] = "_"
    for aspect, (low, high) in _published_range(report, judged).items():
        place = aspects.index(aspect)
        wide = max(high, low + 0.03)
        axes.fill_betweenx([place - 0.42, place + 0.42], low, wide, color=_SOFT, alpha=0.4, lw=0)
    axes.set_yticks(range(len(aspects)), [aspect.replace("_", " ") for aspect in aspects])
    axes.invert_yaxis()
    scales = [found.scale for found in judged.values() if found.scale]
    axes.set_xlim(min(low for low, _ in scales) - 0.1, max(high for _, high in scales) + 0.1)
    axes.set_xlabel("Score, mean and 95% interval; bands: published, judged otherwise")
    _legend(axes, len(judged))
    return _svg(figure)


def _published_range(
    report: Report, judged: Mapping[str, JudgeSummary]
) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest published score of an aspect, of the first run's table."""
    first = next(iter(judged.values()))
    if first.table is None:
        return {}
    rows = report.published.numbers(first.table).values()
    ranges: dict[str, tuple[float, float]] = {}
    for at, aspect in enumerate(first.aspects, 1):
        values = [row[f"Q{at}"] for row in rows]
        ranges[aspect] = (min(values), max(values))
    return ranges


_COURSE = {
    "nearest": "Similarity, 0 to 1",
    "near_copies": "% near-copies",
    "mtld": "MTLD, rolling mean",
}


def _course(report: Report, key: str, label: str) -> str:
    figure, axes = _figure(2.8)
    for name, run in report.runs.items():
        found = run.course
        places = found.conversation_at if key == "mtld" else found.experience_at
        values: list[float] = getattr(found, key)
        if key == "near_copies":
            values = [100 * value for value in values]
        marker = "o" if len(values) < 30 else ""
        axes.plot(places, values, marker=marker, markersize=3.5, **_line(report, name))
    if key == "near_copies":
        axes.set_ylim(-2, 102)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("Conversation of the plan" if key == "mtld" else "Experience of the plan")
    axes.set_ylabel(label)
    _legend(axes, len(report.runs))
    return _svg(figure)


_COVERAGE = {"largest": "% in the largest cluster", "entropy": "Normalised entropy"}


def _coverage(report: Report, key: str, label: str) -> str:
    figure, axes = _figure(2.8)
    for name, found in report.coverage.items():
        values: list[float] = getattr(found, key)
        if key == "largest":
            values = [100 * value for value in values]
        axes.plot(found.experience_at, values, **_line(report, name))
    axes.set_ylim(0, 102 if key == "largest" else 1.02)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("Experience of the plan")
    axes.set_ylabel(label)
    _legend(axes, len(report.coverage))
    return _svg(figure)
