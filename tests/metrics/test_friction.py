"""Shares of turns with a behaviour, calculated by hand, and properties that hold for any turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.metrics.friction import BehaviourTally, share_differences
from convogen.metrics.judged_friction import BehaviourAgreement

TURNS = st.lists(
    st.lists(st.sets(st.sampled_from(["evasion", "refusal"])), min_size=1, max_size=7), max_size=9
)


def tallied(conversations: list[list[set[str]]]) -> BehaviourTally:
    tally = BehaviourTally()
    for turns in conversations:
        tally.add(turns)
    return tally


def test_shares_and_histograms_by_hand() -> None:
    evades, nothing = {"evasion"}, set[str]()
    tally = tallied([[evades] * 5 + [nothing], [evades, nothing], [nothing]])
    found = tally.friction(["evasion", "refusal"], "rules", "rules")
    assert found is not None
    assert (found.conversations, found.turns) == (3, 9)
    assert found.shares["evasion"].value == pytest.approx(6 / 9)
    assert found.histograms["evasion"] == pytest.approx((1 / 3, 1 / 3, 0, 0, 1 / 3))
    assert found.histograms["refusal"] == (1, 0, 0, 0, 0)
    assert BehaviourTally().friction(["evasion"], "rules", "rules") is None


@given(TURNS, TURNS)
def test_tallies_merge_and_shares_are_within_their_intervals(
    first: list[list[set[str]]], second: list[list[set[str]]]
) -> None:
    merged = tallied(first)
    merged.merge(tallied(second))
    names = ["evasion", "refusal"]
    found = merged.friction(names, "rules", "rules")
    assert found == tallied([*first, *second]).friction(names, "rules", "rules")
    if found is None:
        return
    for name in names:
        share = found.shares[name]
        assert 0 <= share.low <= share.value <= share.high <= 1
        assert sum(found.histograms[name]) == pytest.approx(1)


def test_only_what_was_told_alike_is_compared() -> None:
    tally = tallied([[{"evasion"}, set()], [set(), set()]])
    rules = tally.friction(["evasion"], "rules", "rules")
    judge = tally.friction(["evasion", "sarcasm"], "big", "ab12")
    other = tally.friction(["evasion"], "big", "cd34")
    assert share_differences(rules, rules)["evasion"].value == 0
    assert set(share_differences(judge, judge)) == {"evasion", "sarcasm"}
    for one, beside in ((rules, judge), (judge, other), (rules, None), (None, rules)):
        assert share_differences(one, beside) == {}


def test_agreement_by_hand() -> None:
    assert BehaviourAgreement.of(10, 4, 4, 4).kappa == pytest.approx(1.0)
    assert BehaviourAgreement.of(10, 0, 0, 0).kappa is None
    # agreement: 7 of 10; by chance: 0.4 * 0.3 + 0.6 * 0.7 = 0.54
    assert BehaviourAgreement.of(10, 4, 3, 2).kappa == pytest.approx((0.7 - 0.54) / 0.46)
