"""Shares of undetected pairs: weights, clusters, and judges whose verdicts help or do not help."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.simulated_study import answered, answers_of, pool, simulated
from benchmarks.study import Coverage, faults, mixed_models, not_held, shares
from convogen.errors import SourceError
from convogen.reports.calibration import prediction_powered
from convogen.study.answers import PairAnswer
from convogen.study.candidates import candidate_pairs
from convogen.study.undetected import undetected
from convogen.study.verdicts import PairVerdict, predicted, read_pair_verdicts


def answer(
    at: int, detected: bool, *, probability: float = 1.0, who: str = "", about: str = ""
) -> PairAnswer:
    return PairAnswer(
        pair=f"pair-{at}",
        participant=who or f"p{at}",
        source_person=about or f"s{at}",
        goal="g",
        condition="M",
        natural=f"n{at}",
        simulated=f"m{at}",
        artificial_side="left",
        choice="left" if detected else "right",
        confidence="very",
        utterance=1,
        seconds=3,
        probability=probability,
    )


def verdict(at: int, value: float | None) -> PairVerdict:
    return PairVerdict("M", value, f"pair-{at}")


def test_answers_weigh_by_the_inverse_of_their_probability() -> None:
    """Two undetected pairs had the probability 1/2, and two detected pairs had 1/6: 4 of 16."""
    answers = [answer(at, at > 1, probability=1 / 2 if at < 2 else 1 / 6) for at in range(4)]
    (rate,), _ = undetected(answers)
    assert rate.alone.value == pytest.approx(1 / 4)
    assert (rate.answers, rate.powered, rate.weight) == (4, None, None)


def test_independent_answers_have_the_interval_of_a_mean() -> None:
    """For 6 of 20, the interval is 0.3 ± 2.093024 × √(0.21 / 19)."""
    (rate,), _ = undetected([answer(at, at >= 6) for at in range(20)])
    half = 2.093024 * math.sqrt(0.21 / 19)
    assert rate.alone.low == pytest.approx(0.3 - half, abs=1e-6)
    assert rate.alone.high == pytest.approx(0.3 + half, abs=1e-6)


def test_participants_that_always_answer_alike_count_as_one_answer_each() -> None:
    """Ten people give five answers each, and four detect nothing: the half-width is t(9) ×
    √(0.24 / 9)."""
    answers = [answer(at, at % 10 > 3, who=f"p{at % 10}") for at in range(50)]
    (rate,), _ = undetected(answers)
    half = 2.2621572 * math.sqrt(0.24 / 9)
    assert rate.alone.low == pytest.approx(0.4 - half, abs=1e-6)
    assert rate.alone.high == pytest.approx(0.4 + half, abs=1e-6)


def test_what_people_share_cancels_in_differences() -> None:
    """Each person answers a pair of both conditions alike, so the difference is 0 in every
    sample."""
    of = [answer(at, at % 2 == 0, who=f"p{at}") for at in range(10)]
    other = [one.model_copy(update={"condition": "V", "pair": f"v-{one.pair}"}) for one in of]
    rates, (difference,) = undetected([*of, *other])
    assert difference.alone.value == 0
    assert difference.alone.low is None
    assert all(one.alone.low is not None for one in rates)


def test_equal_answers_have_no_interval() -> None:
    (rate,), _ = undetected([answer(at, True) for at in range(5)], [verdict(0, 0.2)])
    assert (rate.alone.value, rate.alone.low) == (0, None)
    (single,), _ = undetected([answer(0, True)])
    assert single.alone.low is None


@pytest.mark.parametrize("seed", range(3))
def test_even_independent_answers_are_those_of_the_report(seed: int) -> None:
    """`reports.calibration` has the same estimator, with the variances of two separate samples."""
    draw = np.random.default_rng(seed)
    truth = draw.random(400) < 0.4
    judged = np.where(truth, draw.random(400) < 0.85, draw.random(400) < 0.2)
    (rate,), _ = undetected(
        [answer(at, not truth[at]) for at in range(80)],
        [verdict(at, float(one)) for at, one in enumerate(judged)],
    )
    known = prediction_powered(judged[80:], judged[:80], truth[:80])
    assert rate.powered is not None
    assert rate.pairs == 400
    assert rate.powered.value == pytest.approx(known.value, abs=0.01)
    assert rate.powered.low == pytest.approx(known.low, abs=0.01)
    assert rate.powered.high == pytest.approx(known.high, abs=0.01)


def test_a_perfect_judge_leaves_its_own_rate_over_all_pairs() -> None:
    answers = [answer(at, at % 2 == 0) for at in range(20)]
    verdicts = [verdict(at, float(at % 2)) for at in range(20)]
    verdicts += [verdict(at, float(at < 65)) for at in range(20, 100)]
    (rate,), _ = undetected(answers, verdicts)
    assert rate.powered is not None
    assert rate.weight == 1
    assert rate.powered.value == pytest.approx((10 + 45) / 100)


@given(st.lists(st.sampled_from([None, 0.0, 0.3, 1.0]), min_size=30, max_size=60))
def test_verdicts_never_make_the_interval_wider(values: list[float | None]) -> None:
    """The weight 0, which uses the answers alone, can always be chosen."""
    answers = [answer(at, at % 3 == 0) for at in range(30)]
    (rate,), _ = undetected(answers, [verdict(at, value) for at, value in enumerate(values)])
    assert rate.powered is not None
    assert rate.weight is not None
    assert 0 <= rate.weight <= 1
    ends = [(one.low, one.value, one.high) for one in (rate.alone, rate.powered)]
    assert all(low is not None and high is not None for low, _, high in ends)
    assert all(0 <= (low or 0) <= value <= (high or 0) <= 1 for low, value, high in ends)
    alone, powered = ((high or 0) - (low or 0) for low, _, high in ends)
    cut_off = any(low == 0 or high == 1 for low, _, high in ends)
    assert cut_off or powered <= alone + 1e-9


def written(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_verdicts_are_read_by_pair_or_from_a_run_that_gteval_judged(tmp_path: Path) -> None:
    answers = [answer(at, at > 1) for at in range(4)]
    ours = written(
        tmp_path / "ours.jsonl",
        [{"pair": "pair-1", "condition": "M", "undetected": 0.25, "source_person": "s1"}],
    )
    assert read_pair_verdicts([ours], answers) == [PairVerdict("M", 0.25, "pair-1", None, "s1")]
    rows: list[dict[str, object]] = [
        {"judge": "gteval", "conversation": f"m{at}", "choice": choice}
        for at, choice in enumerate(["Conversation 2", "Neither", None, "Conversation 1", "Both"])
    ]
    judged = read_pair_verdicts([written(tmp_path / "gteval.jsonl", rows)], answers)
    assert [one.undetected for one in judged] == [0, 1, None, 1, 1]
    assert [one.source_person for one in judged] == ["s0", "s1", "s2", "s3", None]
    (rate,), _ = undetected(answers, judged)
    assert (rate.answers, rate.pairs) == (4, 5)


def test_verdicts_of_nothing_or_of_two_conditions_are_refused_in_one_line(tmp_path: Path) -> None:
    answers = [answer(0, True), answer(1, True).model_copy(update={"condition": "V"})]
    row: dict[str, object] = {"judge": "gteval", "conversation": "m0", "choice": "Both"}
    for rows, said in (
        ([{**row, "conversation": "x"}], "verdicts on none of the study's pairs"),
        ([row, {**row, "conversation": "m1"}], "verdicts on 2 conditions"),
        ([{"pair": "a", "condition": "M", "undetected": 2}], "line 1: undetected: "),
        ([{"pair": "a", "condition": "M"}] * 2, "two verdicts on 'pair a'"),
        ([{"choice": "Perhaps"}], "allowed: Conversation 1"),
    ):
        with pytest.raises(SourceError, match=said) as refused:
            read_pair_verdicts([written(tmp_path / "file.jsonl", rows)], answers)
        assert "\n" not in str(refused.value)


def test_a_judges_probabilities_are_handed_to_the_draw() -> None:
    of = pool(1, persons=3, goals=2)
    assert predicted(of.verdicts, of.candidates) == {
        one.pair: one.undetected for one in of.verdicts
    }
    by_dialogue = [PairVerdict("M", 0.5, None, of.candidates[0].simulated)]
    assert predicted(by_dialogue, of.candidates) == {of.candidates[0].id: 0.5}
    with pytest.raises(SourceError):
        candidate_pairs([], [], seed=0)


@pytest.mark.slow
def test_intervals_hold_in_simulated_studies() -> None:
    """This is a small part of `benchmarks.study`, with bounds that allow for chance."""
    studies = 10
    assert not list(not_held(mixed_models(studies, participants=10, each=24), studies))
    found = shares(studies)
    assert not list(faults(found, studies))
    for one in found.values():
        assert abs(one.bias) < 4 * one.rms / math.sqrt(studies)


def test_a_coverage_that_is_too_low_is_seen() -> None:
    low = Coverage()
    for at in range(40):
        low.add(0.0, -1.0, 1.0, 0.0 if at % 5 else 2.0)
    assert list(not_held({"of": low}, 40)) == ["of: 80.0% of the intervals contain the effect"]
    assert not list(not_held({"of": low}, 4))


def test_simulated_answers_are_answers() -> None:
    of = pool(2, persons=10, goals=6)
    answers = answered(of, 2, "adaptive", participants=5, each=8)
    assert len({one.probability for one in answers}) > 2
    assert len(answers_of(simulated(1, participants=3, each=8))) == 24
