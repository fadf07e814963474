"""The results of a study: shares, models, contrasts, and a comparison of a judge with people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Literal

import numpy as np

from convogen.errors import SourceError
from convogen.metrics.agreement import agreement_share, cohen_kappa
from convogen.reports.intervals import Interval, statistic_interval
from convogen.reports.verdicts import Share
from convogen.study.answers import PairAnswer
from convogen.study.contrasts import Contrast, Mean, WaldTest, contrasts, letters, means, wald_test
from convogen.study.design import MOST_CONDITIONS
from convogen.study.mixed import Fit, fit_binomial, fit_linear
from convogen.study.undetected import NO_VERDICT, Rate, RateDifference, undetected
from convogen.study.verdicts import PairVerdict, verdicts_on

__all__ = [
    "Attention",
    "JudgeAgainstPeople",
    "Model",
    "StudyResults",
    "modelled",
    "study_results",
]

Outcome = Literal["detection", "utterance", "seconds", "log seconds"]


@dataclass(frozen=True, slots=True)
class Model:
    """A mixed model that explains one outcome by condition, or the reason why it could not be
    fitted.

    Attributes:
        outcome: The modelled outcome: detection of a pair, the utterance that revealed it, the
            seconds taken to answer, or their logarithm.
        n: Number of answers in the model.
        refused: Why the model could not be fitted, in one line; all attributes below are then
            empty or None. None if the model was fitted.
        test: Test of whether the conditions differ at all.
        deviations: Group -> standard deviation of its random intercepts; linear models also have
            the standard deviation of the residuals.
        means: Mean for each condition, on the scale of the link (log odds for detection).
        contrasts: Contrast for every pair of conditions, on the scale of the link.
        letters: Condition -> its letters in the compact letter display of the unadjusted
            contrasts. The best condition has the letter A.
        letters_holm: Condition -> its letters if the contrasts are adjusted with Holm's method.
    """

    outcome: Outcome
    n: int
    refused: str | None
    test: WaldTest | None
    deviations: dict[str, float]
    means: list[Mean]
    contrasts: list[Contrast]
    letters: dict[str, str]
    letters_holm: dict[str, str]


@dataclass(frozen=True, slots=True)
class JudgeAgainstPeople:
    """A comparison of a judge with people on the same pairs.

    Attributes:
        n: Number of pairs with both a judge's verdict and a participant's answer.
        judge_detects: Share of pairs in which the judge identifies the simulated dialogue.
        people_detect: Share of pairs in which people identify the simulated dialogue.
        agreement: Share of pairs that both the judge and people detect or that neither detects, 0
            to 1, with a 95% bootstrap interval.
        cohen_kappa: Agreement beyond chance, -1 to 1; None if undefined.
    """

    n: int
    judge_detects: Share
    people_detect: Share
    agreement: Interval | None
    cohen_kappa: Interval | None


@dataclass(frozen=True, slots=True)
class Attention:
    """The attention checks of a participant who failed at least one."""

    participant: str
    checks: int
    failed: int


@dataclass(frozen=True, slots=True)
class StudyResults:
    """All results of a study.

    `answers` does not count attention checks. `evenly` tells whether all pairs from a condition
    were drawn with the same probability, as mixed models assume.
    """

    answers: int
    participants: int
    source_persons: int
    conditions: list[str]
    evenly: bool
    attention_checks: int
    inattentive: list[Attention]
    rates: list[Rate]
    differences: list[RateDifference]
    models: list[Model]
    judge: JudgeAgainstPeople | None


def study_results(
    answers: Sequence[PairAnswer], verdicts: Sequence[PairVerdict] | None = None
) -> StudyResults:
    """Return the results computed from a study's answers and, if given, a judge's verdicts.

    Raises:
        SourceError: There are only answers to attention checks, or too many conditions.
    """
    counted = sorted(
        (one for one in answers if not one.attention_check), key=attrgetter("condition")
    )
    conditions = list(dict.fromkeys(one.condition for one in counted))
    if not counted:
        raise SourceError("only attention checks were answered, and results exclude them")
    if len(conditions) > MOST_CONDITIONS:
        raise SourceError(
            f"{len(conditions)} conditions are too many; at most {MOST_CONDITIONS} can be compared"
        )
    rates, differences = undetected(counted, verdicts)
    checks = [one for one in answers if one.attention_check]
    return StudyResults(
        answers=len(counted),
        participants=len({one.participant for one in counted}),
        source_persons=len({one.source_person for one in counted}),
        conditions=conditions,
        evenly=len({(one.condition, one.probability) for one in counted}) == len(conditions),
        attention_checks=len(checks),
        inattentive=_inattentive(checks),
        rates=rates,
        differences=differences,
        models=_models(counted),
        judge=_judge(counted, verdicts or []),
    )


def modelled(outcome: Outcome, fit: Fit, best: Callable[[Mean], float]) -> Model:
    """Return a fit with its tests; the sort key `best` is smallest for the best mean."""
    of, found = means(fit), contrasts(fit)
    best_first = [one.condition for one in sorted(of, key=best)]
    return Model(
        outcome=outcome,
        n=fit.n,
        refused=None,
        test=wald_test(fit),
        deviations=fit.deviations,
        means=of,
        contrasts=found,
        letters=letters(best_first, found, attrgetter("p")),
        letters_holm=letters(best_first, found, attrgetter("p_holm")),
    )


def _models(answers: Sequence[PairAnswer]) -> list[Model]:
    """Return the paper's three models, and an additional model of the logarithm of the seconds.

    The best condition is the hardest to detect: people detect it least often, at the latest
    utterance, or after the longest time.
    """
    located = [one for one in answers if one.detected and one.utterance is not None]
    numbers: dict[Outcome, tuple[Sequence[PairAnswer], list[float]]] = {
        "utterance": (located, [float(one.utterance or 0) for one in located]),
        "seconds": (answers, [one.seconds for one in answers]),
        "log seconds": (answers, [math.log1p(one.seconds) for one in answers]),
    }
    found = [_model("detection", answers, [float(one.detected) for one in answers])]
    return found + [_model(name, of, values) for name, (of, values) in numbers.items()]


def _model(outcome: Outcome, answers: Sequence[PairAnswer], values: Sequence[float]) -> Model:
    conditions = [one.condition for one in answers]
    groups: Mapping[str, Sequence[str]] = {
        "participant": [one.participant for one in answers],
        "source person": [one.source_person for one in answers],
    }
    try:
        if outcome == "detection":
            fit = fit_binomial([value > 0 for value in values], conditions, groups)
            return modelled(outcome, fit, attrgetter("value"))
        return modelled(outcome, fit_linear(values, conditions, groups), lambda one: -one.value)
    except SourceError as error:
        return Model(outcome, len(values), f"{error}", None, {}, [], [], {}, {})


def _inattentive(checks: Sequence[PairAnswer]) -> list[Attention]:
    """Return the participants who failed at least one attention check."""
    n = Counter(one.participant for one in checks)
    failed = Counter(one.participant for one in checks if not one.detected)
    return [Attention(who, n[who], failed[who]) for who in sorted(failed)]


def _judge(
    answers: Sequence[PairAnswer], verdicts: Sequence[PairVerdict]
) -> JudgeAgainstPeople | None:
    pairs = [
        (verdict.undetected < NO_VERDICT, one.detected)
        for one, verdict in zip(answers, verdicts_on(verdicts, answers), strict=True)
        if verdict is not None and verdict.undetected is not None
    ]
    if not pairs:
        return None
    judge, people = np.array(pairs, np.int64).T
    return JudgeAgainstPeople(
        n=len(pairs),
        judge_detects=Share.of(int(judge.sum()), len(pairs)),
        people_detect=Share.of(int(people.sum()), len(pairs)),
        agreement=statistic_interval(agreement_share, judge, people),
        cohen_kappa=statistic_interval(cohen_kappa, judge, people),
    )
