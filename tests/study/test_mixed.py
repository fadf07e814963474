"""Mixed models, checked against lme4, known effects and the paper's letters; missing estimates."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulated_study import LOG_ODDS, Study, simulated
from convogen.errors import SourceError
from convogen.study.contrasts import Contrast, contrasts, letters, means, wald_test
from convogen.study.mixed import Fit, fit_binomial, fit_linear, fit_shares

PRINTED = {"Llama-2": (133, 200), "Mixtral": (112, 200), "Vicuna": (155, 200), "GPT4": (130, 200)}
"""The numbers of detected pairs and of all pairs in table 3."""

STUDIES = {
    "both vary": {},
    "nobody varies": {"of_participants": 0.0, "of_persons": 0.0},
    "only persons vary": {"of_participants": 0.0, "of_persons": 0.7},
    "small and crossed in part": {"participants": 7, "persons": 11, "each": 12},
    "two conditions": {"log_odds": {"A": 0.2, "B": -0.4}, "each": 10},
}

LME4 = r"""
suppressMessages({library(lme4); library(emmeans)})
named <- function(of) setNames(as.list(as.numeric(of)), names(of))
of <- function(fit) list(
  means = named(fixef(fit)),
  errors = named(sqrt(diag(as.matrix(vcov(fit))))),
  deviations = named(sapply(VarCorr(fit), function(v) attr(v, "stddev"))),
  pairs = as.list(as.data.frame(pairs(emmeans(fit, "condition", lmer.df = "asymptotic"),
    adjust = "none"))[c("estimate", "SE", "p.value")]))
out <- list()
for (file in commandArgs(TRUE)) {
  d <- read.csv(file); d$condition <- factor(d$condition, unique(d$condition))
  b <- suppressMessages(glmer(detected ~ 0 + condition + (1|participant) + (1|person), d, binomial,
    nAGQ = 1, control = glmerControl("bobyqa", tolPwrss = 1e-12, optCtrl = list(rhoend = 1e-9))))
  l <- suppressMessages(lmer(utterance ~ condition + (1|participant) + (1|person), d))
  m <- suppressMessages(lmer(utterance ~ 0 + condition + (1|participant) + (1|person), d))
  out[[length(out) + 1]] <- list(binomial = of(b), linear = of(m), F = anova(l)$"F value")
}
text <- function(x) if (is.list(x))
  if (is.null(names(x))) paste0("[", paste(sapply(x, text), collapse = ","), "]") else
    paste0("{", paste0("\"", names(x), "\":", sapply(x, text), collapse = ","), "}") else
  paste0("[", paste(format(x, digits = 15), collapse = ","), "]")
cat(text(out))
"""


@pytest.fixture(scope="module")
def lme4(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not installed")
    folder = tmp_path_factory.mktemp("lme4")
    files: list[Path] = []
    for nth, setting in enumerate(STUDIES.values()):
        study = simulated(nth, **setting)
        with (folder / f"{nth}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(["participant", "person", "condition", "detected", "utterance"])
            detected = map(int, study.detected)
            rows.writerows(
                zip(
                    study.participants,
                    study.persons,
                    study.conditions,
                    detected,
                    study.utterances,
                    strict=True,
                )
            )
        files.append(folder / f"{nth}.csv")
    (folder / "lme4.R").write_text(LME4, "utf-8")
    ended = subprocess.run(
        ["Rscript", folder / "lme4.R", *files], capture_output=True, text=True, check=False
    )
    if "there is no package called" in ended.stderr:
        pytest.skip("R lacks lme4 or emmeans")
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def agrees(fit: Fit, with_: Any) -> None:
    assert list(with_["means"]) == [f"condition{name}" for name in fit.conditions]
    assert fit.means == pytest.approx([v[0] for v in with_["means"].values()], abs=1e-4)
    errors = np.sqrt(np.diag(fit.covariance))
    assert errors == pytest.approx([v[0] for v in with_["errors"].values()], abs=1e-4)
    names = [f"{name}.(Intercept)" for name in ("participant", "person")]
    deviations = [with_["deviations"][name][0] for name in names]
    assert list(fit.deviations.values())[:2] == pytest.approx(deviations, abs=1e-3)
    ours = contrasts(fit)
    assert [one.difference for one in ours] == pytest.approx(with_["pairs"]["estimate"], abs=1e-4)
    assert [one.error for one in ours] == pytest.approx(with_["pairs"]["SE"], abs=1e-4)
    if fit.df is None:
        assert [one.p for one in ours] == pytest.approx(with_["pairs"]["p.value"], abs=1e-4)


@pytest.mark.parametrize("nth", range(len(STUDIES)), ids=list(STUDIES))
def test_fits_are_those_of_lme4(lme4: list[Any], nth: int) -> None:
    study = simulated(nth, **list(STUDIES.values())[nth])
    agrees(fit_binomial(study.detected, study.conditions, study.groups()), lme4[nth]["binomial"])
    linear = fit_linear(study.utterances, study.conditions, study.groups())
    agrees(linear, lme4[nth]["linear"])
    assert wald_test(linear).statistic == pytest.approx(lme4[nth]["F"][0], rel=1e-5)


def test_without_random_effects_the_printed_counts_give_the_printed_letters() -> None:
    fit = fit_shares(PRINTED)
    test = wald_test(fit)
    assert (test.kind, test.df) == ("chi-square", 3)
    assert test.statistic == pytest.approx(20.34, abs=0.005)
    found = contrasts(fit)
    assert {(one.first, one.second): round(one.p, 3) for one in found} == {
        ("Llama-2", "Mixtral"): 0.032,
        ("Llama-2", "Vicuna"): 0.015,
        ("Llama-2", "GPT4"): 0.752,
        ("Mixtral", "Vicuna"): 0.0,
        ("Mixtral", "GPT4"): 0.066,
        ("Vicuna", "GPT4"): 0.006,
    }
    best = [one.condition for one in sorted(means(fit), key=lambda one: one.value)]
    assert letters(best, found, lambda one: one.p) == {
        "Llama-2": "B",
        "Mixtral": "A",
        "Vicuna": "C",
        "GPT4": "AB",
    }
    assert letters(best, found, lambda one: one.p_holm) == {
        "Llama-2": "AB",
        "Mixtral": "A",
        "Vicuna": "B",
        "GPT4": "A",
    }


def test_a_mixed_model_without_variance_is_the_one_without_random_effects() -> None:
    """Everybody detects the same share of pairs in every condition."""
    rows = [(f"p{p}", f"s{s}", c, d) for p in range(6) for s in range(6) for c, d in CYCLE]
    participants, persons, conditions, detected = (
        list(column) for column in zip(*rows, strict=True)
    )
    fit = fit_binomial(detected, conditions, {"participant": participants, "person": persons})
    assert fit.deviations == {"participant": 0, "person": 0}
    counts = {"A": (36, 108), "B": (72, 108)}
    plain = fit_shares(counts)
    assert fit.means == pytest.approx(plain.means, abs=1e-5)
    assert fit.covariance == pytest.approx(plain.covariance, abs=1e-5)


CYCLE = [("A", True), ("A", False), ("A", False), ("B", True), ("B", True), ("B", False)]


def test_units_do_not_matter() -> None:
    study = simulated(3, participants=6, each=12)
    seconds, minutes = (
        fit_linear([value * unit for value in study.utterances], study.conditions, study.groups())
        for unit in (1.0, 6e4)
    )
    assert minutes.means == pytest.approx(6e4 * seconds.means)
    assert wald_test(minutes).statistic == pytest.approx(wald_test(seconds).statistic)
    assert minutes.deviations["residual"] == pytest.approx(6e4 * seconds.deviations["residual"])


def small(**columns: Any) -> Study:
    rows: dict[str, Any] = {
        "participants": ["p", "p", "q", "q"],
        "persons": ["s", "t", "s", "t"],
        "conditions": ["A", "B", "B", "A"],
        "detected": [True, False, True, False],
        "utterances": [1.0, 2.0, 3.0, 5.0],
    }
    return Study(**{**rows, **columns})


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (small(conditions=["A"] * 4), "needs 2 to 26 conditions .found 1."),
        (small(participants=["p"] * 4), "only 1 participant"),
        (small(persons=["s"] * 4), "only 1 source person"),
        (small(persons=list("stuv")), "every answer has a different source person"),
        (small(detected=[True, True, False, True]), "all of the answers in condition 'A' are pos"),
        (small(detected=[False, True, False, False]), "none of the answers in condition 'A' are"),
    ],
)
def test_what_has_no_estimate_is_refused_in_one_line(study: Study, said: str) -> None:
    with pytest.raises(SourceError, match=said) as refused:
        fit_binomial(study.detected, study.conditions, study.groups())
    assert "\n" not in str(refused.value)


def test_numbers_that_do_not_vary_or_are_too_few_are_refused() -> None:
    study = small()
    with pytest.raises(SourceError, match="all values are the same"):
        fit_linear([2.0] * 4, study.conditions, study.groups())
    with pytest.raises(SourceError, match="4 answers are too few for 2 conditions and 4 random"):
        fit_linear(study.utterances, study.conditions, study.groups())
    with pytest.raises(SourceError, match="found 0"):
        fit_linear([], [], {"participant": []})


def test_answers_that_the_effects_explain_whole_are_refused() -> None:
    study = simulated(1, participants=6, persons=6, each=12)
    numbers = [float(who[1:]) for who in study.participants]
    with pytest.raises(SourceError, match="the condition, the participant and the"):
        fit_linear(numbers, study.conditions, study.groups())
    always = [number > 2 for number in numbers]
    with pytest.raises(SourceError, match="nearly all answers for each participant are the same"):
        fit_binomial(always, study.conditions, study.groups())


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 24), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_any_answers_have_a_finite_fit_or_one_line(
    n: int, participants: int, conditions: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    groups = {
        "participant": [f"p{at}" for at in draw.integers(participants, size=n)],
        "person": [f"s{at}" for at in draw.integers(3, size=n)],
    }
    of = [f"c{at}" for at in draw.integers(conditions, size=n)]
    for fit in (
        lambda: fit_binomial((draw.random(n) < 0.6).tolist(), of, groups),
        lambda: fit_linear(draw.integers(4, size=n).astype(float).tolist(), of, groups),
    ):
        try:
            found = fit()
        except SourceError as refused:
            assert "\n" not in str(refused)  # noqa: PT017
            continue
        assert np.all(np.isfinite(found.means))
        assert all(one.error > 0 for one in contrasts(found))
        assert 0 <= wald_test(found).p <= 1


NAMES = st.integers(1, 7).map(lambda n: [f"c{at}" for at in range(n)])


@given(NAMES, st.data())
def test_letters_are_shared_exactly_by_conditions_that_do_not_differ(
    names: list[str], data: st.DataObject
) -> None:
    """The requirements for letter displays (Piepho, 2004) hold whatever conditions differ."""
    ps = st.sampled_from([0.001, 0.04, 0.9])
    found = [
        Contrast(one, two, 0.0, 1.0, -2.0, 2.0, data.draw(ps), 1.0)
        for at, one in enumerate(names)
        for two in names[at + 1 :]
    ]
    display = letters(names, found, lambda one: one.p)
    assert display[names[0]].startswith("A")
    for one in found:
        shared = set(display[one.first]) & set(display[one.second])
        assert bool(shared) == (one.p >= 0.05)
    assert all(display.values())


def test_known_effects_are_recovered() -> None:
    study = simulated(11, participants=40, persons=40, each=40)
    fit = fit_binomial(study.detected, study.conditions, study.groups())
    errors = np.sqrt(np.diag(fit.covariance))
    assert np.all(np.abs(fit.means - list(LOG_ODDS.values())) < 3 * errors)
    assert fit.deviations["participant"] == pytest.approx(0.6, abs=0.2)
    assert fit.deviations["source person"] == pytest.approx(0.4, abs=0.2)
