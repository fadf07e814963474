"""Comparison of judges: agreement, preference for their own models' dialogues, and accuracy.

A verdict file contains one judge's verdicts on one set of dialogues. Intervals are 95% bootstrap
intervals over dialogues, except the intervals of corrected rates (`convogen.reports.calibration`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import Any, cast

import numpy as np

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.judges.verdict_files import (
    PROTOCOLS,
    Protocol,
    Verdict,
    choice_passes,
    load_verdicts,
)
from convogen.labels import is_label_file, labels_of, read_labels
from convogen.metrics.agreement import (
    agreement_share,
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
)
from convogen.reports.calibration import Corrected, prediction_powered, rogan_gladen
from convogen.reports.intervals import (
    Interval,
    difference_interval,
    mean_interval,
    statistic_interval,
)
from convogen.reports.verdicts import Share, position_bias, verdict_file
from convogen.storage.score_store import scores_manifest

__all__ = [
    "Agreement",
    "Calibration",
    "JudgePosition",
    "JudgeVerdicts",
    "PairAgreement",
    "SelfPreference",
    "agreements",
    "calibrations",
    "judge_and_dialogues",
    "names_and_path",
    "position_biases",
    "read_judgement",
    "self_preference",
]

_LAYOUT = {"uni_eval", "gt_eval", "unieval", "gteval"}
"""Possible names of a judge's subfolder with the verdicts for one protocol."""


@dataclass(frozen=True, slots=True)
class JudgeVerdicts:
    """One judge's verdicts on one set of dialogues, in the order of the verdict file."""

    judge: str
    dialogues: str
    verdicts: Sequence[Verdict]
    path: Path

    @property
    def units(self) -> list[str]:
        """The id of each verdict's dialogue or, if any id is missing, the position of each verdict
        (from 1)."""
        ids = [one.conversation for one in self.verdicts]
        named = [name for name in ids if name is not None]
        return named if len(named) == len(ids) else [f"{at}" for at in range(1, len(ids) + 1)]

    def passes(self) -> dict[str, bool]:
        """Return, for each unit with a verdict, whether its dialogue passes."""
        pairs = zip(self.units, self.verdicts, strict=True)
        return {unit: one.passed for unit, one in pairs if one.choice is not None}

    def choices(self) -> Any:
        """Return the choices as a pandas series, indexed by unit."""
        pd: Any = import_module("pandas")
        pairs = zip(self.units, self.verdicts, strict=True)
        return pd.Series({unit: one.choice for unit, one in pairs}, dtype=object)


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Agreement between two judges.

    Attributes:
        judges: The names of both judges.
        share: Share of the dialogues on which both judges make the same choice, 0 to 1; None if
            undefined.
        cohen_kappa: Cohen's kappa, -1 to 1; None if undefined.
    """

    judges: list[str]
    share: Interval | None
    cohen_kappa: Interval | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement between the judges of a set of `n` dialogues, for each pair and for all judges.

    Fleiss' kappa and Krippendorff's alpha are at most 1; each is None if undefined.
    """

    dialogues: str
    n: int
    judges: list[str]
    pairs: list[PairAgreement]
    fleiss_kappa: Interval | None
    krippendorff_alpha: Interval | None


@dataclass(frozen=True, slots=True)
class SelfPreference:
    """A judge's preference for its own model's dialogues, in percentage points.

    Attributes:
        own: The set of dialogues in which the judge's model took part.
        others: The other sets of dialogues.
        compared_with: The other judges that judged the same sets.
        points: The preference; None if there are no dialogues to compare.
    """

    judge: str
    own: str
    others: list[str]
    compared_with: list[str]
    points: Interval | None


@dataclass(frozen=True, slots=True)
class JudgePosition:
    """A judge's position bias on a set of dialogues; see `PositionBias`."""

    judge: str
    dialogues: str
    first: Share
    gap: Interval | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A judge's pass rate corrected with human labels; rates are percentages.

    Attributes:
        n: Number of dialogues with a verdict.
        labels: Number of these dialogues that have a human label.
        tied: Number of dialogues without a label because the annotators' choices were tied.
        agreed: Share of the labels that equal the judge's verdicts, 0 to 1; None without labels.
        rate: The uncorrected pass rate.
    """

    judge: str
    dialogues: str
    n: int
    labels: int
    agreed: float | None
    rate: Interval | None
    rogan_gladen: Corrected
    prediction_powered: Corrected
    tied: int = 0


def read_judgement(text: str, protocol: Protocol) -> JudgeVerdicts:
    """Read the verdicts for `[JUDGE[,DIALOGUES]=]PATH`; PATH is a verdict file or a score folder.

    Names that are not given before the `=` are taken from the manifest of the scores, or from a
    path such as JUDGE/uni_eval/DIALOGUES.jsonl. If neither names the judge, the judge is named
    after the file, and the set of dialogues has no name. Raises `SourceError` if the file cannot be
    read.
    """
    told, path = names_and_path(text)
    file = verdict_file(path, protocol)
    verdicts = load_verdicts(file, protocol)
    judge, dialogues = judge_and_dialogues(file)
    judge = told[0] if told and told[0] else judge
    return JudgeVerdicts(judge, told[1] if len(told) == 2 else dialogues, verdicts, file)


def names_and_path(text: str) -> tuple[list[str], Path]:
    """Return the names before the `=` in `[JUDGE[,DIALOGUES]=]PATH`, and the path.

    Raises `SourceError` if there are more than two names.
    """
    label, sign, rest = text.partition("=")
    if not sign or Path(text).exists():
        return [], Path(text)
    told = [part.strip() for part in label.split(",")]
    if len(told) > 2:
        raise SourceError(
            f"{text}: too many names before the `=`; use the form JUDGE,DIALOGUES=FILE"
        )
    return told, Path(rest)


def judge_and_dialogues(file: Path) -> tuple[str, str]:
    """Return the judge and the set of dialogues, from the scores' manifest or from the path."""
    manifest = scores_manifest(file)
    if manifest is not None:
        source: Any = manifest.get("source") or str(file.parent.parent)
        return str(manifest.get("judged_by", {}).get("model")), Path(str(source)).name
    if file.parent.name in _LAYOUT:
        return file.parent.parent.name, file.stem
    return file.stem, ""


def agreements(judgements: Sequence[JudgeVerdicts], protocol: Protocol) -> list[Agreement]:
    """Return the agreement on each set of dialogues that several judges judged.

    Raises `SourceError` if files for the same set have no dialogue in common, or if files without
    ids have different numbers of verdicts.
    """
    sets: dict[str, list[JudgeVerdicts]] = {}
    for one in judgements:
        sets.setdefault(one.dialogues, []).append(one)
    return [_agreement(name, of, protocol) for name, of in sets.items() if len(of) > 1]


def _agreement(name: str, judged: Sequence[JudgeVerdicts], protocol: Protocol) -> Agreement:
    _check_common(judged)
    pd: Any = import_module("pandas")
    table = pd.concat([one.choices() for one in judged], axis=1, sort=False)
    coded = (pd.Categorical(table[at], PROTOCOLS[protocol]).codes for at in table)  # -1: none
    columns = [codes.astype(np.int64) for codes in coded]
    pairs = [
        PairAgreement(
            judges=[judged[i].judge, judged[j].judge],
            share=statistic_interval(agreement_share, columns[i], columns[j]),
            cohen_kappa=statistic_interval(cohen_kappa, columns[i], columns[j]),
        )
        for i, j in combinations(range(len(judged)), 2)
    ]
    return Agreement(
        dialogues=name,
        n=len(table),
        judges=[one.judge for one in judged],
        pairs=pairs,
        fleiss_kappa=statistic_interval(fleiss_kappa, *columns),
        krippendorff_alpha=statistic_interval(krippendorff_alpha, *columns),
    )


def _check_common(judged: Sequence[JudgeVerdicts]) -> None:
    """Raise `SourceError` if the judges cannot have judged the same dialogues."""
    by_place = [len(one.units) for one in judged if one.verdicts[0].conversation is None]
    where = ", ".join(str(one.path) for one in judged)
    if len(set(by_place)) > 1:
        raise SourceError(
            f"{where}: cannot be compared dialogue by dialogue, because the files contain "
            f"different numbers of verdicts ({by_place}); if they cover different dialogues, "
            f"specify the set of each file with JUDGE,DIALOGUES=FILE"
        )
    if not set[str].intersection(*(set(one.units) for one in judged)):
        raise SourceError(
            f"{where}: have no dialogue in common; specify the set of each file with "
            f"JUDGE,DIALOGUES=FILE"
        )


def self_preference(
    judgements: Sequence[JudgeVerdicts], own: Mapping[str, str]
) -> list[SelfPreference]:
    """Return each judge's preference for the dialogues of its own model, in percentage points.

    `own` maps each judge to the set of dialogues in which the judge's model took part. A judge's
    excess on a set is the judge's pass rate minus the mean pass rate of the set's other judges. The
    preference is the excess on the judge's own set minus the excess on the other sets. Therefore,
    neither a judge's leniency nor a model's quality counts as a preference. Without other judges
    (`compared_with` is empty), the preference is the plain difference between pass rates, which
    means little.
    """
    return [_preference(judgements, judge, mine) for judge, mine in own.items()]


def _preference(judgements: Sequence[JudgeVerdicts], judge: str, mine: str) -> SelfPreference:
    by_judge: dict[str, dict[str, dict[str, bool]]] = {}
    for one in judgements:
        by_judge.setdefault(one.judge, {})[one.dialogues] = one.passes()
    sets = by_judge.pop(judge, {})
    if mine not in sets or len(sets) < 2:
        raise SourceError(
            f"{judge}: self-preference requires this judge's verdicts on {mine} and on another "
            f"set; add the missing verdicts (sets found: {', '.join(sets) or 'none'})"
        )
    peers = {name: of for name, of in by_judge.items() if sets.keys() <= of.keys()}
    excess = {
        name: _excess(passes, [of[name] for of in peers.values()]) for name, passes in sets.items()
    }
    rest = [value for name, values in excess.items() if name != mine for value in values]
    return SelfPreference(
        judge=judge,
        own=mine,
        others=[name for name in sets if name != mine],
        compared_with=sorted(peers),
        points=difference_interval(np.array(excess[mine]), np.array(rest)),
    )


def _excess(mine: Mapping[str, bool], peers: Sequence[Mapping[str, bool]]) -> Any:
    """Return a judge's verdict on each dialogue minus the peers' mean, in percentage points."""
    pd: Any = import_module("pandas")
    ours = pd.Series(mine, dtype=float)
    if not peers:
        return 100.0 * ours
    theirs = pd.concat([pd.Series(peer, dtype=float) for peer in peers], axis=1).mean(axis=1)
    return (100.0 * (ours - theirs.reindex(ours.index))).dropna()


def calibrations(
    judgements: Sequence[JudgeVerdicts], humans: Sequence[str], protocol: Protocol
) -> list[Calibration]:
    """Return each judge's pass rate corrected with labels from `[DIALOGUES=]FILE`, in percent.

    A label is an object with `choice` and, optionally, `conversation` (the dialogue's id) or `row`
    (the dialogue's number, from 1). By default, this number is the label's line number. If
    several annotators labelled a dialogue, its label is the majority choice; a tie gives no label.
    Raises `SourceError` if a label's dialogue was not judged, or if it is unclear which of several
    sets is meant.
    """
    found: list[Calibration] = []
    sets = dict.fromkeys(one.dialogues for one in judgements)
    there = ", ".join(name or "a set without a name" for name in sets)
    for human in humans:
        name, sign, rest = human.partition("=")
        named = bool(sign) and not Path(human).exists()
        path = Path(rest if named else human)
        if named and name not in sets:
            raise SourceError(
                f"--human {human}: no verdicts on {name!r}; choose another set (found: {there})"
            )
        if not named and len(sets) > 1:
            raise SourceError(
                f"--human {human}: the labels could be for any of several sets (found: {there}); "
                f"specify the set with --human DIALOGUES=FILE"
            )
        read = _majority if is_label_file(path) else _labels
        labels, tied = read(path, protocol)
        meant = [one for one in judgements if not named or one.dialogues == name]
        found += [replace(_calibration(one, labels, path), tied=tied) for one in meant]
    return found


def _calibration(
    one: JudgeVerdicts, labels: Sequence[tuple[int, int | str, bool]], path: Path
) -> Calibration:
    passes, judged_units = one.passes(), dict(enumerate(one.units, 1))
    known_units = set(judged_units.values())
    truth: dict[str, bool] = {}
    for line, key, label in labels:
        unit = judged_units.get(key) if isinstance(key, int) else key
        if unit is None or unit not in known_units:
            raise SourceError(
                f"{path}: has a label for the dialogue {key!r}, on which {one.path} has no "
                "verdict; remove the label, or judge the dialogue"
            )
        if truth.get(unit, label) != label:
            raise SourceError(
                f"{path} line {line}: the label for {key!r} contradicts an earlier label for the "
                "same dialogue; keep only the correct label"
            )
        if unit in passes:
            truth[unit] = label
    known = np.array(list(truth.values()), bool)
    labelled = np.array([passes[unit] for unit in truth], bool)
    judged = np.array(list(passes.values()), bool)
    rest = np.array([passed for unit, passed in passes.items() if unit not in truth], bool)
    return Calibration(
        judge=one.judge,
        dialogues=one.dialogues,
        n=len(judged),
        labels=len(known),
        agreed=float((labelled == known).mean()) if len(known) else None,
        rate=mean_interval(100.0 * judged),
        rogan_gladen=_percent(rogan_gladen(judged, labelled, known)),
        prediction_powered=_percent(prediction_powered(rest, labelled, known)),
    )


def _percent(share: Corrected) -> Corrected:
    ends = (share.value, share.low, share.high)
    return Corrected(*(None if value is None else 100 * value for value in ends))


def _majority(path: Path, protocol: Protocol) -> tuple[list[tuple[int, int | str, bool]], int]:
    """Return the annotators' majority labels in the format of `_labels`, and the number of
    ties."""
    votes: dict[str, Counter[bool]] = {}
    for label in labels_of(read_labels(path), protocol):
        passed = choice_passes(label.choice or "", protocol)
        votes.setdefault(label.conversation, Counter())[passed] += 1
    if not votes:
        raise SourceError(
            f"{path}: contains no choices for the {protocol} protocol; choose another "
            "--protocol or another label file"
        )
    clear = {key: of for key, of in votes.items() if of[True] != of[False]}
    labels: list[tuple[int, int | str, bool]]
    labels = [(0, key, of[True] > of[False]) for key, of in clear.items()]
    return labels, len(votes) - len(labels)


def _labels(path: Path, protocol: Protocol) -> tuple[list[tuple[int, int | str, bool]], int]:
    """Return one (line, dialogue's number or id, whether the dialogue passes) tuple per label, and
    0 as the number of ties."""
    allowed = {choice.casefold(): choice for choice in PROTOCOLS[protocol]}
    found: list[tuple[int, int | str, bool]] = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        try:
            row: Any = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError):
            row = None
        fields = cast("Any", row) if isinstance(row, dict) else {"choice": False}
        choice, key = fields.get("choice"), fields.get("conversation", fields.get("row", number))
        if choice is None:
            continue
        said = allowed.get(choice.strip().casefold()) if isinstance(choice, str) else None
        if said is None or isinstance(key, bool) or not isinstance(key, int | str):
            raise SourceError(
                f"{path} line {number}: not a label; a label is an object with `choice` ("
                f"{', '.join(allowed.values())}) and, optionally, `row` or `conversation`"
            )
        found.append((number, key, choice_passes(said, protocol)))
    if not found:
        raise SourceError(
            f"{path}: contains no labels; each line must be an object with a `choice` ("
            f"{', '.join(allowed.values())})"
        )
    return found, 0


def position_biases(judgements: Sequence[JudgeVerdicts]) -> list[JudgePosition]:
    """Return the position bias for each judge and set with dialogues shown in random order."""
    rows = [(one, position_bias(one.verdicts)) for one in judgements]
    return [
        JudgePosition(one.judge, one.dialogues, bias.first, bias.gap)
        for one, bias in rows
        if bias is not None
    ]
