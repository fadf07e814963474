"""The report's plots of a run, drawn on request and kept in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock, Thread

from convogen.errors import ConvogenError
from convogen.web.viewer.opened import Opened

__all__ = ["CAPTIONS", "POLICY", "Drawing", "Drawings"]

CAPTIONS = {
    "mtld": "Lexical diversity: MTLD of the conversations.",
    "words": "Length of turns: the share of turns with at most this number of words.",
    "judge": "Scores by aspect: mean and 95% interval.",
    "course_nearest": "How similar an experience is to the most similar earlier one.",
    "course_near_copies": "Share of experiences that are near-copies of an earlier one.",
    "course_mtld": "MTLD over the course of the run, rolling mean.",
    "coverage_largest": "Topics: the share of the largest cluster.",
    "coverage_entropy": "Topics: how evenly they are spread over the clusters.",
}
"""Names of plots in display order, with captions."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Content security policy of an image, which contains its own colours and loads nothing."""

_COLOURS = (
    "<style>svg{--ink:#1d1f24;--rule:#dcd9d1;--soft:#9aa1ad}@media (prefers-color-scheme:dark)"
    "{svg{--ink:#e8e6e1;--rule:#343841;--soft:#5b606b}}</style>"
)


@dataclass(slots=True)
class Drawing:
    """The plots of some runs, as SVG by name.

    `done` is whether drawing has ended. `fault` says why it failed, and is empty otherwise.
    """

    done: bool = False
    fault: str = ""
    plots: dict[str, str] = field(default_factory=dict[str, str])


class Drawings:
    """Draws sets of plots in threads, one set at a time."""

    def __init__(self) -> None:
        self._drawings: dict[tuple[str, ...], Drawing] = {}
        self._one = Lock()

    def of(self, runs: Sequence[Opened]) -> Drawing | None:
        """Return the drawing of some runs, or None if it was not requested."""
        return self._drawings.get(_key(runs))

    def begin(self, runs: Sequence[Opened]) -> None:
        """Start drawing, unless the same drawing is in progress; redraw a completed drawing."""
        known = self.of(runs)
        if known is None or known.done:
            self._drawings[_key(runs)] = Drawing()
            Thread(target=self.draw, args=(runs,), daemon=True).start()

    def draw(self, runs: Sequence[Opened]) -> None:
        """Draw the plots of some runs."""
        drawing = self._drawings[_key(runs)] = Drawing()
        with self._one:
            try:
                drawing.plots = _plots(runs)
            except ConvogenError as error:
                drawing.fault = str(error)
            except Exception:
                drawing.fault = "The plots cannot be drawn. Run `convogen report` to see why."
                raise
            finally:
                drawing.done = True


def _key(runs: Sequence[Opened]) -> tuple[str, ...]:
    return tuple(opened.key for opened in runs)


def _plots(runs: Sequence[Opened]) -> dict[str, str]:
    from convogen.reports.numbers import gather
    from convogen.reports.plots import plots

    found = plots(gather({opened.key: opened.run for opened in runs}, {}))
    return {name: _standing_alone(svg) for name, svg in found.items() if name in CAPTIONS}


def _standing_alone(svg: str) -> str:
    """Return an SVG element of a page as a standalone image with its own colours."""
    opened, rest = svg.split(">", 1)
    return f'{opened} xmlns="http://www.w3.org/2000/svg">{_COLOURS}{rest}'
