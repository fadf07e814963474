"""LLM Roleplay's human study: table 3 from answers, and the paper's own numbers recomputed."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.simulated_study import answers_of, simulated
from convogen.papers.roleplay.human_study import (
    SUBSETS,
    Spread,
    checks,
    printed,
    printed_confidences,
    printed_counts,
    table_3,
)
from convogen.papers.roleplay.human_study_chart import figure_2, figure_13
from convogen.published import published


def test_the_printed_counts_add_up_and_three_percentages_do_not() -> None:
    found = checks()
    assert Counter(one.verdict for one in found) == {"rounded": 49, "off": 3}
    off = {one.row: (one.cell, one.printed, one.computed) for one in found if one.verdict == "off"}
    assert off == {
        "Llama-2": ("total_somewhat_percent", 42.5, 29.5),
        "Mixtral": ("total_somewhat_percent", 25.0, 42.5),
        "Vicuna": ("total_somewhat_percent", 20.0, 25.0),
    }
    assert printed_counts() == {
        "Llama-2": (133, 200),
        "Mixtral": (112, 200),
        "Vicuna": (155, 200),
        "GPT4": (130, 200),
    }


def test_table_10_comes_out_of_table_3_without_random_effects() -> None:
    paper = printed()
    assert paper.tests == {"detection": 21.49, "utterance": 31.73}
    models = {one.outcome: one for one in paper.recomputed}
    for outcome, letters in paper.letters.items():
        assert models[outcome].letters == letters
    statistics = {name: one.test.statistic for name, one in models.items() if one.test}
    assert statistics == pytest.approx(
        {"detection": 20.343, "utterance": 31.541, "seconds": 1.100}, abs=0.001
    )
    assert models["detection"].letters_holm != paper.letters["detection"]
    assert models["utterance"].letters_holm == paper.letters["utterance"]


def test_table_3_counts_answers_by_subset() -> None:
    answers = answers_of(simulated(2, participants=4, persons=6, each=12))
    check = answers[0].model_copy(update={"attention_check": True, "pair": "check"})
    found = table_3([*answers, check])
    assert [one.name for one in found] == sorted(one.name for one in found)
    for one in found:
        total, detected, undetected = (one.subsets[name] for name in SUBSETS)
        assert total.n == detected.n + undetected.n == 12
        assert sum(total.confidences.values()) == total.n
        assert one.undetected_percent == pytest.approx(100 * undetected.n / 12)
    (first,) = table_3(answers[:1])
    assert first.subsets["total"].seconds == Spread(answers[0].seconds, None)
    assert (
        first.subsets["detected" if not answers[0].detected else "undetected"].seconds.mean is None
    )


def test_bars_stack_to_the_rates() -> None:
    answers = answers_of(simulated(2, participants=4, persons=6, each=12))
    found = table_3(answers)
    bars = figure_2(found, "undetected")
    for one in found:
        assert sum(bars[one.name].values()) == pytest.approx(one.undetected_percent)
    assert sum(sum(of.values()) for of in figure_13(answers).values()) == pytest.approx(100)
    theirs = printed_confidences("undetected")
    rows = published("roleplay")["3"].rows
    for name, of in theirs.items():
        assert sum(of.values()) == pytest.approx(rows[name]["undetected_percent"])
