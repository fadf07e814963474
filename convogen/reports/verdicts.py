"""Verdicts of human-likeness judges on a run: the pass rate and position bias per protocol."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.judges.verdict_files import (
    PROTOCOLS,
    Protocol,
    Verdict,
    Verdicts,
    count_verdicts,
    load_verdicts,
    wilson,
)
from convogen.reports.intervals import Interval, difference_interval
from convogen.storage.run_folder import Run, load_run
from convogen.storage.score_store import scores_manifest
from convogen.suggested import suggested

__all__ = [
    "PositionBias",
    "RunVerdicts",
    "Share",
    "begin_real",
    "position_bias",
    "told_apart",
    "verdict_file",
]


@dataclass(frozen=True, slots=True)
class Share:
    """A share of `n`, 0 to 1, with its 95% Wilson interval; all numbers are None if `n` is 0."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, part: int, n: int) -> Share:
        """Return the share `part` / `n`."""
        if not n:
            return cls(None, None, None, 0)
        return cls(part / n, *wilson(part, n), n)


@dataclass(frozen=True, slots=True)
class PositionBias:
    """The effect of a dialogue's position, if the order was random.

    Attributes:
        first: Among the verdicts that name a dialogue, the share that name the dialogue shown
            first; 0.5 if the position does not matter.
        gap: Pass rate of generated dialogues shown first minus the pass rate of those shown second,
            in percentage points.
    """

    first: Share
    gap: Interval | None


@dataclass(frozen=True, slots=True)
class RunVerdicts:
    """A run's verdicts under one protocol.

    Attributes:
        model: The judge's model; `unknown` if not recorded.
        counted: The counts and the pass rate in percent.
        position_bias: Effect of the position; None if the order was not random.
    """

    model: str
    counted: Verdicts
    position_bias: PositionBias | None

    def as_dict(self) -> dict[str, Any]:
        """Return all results as plain values, with the counts at the top level."""
        bias = asdict(self.position_bias) if self.position_bias else None
        return {"model": self.model, **asdict(self.counted), "position_bias": bias}


def told_apart(run: Run) -> dict[Protocol, RunVerdicts]:
    """Return a run's verdicts under each protocol under which the run was judged."""
    found: dict[Protocol, RunVerdicts] = {}
    for protocol in PROTOCOLS:
        path = _scores(run.folder, protocol)
        if path.is_file() and path.stat().st_size:
            _of_its_own(run, protocol)
            verdicts = load_verdicts(path, protocol)
            judged_by: Mapping[str, Any] = (scores_manifest(path) or {}).get("judged_by", {})
            found[protocol] = RunVerdicts(
                judged_by.get("model", "unknown"),
                _counted(run, verdicts, protocol),
                position_bias(verdicts),
            )
    return found


def _counted(run: Run, verdicts: Sequence[Verdict], protocol: Protocol) -> Verdicts:
    real = begin_real(run.folder)
    return count_verdicts(run.folder.name, verdicts, protocol, begin_real=real)


def begin_real(folder: Path) -> bool:
    """Return whether the dialogues in a folder begin with a person's words.

    A run's dialogues do so if the run has seeds. For other folders, the answer is unknown, and the
    result is True.
    """
    file = folder / "experiment.yaml"
    try:
        return not file.is_file() or isinstance(read_mapping(file).get("seeds"), str)
    except SourceError:
        return True


def verdict_file(path: Path, protocol: Protocol) -> Path:
    """Return the verdict file at a path: the path itself, or the file in a run folder.

    Raises `SourceError` if the folder has no verdicts, and `RunFolderError` if the verdicts are on
    another run's dialogues.
    """
    file = _scores(path, protocol) if path.is_dir() else path
    if path.is_dir() and not file.is_file():
        raise SourceError(
            f"{path}: not judged yet; run `{suggested('evaluate', path, '--judge', protocol)}`"
        )
    folder = file.parent.parent
    if file == _scores(folder, protocol) and (folder / "manifest.json").is_file():
        _of_its_own(load_run(folder), protocol)
    return file


def _of_its_own(run: Run, protocol: Protocol) -> None:
    """Raise `RunFolderError` if the verdicts in a run's folder are on another run's dialogues."""
    for _ in run.scores(protocol):
        continue


def _scores(folder: Path, protocol: Protocol) -> Path:
    return folder / "scores" / f"{protocol}.jsonl"


def position_bias(verdicts: Sequence[Verdict]) -> PositionBias | None:
    """Return the effect of the position; None if the position was not random."""
    placed = [one for one in verdicts if one.place is not None and one.choice is not None]
    if {one.place for one in placed} != {1, 2}:
        return None
    named = [
        _named_place(one) for one in placed if one.choice in ("Conversation 1", "Conversation 2")
    ]
    by_place = [np.array([100.0 * o.passed for o in placed if o.place == at]) for at in (1, 2)]
    first = Share.of(sum(place == 1 for place in named), len(named))
    return PositionBias(first, difference_interval(*by_place))


def _named_place(verdict: Verdict) -> int:
    """Return the position at which the chosen dialogue was shown. In a verdict's choice, the
    generated dialogue is always "Conversation 2"."""
    assert verdict.place is not None
    return verdict.place if verdict.choice == "Conversation 2" else 3 - verdict.place
