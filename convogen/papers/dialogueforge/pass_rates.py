"""Pass rates by model, data set and length: DialogueForge's tables 1 to 3 and figures 2 and 3.

One file of verdicts is one cell. Rates are percentages, intervals 95% bootstraps over dialogues,
or Wilson's where all verdicts are alike and resampling knows no spread; where two cells are of the
same seeds, their difference is resampled by seed. Beside a published rate stands what of the
judging is otherwise than in the paper (`differs`), None if that is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, cast

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

__all__ = ["RateCell", "compare", "read_cell"]

_DATA = {"oasst": "OASST1", "arena": "Chatbot Arena"}


@dataclass(frozen=True, slots=True)
class RateCell:
    """The verdicts on one model's dialogues; `utterances` is their cap, None where not known.

    `passes` has 100 for each dialogue that passes, else 0; `seeds` what each was begun with, in the
    same order, or nothing where that is not known. `differs`: see `judged_otherwise`.
    """

    model: str
    data: str | None
    utterances: int | None
    counted: Verdicts
    passes: NDArray[np.float64]
    seeds: tuple[str, ...]
    differs: tuple[str, ...] | None = None


def read_cell(text: str, protocol: Protocol, generated: Literal[1, 2] = 2) -> RateCell:
    """A cell from `[MODEL[,DATA[,N]]=]PATH`, a file of verdicts or a folder of scores.

    What is not told before the `=` is read from the run that the scores are of. Raises
    `SourceError` where it cannot be read.
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
        raise SourceError(f"{text}: must be MODEL,DATA,N=FILE, N being a number of utterances")
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
    """The folder of what was judged: that of the scores, or the run that they say they are of."""
    source: Any = (scores_manifest(file) or {}).get("source")
    return Path(source) if isinstance(source, str) else file.parent.parent


def _made(folder: Path) -> tuple[str, str | None, int | None]:
    """Inquirer, data set and cap of the run in a folder; its name where it is none."""
    try:
        found = read_mapping(folder / "experiment.yaml")
    except SourceError:
        found = dict[str, Any]()
    models: Any = found.get("models")
    chosen = cast("dict[str, Any]", models) if isinstance(models, dict) else {"default": models}
    spec: Any = chosen.get("inquirer", chosen.get("default"))
    named: Any = cast("dict[str, Any]", spec).get("name") if isinstance(spec, dict) else spec
    seeds, cap = found.get("seeds"), found.get("utterances")
    return (
        named if isinstance(named, str) else folder.name,
        _data_name(seeds) if isinstance(seeds, str) else None,
        cap if isinstance(cap, int) else None,
    )


def _data_name(source: str) -> str:
    """A data set's name: the paper's where it is one of its two."""
    last = source.rstrip("/").rsplit("/", 1)[-1]
    known = [name for part, name in _DATA.items() if part in last.casefold()]
    return known[0] if known else last.split(".")[0]


def _seeds(folder: Path, ids: Sequence[str]) -> tuple[str, ...]:
    """The seeds of a run's judged conversations; nothing where one has none."""
    found = {one.id: seed_of(one) for one in Run(folder).conversations()} if folder.is_dir() else {}
    seeds = [found.get(name) for name in ids]
    return tuple(seed for seed in seeds if seed is not None) if None not in seeds else ()


def compare(cells: Sequence[RateCell], protocol: Protocol) -> dict[str, Any]:
    """The rates, their changes with length and by fine-tuning, each beside the published number."""
    return {
        "protocol": protocol,
        "cells": [_rate(cell, protocol) for cell in cells],
        "degradation": list(_degradation(cells, protocol)),
        "finetuning": list(_finetuning(cells, protocol)),
    }


def _rate(cell: RateCell, protocol: Protocol) -> dict[str, Any]:
    found, counted = mean_interval(cell.passes), cell.counted
    assert found is not None
    ends = (counted.low, counted.high) if np.ptp(cell.passes) == 0 else (found.low, found.high)
    return {
        "model": cell.model,
        "data": cell.data,
        "utterances": cell.utterances,
        "n": counted.n,
        "missing": counted.missing,
        "rate": found.value,
        "low": ends[0],
        "high": ends[1],
        "false_alarms": counted.false_alarms,
        "false_alarm_rate": counted.false_alarm_rate,
        **_beside(published_rate(protocol, cell.model, cell.data, cell.utterances), cell),
    }


def _beside(number: float | None, *cells: RateCell) -> dict[str, Any]:
    """A published number, and what of the judging of our cells is otherwise than there."""
    if number is None:
        return {"published": None, "differs": None}
    known = [cell.differs for cell in cells if cell.differs is not None]
    found = [name for name in DIFFERENCES if any(name in differs for differs in known)]
    return {"published": number, "differs": found if len(known) == len(cells) else None}


def _degradation(cells: Sequence[RateCell], protocol: Protocol) -> Iterator[dict[str, Any]]:
    """From each length of a model on a data set to the next longer one."""
    groups: dict[tuple[str, str | None], list[RateCell]] = {}
    for cell in cells:
        if cell.utterances is not None:
            groups.setdefault((cell.model, cell.data), []).append(cell)
    for (model, data), group in groups.items():
        group.sort(key=lambda cell: cell.utterances or 0)
        for short, long in pairwise(group):
            if short.utterances == long.utterances:
                continue
            yield {
                "model": model,
                "data": data,
                "from": short.utterances,
                "to": long.utterances,
                **_change(long, short, "change"),
                **_beside(
                    published_degradation(
                        protocol, model, data, (short.utterances or 0, long.utterances or 0)
                    ),
                    short,
                    long,
                ),
            }


def _finetuning(cells: Sequence[RateCell], protocol: Protocol) -> Iterator[dict[str, Any]]:
    """From a model to its fine-tuned version, which is named after it: `NAME (FT)` or `NAME-ft`."""
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
        yield {
            "model": name,
            "data": cell.data,
            "utterances": cell.utterances,
            **_change(cell, base, "gain"),
            **_beside(published_change(*rates), cell, base),
        }


def _change(ours: RateCell, theirs: RateCell, name: str) -> dict[str, Any]:
    """The difference of two rates: by seed where both are of the same ones."""
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
    ends = {"low": found.low, "high": found.high, "n": found.n, "paired": paired}
    return {name: found.value, **ends}
