"""The report's plots for runs, drawn on request and kept in memory."""

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
    "judge": "Scores for each aspect: mean and 95% interval.",
    "course_nearest": "Similarity of each experience to the most similar earlier experience.",
    "course_near_copies": "Share of experiences that are near-copies of an earlier experience.",
    "course_mtld": "Rolling mean of MTLD over the course of the run.",
    "coverage_largest": "Topics: the share of experiences in the largest cluster.",
    "coverage_entropy": "Topics: how evenly experiences are spread over the clusters.",
}
"""Names of plots in display order, with captions."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""Content security policy for an image, which contains its own colours and loads nothing."""

_COLOURS = (
    "<style>svg{--ink:#1d1f24;--rule:#dcd9d1;--soft:#9aa1ad}@media (prefers-color-scheme:dark)"
    "{svg{--ink:#e8e6e1;--rule:#343841;--soft:#5b606b}}</style>"
)


@dataclass(slots=True)
class Drawing:
    """The plots for a set of runs.

    Attributes:
        done: Whether drawing has ended, successfully or not.
        fault: Why drawing failed; empty if it has not failed.
        plots: Name of the plot -> SVG.
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
        """Return the drawing for these runs, or None if their plots were not requested."""
        return self._drawings.get(_key(runs))

    def begin(self, runs: Sequence[Opened]) -> None:
        """Start drawing the plots for these runs, unless they are already being drawn.

        Plots that were drawn before are replaced.
        """
        known = self.of(runs)
        if known is None or known.done:
            self._drawings[_key(runs)] = Drawing()
            Thread(target=self.draw, args=(runs,), daemon=True).start()

    def draw(self, runs: Sequence[Opened]) -> None:
        """Draw the plots for these runs."""
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
    """Return an SVG element from a page as a standalone image with its own colours."""
    opened, rest = svg.split(">", 1)
    return f'{opened} xmlns="http://www.w3.org/2000/svg">{_COLOURS}{rest}'
