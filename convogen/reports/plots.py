"""The plots of a report as SVG for an HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from convogen.reports.groundedness import JudgeSummary
from convogen.reports.interaction_plots import friction_histograms, friction_shares
from convogen.reports.report import Report
from convogen.reports.svg import SOFT, add_legend, new_figure, source_line, styled, to_svg

__all__ = ["plots"]


def plots(report: Report) -> dict[str, str]:
    """Return the SVG of each plot, keyed by names such as `mtld`, `words` or `course_nearest`."""
    drawn: dict[str, str] = {}
    with styled():
        for name, draw in _DRAWN.items():
            if (svg := draw(report)) is not None:
                drawn[name] = svg
        for key, label in _COURSE.items():
            drawn[f"course_{key}"] = _course(report, key, label)
        for key, label in _COVERAGE.items() if report.coverage else ():
            drawn[f"coverage_{key}"] = _coverage(report, key, label)
    return drawn


def _mtld(report: Report) -> str | None:
    histogram = report.mtld_histogram
    if not histogram.shares:
        return None
    figure, axes = new_figure()
    for name, shares in histogram.shares.items():
        axes.stairs([100 * share for share in shares], histogram.edges, **source_line(report, name))
    axes.set_xlabel("MTLD of a conversation")
    axes.set_ylabel("% of conversations")
    add_legend(axes, len(histogram.shares))
    return to_svg(figure)


def _words(report: Report) -> str | None:
    figure, axes = new_figure()
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
        axes.plot(list(steps), shares, **source_line(report, name))
    axes.set_xlim(0, longest)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"{unit.capitalize()} in a turn (at most)")
    axes.set_ylabel("% of turns")
    add_legend(axes, len(sources))
    return to_svg(figure)


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
    figure, axes = new_figure(1.2 + 0.34 * len(aspects) + 0.1 * len(judged))
    for at, (name, found) in enumerate(judged.items()):
        shift = (at - (len(judged) - 1) / 2) * 0.6 / max(len(judged), 2)
        line = source_line(report, name)
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
        axes.fill_betweenx([place - 0.42, place + 0.42], low, wide, color=SOFT, alpha=0.4, lw=0)
    axes.set_yticks(range(len(aspects)), [aspect.replace("_", " ") for aspect in aspects])
    axes.invert_yaxis()
    scales = [found.scale for found in judged.values() if found.scale]
    axes.set_xlim(min(low for low, _ in scales) - 0.1, max(high for _, high in scales) + 0.1)
    axes.set_xlabel("Score, mean and 95% interval; bands: published, judged differently")
    add_legend(axes, len(judged))
    return to_svg(figure)


def _published_range(
    report: Report, judged: Mapping[str, JudgeSummary]
) -> dict[str, tuple[float, float]]:
    """Return the lowest and highest published score for each aspect, from the first run's table."""
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
    figure, axes = new_figure(2.8)
    for name, run in report.runs.items():
        found = run.course
        places = found.conversation_at if key == "mtld" else found.experience_at
        values: list[float] = getattr(found, key)
        if key == "near_copies":
            values = [100 * value for value in values]
        marker = "o" if len(values) < 30 else ""
        axes.plot(places, values, marker=marker, markersize=3.5, **source_line(report, name))
    if key == "near_copies":
        axes.set_ylim(-2, 102)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("Conversation in plan order" if key == "mtld" else "Experience in plan order")
    axes.set_ylabel(label)
    add_legend(axes, len(report.runs))
    return to_svg(figure)


_COVERAGE = {"largest": "% in the largest cluster", "entropy": "Normalised entropy"}


def _coverage(report: Report, key: str, label: str) -> str:
    figure, axes = new_figure(2.8)
    for name, found in report.coverage.items():
        values: list[float] = getattr(found, key)
        if key == "largest":
            values = [100 * value for value in values]
        axes.plot(found.experience_at, values, **source_line(report, name))
    axes.set_ylim(0, 102 if key == "largest" else 1.02)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("Experience in plan order")
    axes.set_ylabel(label)
    add_legend(axes, len(report.coverage))
    return to_svg(figure)


_DRAWN = {
    "mtld": _mtld,
    "words": _words,
    "judge": _judge,
    "friction": friction_shares,
    "friction_histograms": friction_histograms,
}
