"""Judges compared: do they agree, do they favour their own model's dialogues, how right are they?

One file of verdicts is one judge on one set of dialogues. Intervals are 95% bootstraps over
dialogues; see `convogen.reports.calibration` for those of the rates put right.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.judges.verdict_files import PROTOCOLS, Protocol, Verdict, load_verdicts
from convogen.metrics.agreement import (
    agreement_share,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)
from convogen.reports.calibration import prediction_powered, rogan_gladen
from convogen.reports.intervals import difference_interval, mean_interval, statistic_interval
from convogen.reports.verdicts import position_bias, verdict_file
from convogen.storage.score_store import scores_manifest

__all__ = [
    "JudgeVerdicts",
    "agreements",
    "calibrations",
    "judge_and_dialogues",
    "position_biases",
    "read_judgement",
    "self_preference",
]

_LAYOUT = {"uni_eval", "gt_eval", "unieval", "gteval"}
"""Names of folders of one protocol, in the folder of a judge."""


@dataclass(frozen=True, slots=True)
class JudgeVerdicts:
    """What one judge says of one set of dialogues, in the order of its file."""

    judge: str
    dialogues: str
    verdicts: Sequence[Verdict]
    path: Path

    @property
    def units(self) -> list[str]:
        """What each verdict is of: the conversation's id, or its place from 1."""
        ids = [one.conversation for one in self.verdicts]
        named = [name for name in ids if name is not None]
        return named if len(named) == len(ids) else [f"{at}" for at in range(1, len(ids) + 1)]

    def passes(self) -> dict[str, bool]:
        """Whether each dialogue passes, by unit."""
        pairs = zip(self.units, self.verdicts, strict=True)
        return {unit: one.passed for unit, one in pairs if one.choice is not None}

    def choices(self) -> Any:
        """What was chosen, a series by unit."""
        pd: Any = import_module("pandas")
        pairs = zip(self.units, self.verdicts, strict=True)
        return pd.Series({unit: one.choice for unit, one in pairs}, dtype=object)


def read_judgement(text: str, protocol: Protocol) -> JudgeVerdicts:
    """Verdicts from `[JUDGE[,DIALOGUES]=]PATH`, a file or a folder of scores.

    What is not told before the `=` is read from the scores' manifest, or from a path such as
    JUDGE/uni_eval/DIALOGUES.jsonl; else the judge is the file and the dialogues have no name.
    Raises `SourceError` where the file cannot be read.
    """
    label, sign, rest = text.partition("=")
    told = [] if not sign or Path(text).exists() else [part.strip() for part in label.split(",")]
    file = verdict_file(Path(rest if told else text), protocol)
    if len(told) > 2:
        raise SourceError(f"{text}: must be JUDGE,DIALOGUES=FILE")
    verdicts = load_verdicts(file, protocol)
    judge, dialogues = judge_and_dialogues(file)
    judge = told[0] if told and told[0] else judge
    return JudgeVerdicts(judge, told[1] if len(told) == 2 else dialogues, verdicts, file)


def judge_and_dialogues(file: Path) -> tuple[str, str]:
    """Return who judged what, from the manifest of scores or from the path of the file."""
    manifest = scores_manifest(file)
    if manifest is not None:
        source: Any = manifest.get("source") or str(file.parent.parent)
        return str(manifest.get("judged_by", {}).get("model")), Path(str(source)).name
    if file.parent.name in _LAYOUT:
        return file.parent.parent.name, file.stem
    return file.stem, ""


def agreements(judgements: Sequence[JudgeVerdicts], protocol: Protocol) -> list[dict[str, Any]]:
    """For each set of dialogues that several judges read: how far they agree.

    Raises `SourceError` where files said to be of one set have nothing in common, or where files
    without ids are not of the same length.
    """
    sets: dict[str, list[JudgeVerdicts]] = {}
    for one in judgements:
        sets.setdefault(one.dialogues, []).append(one)
    return [_agreement(name, of, protocol) for name, of in sets.items() if len(of) > 1]


def _agreement(name: str, judged: Sequence[JudgeVerdicts], protocol: Protocol) -> dict[str, Any]:
    _check_common(judged)
    pd: Any = import_module("pandas")
    table = pd.concat([one.choices() for one in judged], axis=1, sort=False)
    coded = (pd.Categorical(table[at], PROTOCOLS[protocol]).codes for at in table)  # -1: none
    columns = [codes.astype(np.int64) for codes in coded]
    pairs = [
        {
            "judges": [judged[i].judge, judged[j].judge],
            "share": _told(agreement_share, columns[i], columns[j]),
            "cohen_kappa": _told(cohen_kappa, columns[i], columns[j]),
        }
        for i, j in combinations(range(len(judged)), 2)
    ]
    return {
        "dialogues": name,
        "n": len(table),
        "judges": [one.judge for one in judged],
        "pairs": pairs,
        "fleiss_kappa": _told(fleiss_kappa, *columns),
        "krippendorff_alpha": _told(krippendorff_alpha, *columns, vectorized=False),
    }


def _check_common(judged: Sequence[JudgeVerdicts]) -> None:
    """Raise `SourceError` where judges cannot have rated the same dialogues."""
    by_place = [len(one.units) for one in judged if one.verdicts[0].conversation is None]
    where = ", ".join(str(one.path) for one in judged)
    if len(set(by_place)) > 1:
        raise SourceError(f"{where}: not of the same dialogues: {by_place} verdicts")
    if not set[str].intersection(*(set(one.units) for one in judged)):
        raise SourceError(f"{where}: no dialogue in common; name sets apart: JUDGE,DIALOGUES=FILE")


def _told(
    statistic: Callable[..., Any], *columns: NDArray[np.int64], vectorized: bool = True
) -> dict[str, Any] | None:
    found = statistic_interval(statistic, *columns, vectorized=vectorized)
    return asdict(found) if found else None


def self_preference(
    judgements: Sequence[JudgeVerdicts], own: Mapping[str, str]
) -> list[dict[str, Any]]:
    """By how many points each judge favours the dialogues of its own model.

    `own` names, by judge, the set of dialogues its model had a part in. What counts is by how much
    a judge passes a dialogue more readily than the other judges of the same set do, on its own
    model's less on others': neither mild judges nor good models make a preference. Where nobody
    else judged (`compared_with` is empty), it is the plain difference of rates, and says little.
    """
    return [_preference(judgements, judge, mine) for judge, mine in own.items()]


def _preference(judgements: Sequence[JudgeVerdicts], judge: str, mine: str) -> dict[str, Any]:
    by_judge: dict[str, dict[str, dict[str, bool]]] = {}
    for one in judgements:
        by_judge.setdefault(one.judge, {})[one.dialogues] = one.passes()
    sets = by_judge.pop(judge, {})
    if mine not in sets or len(sets) < 2:
        raise SourceError(
            f"{judge}: verdicts on {mine} and on another set of dialogues are needed; there are: "
            f"{', '.join(sets) or 'none'}"
        )
    peers = {name: of for name, of in by_judge.items() if sets.keys() <= of.keys()}
    excess = {
        name: _excess(passes, [of[name] for of in peers.values()]) for name, passes in sets.items()
    }
    rest = [value for name, values in excess.items() if name != mine for value in values]
    told = difference_interval(np.array(excess[mine]), np.array(rest))
    return {
        "judge": judge,
        "own": mine,
        "others": [name for name in sets if name != mine],
        "compared_with": sorted(peers),
        "points": asdict(told) if told else None,
    }


def _excess(mine: Mapping[str, bool], peers: Sequence[Mapping[str, bool]]) -> Any:
    """How much more readily a judge passes each dialogue, in points, than its peers on average."""
    pd: Any = import_module("pandas")
    ours = pd.Series(mine, dtype=float)
    if not peers:
        return 100.0 * ours
    theirs = pd.concat([pd.Series(peer, dtype=float) for peer in peers], axis=1).mean(axis=1)
    return (100.0 * (ours - theirs.reindex(ours.index))).dropna()


def calibrations(
    judgements: Sequence[JudgeVerdicts], humans: Sequence[str], protocol: Protocol
) -> list[dict[str, Any]]:
    """Each judge's pass rate put right with the labels of `[DIALOGUES=]FILE`, in percent.

    A label is an object with `choice` and `row` (the place of the dialogue, from 1) or
    `conversation`; without either its place is that of the dialogue. Raises `SourceError` where a
    label is of no judged dialogue, or where it is not told which of several sets is meant.
    """
    found: list[dict[str, Any]] = []
    sets = dict.fromkeys(one.dialogues for one in judgements)
    there = ", ".join(name or "a set without a name" for name in sets)
    for human in humans:
        name, sign, rest = human.partition("=")
        named = bool(sign) and not Path(human).exists()
        path = Path(rest if named else human)
        if named and name not in sets:
            raise SourceError(f"--human {human}: no verdicts on {name!r}; there are: {there}")
        if not named and len(sets) > 1:
            raise SourceError(
                f"--human {human}: of which dialogues? DIALOGUES=FILE; there are: {there}"
            )
        labels = _labels(path, protocol)
        meant = [one for one in judgements if not named or one.dialogues == name]
        found += [_calibration(one, labels, path) for one in meant]
    return found


def _calibration(
    one: JudgeVerdicts, labels: Sequence[tuple[int, int | str, bool]], path: Path
) -> dict[str, Any]:
    passes, judged_units = one.passes(), dict(enumerate(one.units, 1))
    known_units = set(judged_units.values())
    truth: dict[str, bool] = {}
    for line, key, label in labels:
        unit = judged_units.get(key) if isinstance(key, int) else key
        if unit is None or unit not in known_units:
            raise SourceError(f"{path}: label of {key!r}: no such dialogue in {one.path}")
        if truth.get(unit, label) != label:
            raise SourceError(
                f"{path} line {line}: the label of {key!r} contradicts an earlier one of the same "
                "dialogue; keep the right one"
            )
        if unit in passes:
            truth[unit] = label
    known = np.array(list(truth.values()), bool)
    labelled = np.array([passes[unit] for unit in truth], bool)
    judged = np.array(list(passes.values()), bool)
    rest = np.array([passed for unit, passed in passes.items() if unit not in truth], bool)
    rate = mean_interval(100.0 * judged)
    return {
        "judge": one.judge,
        "dialogues": one.dialogues,
        "n": len(judged),
        "labels": len(known),
        "agreed": float((labelled == known).mean()) if len(known) else None,
        "rate": asdict(rate) if rate else None,
        "rogan_gladen": _percent(asdict(rogan_gladen(judged, labelled, known))),
        "prediction_powered": _percent(asdict(prediction_powered(rest, labelled, known))),
    }


def _percent(shares: Mapping[str, float | None]) -> dict[str, float | None]:
    return {key: None if value is None else 100 * value for key, value in shares.items()}


def _labels(path: Path, protocol: Protocol) -> list[tuple[int, int | str, bool]]:
    """Line, which dialogue, and whether it passes; a line without a choice is no label."""
    allowed = {choice.casefold(): choice for choice in PROTOCOLS[protocol]}
    found: list[tuple[int, int | str, bool]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            row: Any = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            row = None
        fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {"choice": False}
        choice, key = fields.get("choice"), fields.get("conversation", fields.get("row", number))
        if choice is None:
            continue
        said = allowed.get(choice.strip().casefold()) if isinstance(choice, str) else None
        if said is None or isinstance(key, bool) or not isinstance(key, int | str):
            raise SourceError(
                f"{path} line {number}: no label: an object with `choice` ("
                f"{', '.join(allowed.values())}) and `row` or `conversation`"
            )
        passed = said == "No" if protocol == "unieval" else said != "Conversation 2"
        found.append((number, key, passed))
    if not found:
        raise SourceError(
            f"{path}: holds no label; each line is an object with a `choice`: "
            f"{', '.join(allowed.values())}"
        )
    return found


def position_biases(judgements: Sequence[JudgeVerdicts]) -> list[dict[str, Any]]:
    """The bias of place of each judgement whose order was drawn."""
    rows = [(one, position_bias(one.verdicts)) for one in judgements]
    return [
        {"judge": one.judge, "dialogues": one.dialogues, **bias}
        for one, bias in rows
        if bias is not None
    ]
