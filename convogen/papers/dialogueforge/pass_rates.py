"""Pass rates per model, data set and length: DialogueForge's tables 1 to 3 and figures 2 and 3.

Each verdict file is one cell. Rates are percentages. Intervals are 95% bootstrap intervals over
dialogues, or Wilson intervals if all verdicts are equal and resampling would show no variation. If
two cells use the same seeds, the difference between their rates is resampled over the seeds.
`differs` lists the differences from the paper's judging; it is None if they are unknown or if there
is no published rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from convogen.errors import SourceError
from convogen.inputs.yaml12 import read_mapping
from convogen.judges.reference_dialogues import seed_of
from convogen.judges.verdict_files import Protocol, Verdicts, count_verdicts, load_verdicts
from convogen.papers.dialogueforge.as_published import (
    DIFFERENCES,
    TUNED,
    judged_otherwise,
    published_change,
    published_degradation,
    published_rate,
)
from convogen.reports.intervals import Interval, difference_interval, mean_interval
from convogen.reports.verdicts import begin_real, verdict_file
from convogen.storage.run_folder import Run
from convogen.storage.score_store import scores_manifest

__all__ = ["Compared", "LengthChange", "Rate", "RateCell", "TuningGain", "compare", "read_cell"]

_DATA = {"oasst": "OASST1", "arena": "Chatbot Arena"}


@dataclass(frozen=True, slots=True)
class RateCell:
    """The verdicts on one model's dialogues.

    `utterances` is the maximum number of utterances per dialogue, or None if unknown. `passes`
    contains 100 for each dialogue that passes and 0 for each dialogue that fails. `seeds` contains
    the dialogues' seeds in the order of `passes`, or is empty if a seed is unknown. `differs` is
    explained in `judged_otherwise`.
    """

    model: str
    data: str | None
    utterances: int | None
    counted: Verdicts
    passes: NDArray[np.float64]
    seeds: tuple[str, ...]
    differs: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """The pass rate of one cell and the published rate; all rates are percentages.

    Attributes:
        utterances: Maximum number of utterances per dialogue; None if unknown.
        n: Number of dialogues.
        missing: Number of dialogues without a verdict.
        low: Lower end of the 95% interval; None if there is no interval.
        high: Upper end of the interval; None if there is no interval.
        false_alarms: Number of dialogues in which the judge attributes the first utterance, written
            by a person, to a machine; None if the protocol's verdicts do not name an utterance.
        false_alarm_rate: `false_alarms` as a percentage of the dialogues.
        published: The paper's rate; None if the paper has no such rate.
        differs: Keys of `DIFFERENCES` that apply to the judging; None if unknown.
    """

    model: str
    data: str | None
    utterances: int | None
    n: int
    missing: int
    rate: float
    low: float | None
    high: float | None
    false_alarms: int | None
    false_alarm_rate: float | None
    published: float | None
    differs: list[str] | None


@dataclass(frozen=True, slots=True)
class LengthChange:
    """The change in a rate from one length to the next longer length, in percentage points.

    Attributes:
        before: Maximum length of the shorter dialogues, in utterances.
        after: Maximum length of the longer dialogues, in utterances.
        n: Number of seeds if `paired`, otherwise number of dialogues.
        paired: Whether both cells use the same seeds.
        published: The paper's change; None if the paper has no such change.
        differs: Keys of `DIFFERENCES` that apply to the judging; None if unknown.
    """

    model: str
    data: str | None
    before: int
    after: int
    change: float
    low: float | None
    high: float | None
    n: int
    paired: bool
    published: float | None
    differs: list[str] | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values; the lengths are named `from` and `to`."""
        names = {"before": "from", "after": "to"}
        return {names.get(name, name): value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class TuningGain:
    """The gain in a model's rate from fine-tuning, in percentage points; see `LengthChange`."""

    model: str
    data: str | None
    utterances: int | None
    gain: float
    low: float | None
    high: float | None
    n: int
    paired: bool
    published: float | None
    differs: list[str] | None


@dataclass(frozen=True, slots=True)
class Compared:
    """The rates for one protocol, the effects of length, and the gains from fine-tuning."""

    protocol: Protocol
    cells: list[Rate]
    degradation: list[LengthChange]
    finetuning: list[TuningGain]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values for JSON."""
        return asdict(self) | {"degradation": [one.as_dict() for one in self.degradation]}


def read_cell(text: str, protocol: Protocol, generated: Literal[1, 2] = 2) -> RateCell:
    """Read a cell from `[MODEL[,DATA[,N]]=]PATH`; PATH is a verdict file or a score folder.

    Values that are not given before the `=` are read from the scored run. Raises `SourceError` if
    the verdicts cannot be read.
    """
    label, sign, rest = text.partition("=")
    told, path = (
        ([], Path(text)) if not sign or Path(text).exists() else (label.split(","), Path(rest))
    )
    told = [part.strip() for part in told]
    file = verdict_file(path, protocol)
    verdicts = load_verdicts(file, protocol, generated)
    folder = file.parent.parent if file.parent.name == "scores" else None
    played = _played(file) if folder else None
    model, data, utterances = _made(played) if played else (path.stem, None, None)
    if len(told) > 3 or (len(told) == 3 and not told[2].isdecimal()):
        raise SourceError(
            f"{text}: must have the form MODEL,DATA,N=FILE; N is the number of utterances"
        )
    model = told[0] if told and told[0] else model
    data = _data_name(told[1]) if len(told) > 1 and told[1] else data
    utterances = int(told[2]) if len(told) == 3 else utterances
    name = model if told else (folder.name if folder else path.stem)
    passes = np.array([100.0 * one.passed for one in verdicts])
    ids = [one.conversation for one in verdicts if one.conversation is not None]
    seeds = _seeds(played, ids) if played and len(ids) == len(verdicts) else ()
    real = played is None or begin_real(played)
    counted = count_verdicts(name, verdicts, protocol, begin_real=real)
    differs = judged_otherwise(scores_manifest(file), protocol)
    known = None if differs is None else tuple(differs)
    return RateCell(model, data, utterances, counted, passes, seeds, known)


def _played(file: Path) -> Path:
    """Return the folder with the judged data: the run named in the scores' manifest or, if there is
    none, the folder that contains the scores."""
    source: Any = (scores_manifest(file) or {}).get("source")
    return Path(source) if isinstance(source, str) else file.parent.parent


def _made(folder: Path) -> tuple[str, str | None, int | None]:
    """Return a run's inquirer, data set and maximum number of utterances; the folder's name
    replaces an unknown inquirer."""
    try:
        found = read_mapping(folder / "experiment.yaml")
    except SourceError:
        found: dict[str, Any] = {}
    models: Any = found.get("models")
    chosen = cast("Any", models) if isinstance(models, dict) else {"default": models}
    spec: Any = chosen.get("inquirer", chosen.get("default"))
    named: Any = cast("Any", spec).get("name") if isinstance(spec, dict) else spec
    seeds, cap = found.get("seeds"), found.get("utterances")
    return (
        named if isinstance(named, str) else folder.name,
        _data_name(seeds) if isinstance(seeds, str) else None,
        cap if isinstance(cap, int) else None,
    )


def _data_name(source: str) -> str:
    """Return the name of a data set; the paper's two data sets have the paper's names."""
    last = source.rstrip("/").rsplit("/", 1)[-1]
    known = [name for part, name in _DATA.items() if part in last.casefold()]
    return known[0] if known else last.split(".")[0]


def _seeds(folder: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """Return the seeds of a run's judged conversations; empty if a conversation has no seed."""
    found = {one.id: seed_of(one) for one in Run(folder).conversations()} if folder.is_dir() else {}
    seeds = [found.get(name) for name in ids]
    return tuple(seed for seed in seeds if seed is not None) if None not in seeds else ()


def compare(cells: Sequence[RateCell], protocol: Protocol) -> Compared:
    """Return rates and their changes with length and fine-tuning, next to published numbers."""
    return Compared(
        protocol,
        [_rate(cell, protocol) for cell in cells],
        list(_degradation(cells, protocol)),
        list(_finetuning(cells, protocol)),
    )


def _rate(cell: RateCell, protocol: Protocol) -> Rate:
    found, counted = mean_interval(cell.passes), cell.counted
    assert found is not None
    low, high = (counted.low, counted.high) if np.ptp(cell.passes) == 0 else (found.low, found.high)
    number = published_rate(protocol, cell.model, cell.data, cell.utterances)
    return Rate(
        model=cell.model,
        data=cell.data,
        utterances=cell.utterances,
        n=counted.n,
        missing=counted.missing,
        rate=found.value,
        low=low,
        high=high,
        false_alarms=counted.false_alarms,
        false_alarm_rate=counted.false_alarm_rate,
        published=number,
        differs=_differing(number, cell),
    )


def _differing(published: float | None, *cells: RateCell) -> list[str] | None:
    """Return how the judging of the cells differs from the judging that a published number is based
    on.

    The result is None if there is no published number, or if the differences of a cell are unknown.
    """
    known = [cell.differs for cell in cells if cell.differs is not None]
    if published is None or len(known) < len(cells):
        return None
    return [name for name in DIFFERENCES if any(name in differs for differs in known)]


def _degradation(cells: Sequence[RateCell], protocol: Protocol) -> Iterator[LengthChange]:
    """Yield, for each model and data set, the change in the rate from each length to the next."""
    groups: dict[tuple[str, str | None], list[tuple[int, RateCell]]] = {}
    for cell in cells:
        if cell.utterances is not None:
            groups.setdefault((cell.model, cell.data), []).append((cell.utterances, cell))
    for (model, data), group in groups.items():
        for (before, short), (after, long) in pairwise(sorted(group, key=lambda one: one[0])):
            if before == after:
                continue
            change = _change(long, short)
            number = published_degradation(protocol, model, data, (before, after))
            yield LengthChange(
                model=model,
                data=data,
                before=before,
                after=after,
                change=change.value,
                low=change.low,
                high=change.high,
                n=change.n,
                paired=change.paired,
                published=number,
                differs=_differing(number, short, long),
            )


def _finetuning(cells: Sequence[RateCell], protocol: Protocol) -> Iterator[TuningGain]:
    """Yield the gain of each fine-tuned model over its base model.

    A fine-tuned model is named after its base model: `NAME (FT)` or `NAME-ft`.
    """
    bases = {(cell.model, cell.data, cell.utterances): cell for cell in cells}
    for cell in cells:
        name = TUNED.sub("", cell.model)
        base = bases.get((name, cell.data, cell.utterances))
        if name == cell.model or base is None:
            continue
        rates = [
            published_rate(protocol, each.model, each.data, each.utterances)
            for each in (base, cell)
        ]
        gain, number = _change(cell, base), published_change(*rates)
        yield TuningGain(
            model=name,
            data=cell.data,
            utterances=cell.utterances,
            gain=gain.value,
            low=gain.low,
            high=gain.high,
            n=gain.n,
            paired=gain.paired,
            published=number,
            differs=_differing(number, cell, base),
        )


class _Change(NamedTuple):
    value: float
    low: float | None
    high: float | None
    n: int
    paired: bool


def _change(ours: RateCell, theirs: RateCell) -> _Change:
    """Return the difference between two rates, paired by seed if both cells use the same seeds."""
    here, there = (
        dict(zip(ours.seeds, ours.passes, strict=False)),
        dict(zip(theirs.seeds, theirs.passes, strict=False)),
    )
    paired = bool(here) and here.keys() == there.keys()
    found: Interval | None
    if paired:
        found = mean_interval(here[seed] - there[seed] for seed in here)
    else:
        found = difference_interval(ours.passes, theirs.passes)
    assert found is not None
    return _Change(found.value, found.low, found.high, found.n, paired)
