"""A source measured in both renderings, and `scores/statistics.json` in a run folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convogen.corpora import open_corpus
from convogen.jsonl import is_json_of, make_folder, write_ours
from convogen.metrics import CorpusTally, Statistics, distance, measure, statistics_of, tally_corpus

if TYPE_CHECKING:
    from pandas import DataFrame  # pyright: ignore[reportMissingTypeStubs]

__all__ = ["Measured", "measure_source", "write_statistics"]


@dataclass(frozen=True, slots=True)
class Measured:
    """The statistics of a source: of its text as it is, and as tables III and V have it.

    `tally` is that of the paper's rendering: its `words` count the labels, one a turn.
    """

    source: str
    text: Statistics
    paper: Statistics
    tally: CorpusTally
    bad_rows: int

    def to_pandas(self) -> DataFrame:
        """Return two rows, the `text` and the `paper` rendering; see `Statistics.to_pandas`."""
        pd: Any = import_module("pandas")
        both = pd.concat([self.text.to_pandas(), self.paper.to_pandas()], ignore_index=True)
        both.insert(0, "source", self.source)
        return both

    def as_dict(self, against: Mapping[str, Measured]) -> dict[str, Any]:
        """All of it as plain values, with the distances from other corpora."""
        apart = {name: distance(self.text, other.text) for name, other in against.items()}
        return {
            "source": self.source,
            "text": self.text.as_dict(),
            "paper": self.paper.as_dict(),
            "bad_rows": self.bad_rows,
            "distances": {name: asdict(found) if found else None for name, found in apart.items()},
        }


def measure_source(source: str, workers: int = 1) -> Measured:
    """Measure a run folder, a file or a data set; raises `SourceError` where it cannot be read."""
    corpus = open_corpus(source)
    text = measure(corpus, "text", workers)
    tally = tally_corpus(corpus, "paper", workers)
    paper = statistics_of(tally, "paper", compare=False)
    return Measured(source, text, paper, tally, corpus.bad_rows.count)


def write_statistics(run: Path, statistics: Mapping[str, Any]) -> None:
    """Write a run's statistics beside its scores; raises `RunFolderError` where that fails."""
    folder = run / "scores"
    make_folder(folder, parents=False)
    text = json.dumps(statistics, indent=1, ensure_ascii=False)
    write_ours(folder / "statistics.json", text + "\n", is_json_of({"source", "text", "paper"}))
