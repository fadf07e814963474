"""Sources measured in both renderings, and `scores/statistics.json` in a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convogen.corpora import open_corpus
from convogen.jsonl import is_json_of, make_folder, refuse_foreign, write_ours
from convogen.metrics import (
    CorpusTally,
    Distance,
    Processes,
    Statistics,
    distance,
    measure,
    statistics_of,
    tally_corpus,
)
from convogen.storage.remote.shown import shown

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = [
    "Measured",
    "SourceStatistics",
    "check_statistics_file",
    "measure_source",
    "write_statistics",
]

_OURS = is_json_of({"source", "text", "paper"})


@dataclass(frozen=True, slots=True)
class Measured:
    """A source's statistics, for the unmodified text and for the rendering in tables III and V.

    `tally` contains the counts for the paper's rendering, in which `words` include one label per
    turn.
    """

    source: str
    text: Statistics
    paper: Statistics
    tally: CorpusTally
    bad_rows: int

    def to_pandas(self) -> DataFrame:
        """Return a frame with two rows, for the renderings `text` and `paper`; see
        `Statistics.to_pandas`."""
        pd: Any = import_module("pandas")
        both = pd.concat([self.text.to_pandas(), self.paper.to_pandas()], ignore_index=True)
        both.insert(0, "source", self.source)
        return both

    def distances(self, against: Mapping[str, Measured]) -> dict[str, Distance | None]:
        """Return the text's distances from each corpus; None if the text or corpus has no turns."""
        return {name: distance(self.text, other.text) for name, other in against.items()}

    def beside(self, against: Mapping[str, Measured]) -> SourceStatistics:
        """Return the statistics together with the distances from other corpora."""
        return SourceStatistics(
            self.source, self.text, self.paper, self.bad_rows, self.distances(against)
        )


@dataclass(frozen=True, slots=True)
class SourceStatistics:
    """The statistics of a source, in the form of `scores/statistics.json`.

    Attributes:
        source: Path or name of the source.
        text: Statistics of the unmodified text.
        paper: Statistics for the rendering in tables III and V.
        bad_rows: Number of rows that could not be read.
        distances: Distances of the text from each corpus; None if the text or the corpus has no
            turns.
    """

    source: str
    text: Statistics
    paper: Statistics
    bad_rows: int
    distances: dict[str, Distance | None]


def measure_source(source: str, workers: Processes = 1, interaction: bool = False) -> Measured:
    """Measure a run folder, a file or a data set; `interaction` adds the interaction measures.

    Raises `SourceError` if the source cannot be read.
    """
    corpus = open_corpus(source)
    text = measure(corpus, "text", workers, interaction=interaction)
    tally = tally_corpus(corpus, "paper", workers)
    paper = statistics_of(tally, "paper", compare=False)
    return Measured(shown(source), text, paper, tally, corpus.bad_rows.count)


def check_statistics_file(run: Path) -> None:
    """Raise `RunFolderError` if a run has a `scores/statistics.json` that is not convogen's."""
    refuse_foreign(_statistics_file(run), _OURS)


def write_statistics(run: Path, statistics: SourceStatistics) -> None:
    """Write a run's statistics next to its scores.

    Raises `RunFolderError` if writing fails, or if the file exists and was not written by convogen.
    """
    path = _statistics_file(run)
    make_folder(path.parent, parents=False)
    text = json.dumps(asdict(statistics), indent=1, ensure_ascii=False)
    write_ours(path, text + "\n", _OURS)


def _statistics_file(run: Path) -> Path:
    return run / "scores" / "statistics.json"
