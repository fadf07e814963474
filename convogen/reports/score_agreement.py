"""Agreement between judges and human raters on scores: Krippendorff's alpha, aspect by aspect.

Files contain judges' scores or human ratings as JSON lines with `conversation`, `value` and, if
there are several aspects, `aspect`. The level of measurement is ordinal if all values of an aspect
are whole numbers (for example Likert ratings), and interval otherwise (for example scores weighted
by probabilities).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.metrics.agreement import Level, krippendorff_alpha
from convogen.reports.agreement import judge_and_dialogues, names_and_path
from convogen.reports.intervals import Interval, statistic_interval

__all__ = [
    "AspectAgreement",
    "JudgeScores",
    "ScoreAgreement",
    "read_scores",
    "score_agreements",
]


@dataclass(frozen=True, slots=True)
class JudgeScores:
    """One judge's or annotator's scores for each aspect and conversation in a set of dialogues."""

    judge: str
    dialogues: str
    scores: Mapping[str, Mapping[str, float]]
    path: Path


def read_scores(text: str) -> JudgeScores:
    """Read the scores for `[JUDGE[,DIALOGUES]=]FILE`; a `value` of null is a missing score.

    Raises:
        SourceError: The file cannot be read, contains no scores, or has a line that is not a score
            or that contradicts another line.
    """
    named, path = names_and_path(text)
    judge, dialogues = judge_and_dialogues(path)
    judge = named[0] if named and named[0] else judge
    return JudgeScores(judge, named[1] if len(named) == 2 else dialogues, _scores(path), path)


def _scores(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        aspect, conversation, value = _score(line, f"{path} line {number}")
        if value is None:
            continue
        of = found.setdefault(aspect, {})
        if of.setdefault(conversation, value) != value:
            raise SourceError(
                f"{path} line {number}: contradicts an earlier score for {conversation!r}; keep "
                "only the correct score"
            )
    if not found:
        raise SourceError(f"{path}: contains no scores; each line must be an object with a `value`")
    return found


def _score(line: str, where: str) -> tuple[str, str, float | None]:
    try:
        row: Any = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    aspect, conversation = fields.get("aspect", ""), fields.get("conversation")
    value = fields.get("value", "")
    number = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
    if not (number and isinstance(aspect, str) and isinstance(conversation, str)):
        raise SourceError(
            f"{where}: not a score; a score is an object with `conversation`, `value` (a number) "
            "and, if there are several aspects, `aspect`"
        )
    try:
        value = None if value is None else float(value)
    except OverflowError:
        value = math.inf
    if value is not None and not math.isfinite(value):
        raise SourceError(f"{where}: `value` must be a finite number")
    return aspect, conversation, value


@dataclass(frozen=True, slots=True)
class AspectAgreement:
    """Krippendorff's alpha for one aspect.

    Attributes:
        aspect: Name of the aspect; empty if the files do not name aspects.
        n: Number of conversations with two or more scores.
        level: Level of measurement.
        krippendorff_alpha: Alpha with its interval; None if undefined.
    """

    aspect: str
    n: int
    level: Level
    krippendorff_alpha: Interval | None


@dataclass(frozen=True, slots=True)
class ScoreAgreement:
    """Agreement between all judges and raters who scored one set of dialogues."""

    dialogues: str
    judges: list[str]
    aspects: list[AspectAgreement]


def score_agreements(judged: Sequence[JudgeScores]) -> list[ScoreAgreement]:
    """Return the agreement on each set of dialogues that several judges or annotators scored.

    Raises:
        SourceError: Files for the same set have no scored conversation in common.
    """
    sets: dict[str, list[JudgeScores]] = {}
    for one in judged:
        sets.setdefault(one.dialogues, []).append(one)
    return [_agreement(name, of) for name, of in sets.items() if len(of) > 1]


def _agreement(name: str, judged: Sequence[JudgeScores]) -> ScoreAgreement:
    aspects = list(dict.fromkeys(aspect for one in judged for aspect in one.scores))
    found = [_alpha(aspect, [one.scores.get(aspect, {}) for one in judged]) for aspect in aspects]
    if not any(row.n for row in found):
        where = ", ".join(str(one.path) for one in judged)
        raise SourceError(
            f"{where}: have no scored conversation in common; name different sets with "
            f"JUDGE,DIALOGUES=FILE"
        )
    return ScoreAgreement(name, [one.judge for one in judged], found)


def _alpha(aspect: str, scores: Sequence[Mapping[str, float]]) -> AspectAgreement:
    units = dict.fromkeys(unit for of in scores for unit in of)
    pairable = [unit for unit in units if sum(unit in of for of in scores) > 1]
    columns = [np.array([of.get(unit, np.nan) for unit in pairable]) for of in scores]
    whole = all(value.is_integer() for of in scores for value in of.values())
    level: Level = "ordinal" if whole else "interval"
    alpha = partial(krippendorff_alpha, level=level)
    interval = statistic_interval(alpha, *columns) if pairable else None
    return AspectAgreement(aspect, len(pairable), level, interval)
