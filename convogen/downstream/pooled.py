"""Downstream results pooled over several runs, checkpoints and held-out sets.

The DiaSynth paper summarises its tables 6 and 7 in this way (section 5.2). A cell is the score for
one combination of run, checkpoint, held-out set and measure. Improvement and coverage are means
over the cells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from convogen.errors import SourceError
from convogen.papers.diasynth.downstream_gains import coverage, percentage_improvement

__all__ = ["Pooled", "Result", "pool", "read_results"]

QAGS, BERTSCORE = "QAGS", "BERTScore"
BERTSCORE_AS_PUBLISHED = "bert-base-uncased@9"
"""The encoder that DiaSynth's authors use for BERTScore, and the default layer in their library."""

Scores = dict[str, float | None]
"""Maps each measure to its score, or to None if there is no score."""


@dataclass(frozen=True, slots=True)
class Result:
    """The results of one `downstream summarization` command: a mean for each arm and measure.

    `differs` names the measures that are not computed as in the paper.
    """

    folder: str
    run: str
    checkpoint: str
    held_out: str
    arms: dict[str, Scores]
    differs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """Means over the cells, in percent, or None if there are no cells.

    `cells` is the number of cells that can be compared with the untuned model, and `covered` is the
    number of cells that can be compared with the model trained on in-domain data.
    """

    cells: int
    covered: int
    improvement: float | None
    improvement_without_qags: float | None
    coverage: float | None
    coverage_without_qags: float | None


def read_results(sources: Sequence[Path]) -> list[Result]:
    """Read result files from `downstream summarization`; a run folder stands for its result files.

    A file that is named twice is read once. Raises `SourceError` if a file is not a result file, if
    a folder has no result files, or if two files have the same run, checkpoint and held-out set.
    """
    files = {path.resolve(): path for source in sources for path in _files(source)}
    found: dict[tuple[str, str, str], Path] = {}
    results: list[Result] = []
    for path in files.values():
        result = _result(path)
        cells = (result.folder, result.checkpoint, result.held_out)
        if other := found.get(cells):
            raise SourceError(
                f"{path}: has the same run, checkpoint and held-out set as {other}; leave out one "
                f"of the two files"
            )
        found[cells] = path
        results.append(result)
    return results


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted((source / "downstream").glob("summarization-*.json"))
    if not found:
        raise SourceError(
            f"{source}: contains no results; run `convogen downstream summarization` first, which "
            "writes RUN/downstream/summarization-….json"
        )
    return found


def _result(path: Path) -> Result:
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["task"] != "summarization":
            raise ValueError(f"its task is {data['task']!r:.40}")
        arms = {
            arm: {m: _value(one) for m, one in row.items()} for arm, row in data["arms"].items()
        }
        return Result(
            folder=str(data["run"]),
            run=Path(str(data["run"])).name,
            checkpoint=str(data["training"]["checkpoint"]),
            held_out=str(data["held_out"]["source"]),
            arms=arms,
            differs=tuple(_differing(data, {m for row in arms.values() for m in row})),
        )
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise SourceError(
            f"{path}: is not a result file from `convogen downstream summarization` "
            f"({error!r:.100}); choose another file"
        ) from error


def _differing(data: Mapping[str, Any], measures: set[str]) -> Iterator[str]:
    """Yield the measures that are not computed as in the paper."""
    if QAGS in measures and (data.get("qags_by"), data.get("questions")) != ("bertscore", 3):
        yield QAGS
    if BERTSCORE in measures and data.get("bertscore") != BERTSCORE_AS_PUBLISHED:
        yield BERTSCORE


def _value(cell: Any) -> float | None:
    return None if cell is None else float(cast("dict[str, Any]", cell)["value"])


def pool(results: Sequence[Result], arm: str = "synthetic") -> Pooled:
    """Return the mean improvement and coverage over an arm's cells."""
    improved = [*_cells(results, arm, "base")]
    covered = [*_cells(results, arm, "in_domain")]
    gains = [(measure, percentage_improvement(ours, base)) for measure, ours, base in improved]
    shares = [(measure, coverage(ours, other)) for measure, ours, other in covered]
    return Pooled(
        cells=len(gains),
        covered=len(shares),
        improvement=_mean(gains),
        improvement_without_qags=_mean([one for one in gains if one[0] != QAGS]),
        coverage=_mean(shares),
        coverage_without_qags=_mean([one for one in shares if one[0] != QAGS]),
    )


def _cells(results: Sequence[Result], arm: str, other: str) -> Iterator[tuple[str, float, float]]:
    """Yield the measure and both arms' scores for each cell.

    Cells are left out if a score is missing or if the other arm's score is 0.
    """
    for one in results:
        for measure, score in one.arms.get(arm, {}).items():
            against = one.arms.get(other, {}).get(measure)
            if score is not None and against:
                yield measure, score, against


def _mean(cells: Sequence[tuple[str, float]]) -> float | None:
    return sum(value for _, value in cells) / len(cells) if cells else None
