"""Bar charts of participants' features (LLM Roleplay, figures 3 to 7)."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.errors import SourceError
from convogen.reports.chartfile import check_kind, drawing, save_chart
from convogen.study.store import STORE_FILE, Store
from convogen.study.study_file import CollectDesign
from convogen.study.study_yaml import load_design

__all__ = ["UNSAID", "draw_people", "feature_counts"]

UNSAID = "Prefer not to say"
"""An option for every feature, which leaves the feature out of the participant's persona."""

_MADE_BY = "convogen study export"
_COLOUR = "#0072b2"
_WIDEST_LABEL = 40


def feature_counts(design: CollectDesign, store: Store) -> dict[str, dict[str, int]]:
    """Count the participants who chose each option of each feature, in the design's order."""
    said = [
        answers["persona"].body
        for one in store.participants()
        if "persona" in (answers := store.answers(one.id))
    ]
    counts: dict[str, dict[str, int]] = {}
    for name, options in design.features.items():
        chosen = Counter(persona.get(name, UNSAID) for persona in said)
        counts[name] = {option: chosen[option] for option in (*options, UNSAID)}
    return counts


def draw_people(folder: Path, path: Path) -> None:
    """Draw a bar chart for each feature of a study's participants.

    Args:
        folder: The folder of a `collect` study.
        path: The chart's file: .png, .svg or .pdf.

    Raises:
        SourceError: The study has no persona form, or nobody has filled it in.
        RunFolderError: The file cannot be written.
    """
    check_kind(path)
    design = load_design(folder)
    if not isinstance(design, CollectDesign) or not design.features:
        raise SourceError(f"{folder}: the study has no persona form, so there is nothing to draw")
    store = Store(folder / STORE_FILE)
    try:
        counts = feature_counts(design, store)
    finally:
        store.close()
    if not any(sum(of.values()) for of in counts.values()):
        raise SourceError(f"{folder}: no participant has filled in the persona form yet")
    with drawing({"font.size": 9}):
        figure: Any = import_module("matplotlib.figure").Figure((12, 5.5), layout="constrained")
        panels = figure.subplots(2, 3).flat
        most = max(len(of) for of in counts.values())
        for axes, (name, of) in zip(panels, counts.items(), strict=False):
            _bars(axes, name.replace("_", " "), of)
            axes.set_ylim(most - 0.5, -0.5)
        for axes in [*figure.axes][len(counts) :]:
            axes.set_axis_off()
        save_chart(figure, path, _MADE_BY)


def _bars(axes: Any, title: str, counts: Mapping[str, int]) -> None:
    """Draw one bar per option; `UNSAID` gets a bar only if somebody chose it."""
    shown = {name: count for name, count in counts.items() if count or name != UNSAID}
    places = range(len(shown))
    axes.barh(places, list(shown.values()), 0.7, color=_COLOUR)
    labels = [textwrap.shorten(name, _WIDEST_LABEL, placeholder="…") for name in shown]
    axes.set_yticks(places, labels)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_title(title, loc="left")
    axes.set_xlabel("participants")
