"""The draw of pairs: what each participant sees, for all possible sizes."""

from __future__ import annotations

import random
from collections import Counter
from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.errors import SourceError
from convogen.study.answers import Pair
from convogen.study.assignment import inclusion_probabilities, systematic_sample
from convogen.study.candidates import Candidate, StudyDialogue, candidate_pairs
from convogen.study.pairing import draw_pairs

MODELS = ("Llama-2", "Mixtral", "Vicuna", "GPT4")


def dialogues(
    persons: int, goals: int, conditions: tuple[str, ...] = MODELS
) -> tuple[list[StudyDialogue], list[StudyDialogue]]:
    cells = [(f"s{p}", f"g{g}") for p in range(persons) for g in range(goals)]
    natural = [StudyDialogue(f"n-{s}-{g}", s, g, "bot") for s, g in cells]
    simulated = [
        StudyDialogue(f"{c}-{s}-{g}", s, g, "bot", c) for s, g in cells for c in conditions
    ]
    return natural, simulated


def candidates(persons: int, goals: int, conditions: tuple[str, ...] = MODELS) -> list[Candidate]:
    return candidate_pairs(*dialogues(persons, goals, conditions), seed=0)


def codes(n: int) -> list[str]:
    return [f"p{at}" for at in range(n)]


def check(pairs: list[Pair], participants: list[str], per_participant: int, c: int) -> None:
    """Check the requirements of section 3.4 of the paper, and of the study's design, for a draw."""
    real = [one for one in pairs if not one.attention_check]
    assert len({one.pair for one in pairs}) == len(pairs)
    assert len({one.simulated for one in real}) == len(real)
    assert [who for who, _ in groupby(pairs, lambda one: one.participant)] == participants
    for participant in participants:
        own = [one for one in pairs if one.participant == participant]
        assert len({(one.source_person, one.goal) for one in own}) == len(own)
        shown = [one for one in own if not one.attention_check]
        counts = Counter(one.condition for one in shown)
        assert set(counts.values()) == {per_participant // c}
        left = Counter(one.condition for one in shown if one.artificial_side == "left")
        for condition, n in counts.items():
            assert abs(2 * left[condition] - n) <= 1
        assert abs(2 * left.total() - per_participant) <= 1
    assert abs(2 * sum(one.artificial_side == "left" for one in real) - len(real)) <= 1


def test_the_papers_study_gives_every_pair_to_one_of_20_people() -> None:
    pairs = draw_pairs(candidates(20, 10), codes(20), 40, seed=5)
    assert len(pairs) == 800
    check(pairs, codes(20), 40, 4)
    assert {one.probability for one in pairs} == {1.0}
    assert Counter(one.condition for one in pairs) == dict.fromkeys(MODELS, 200)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(0, 2),
    st.integers(0, 10**6),
)
def test_any_size_is_drawn_as_asked_or_refused(
    persons: int, goals: int, participants: int, each: int, conditions: int, checks: int, seed: int
) -> None:
    names, people = MODELS[:conditions], codes(participants)
    of = candidates(persons, goals, names)

    def drawn() -> list[Pair]:
        return draw_pairs(of, people, each * conditions, seed=seed, attention_checks=checks)

    cells = persons * goals
    if each * participants <= cells and each * conditions + checks <= cells:
        pairs = drawn()
        check(pairs, people, each * conditions, conditions)
        assert Counter(one.participant for one in pairs if one.attention_check) == (
            dict.fromkeys(people, checks) if checks else {}
        )
        assert pairs == drawn()
        want = each * participants / cells
        assert all(
            one.probability == pytest.approx(want) for one in pairs if not one.attention_check
        )
    else:
        with pytest.raises(SourceError) as refused:
            drawn()
        assert "\n" not in str(refused.value)


def test_the_order_of_the_dialogues_changes_nothing() -> None:
    natural, simulated = dialogues(5, 4)
    shuffled = list(simulated)
    random.Random(3).shuffle(shuffled)
    of, again = (candidate_pairs(natural, one, seed=1) for one in (simulated, shuffled))
    assert of == again
    assert draw_pairs(of, codes(5), 8, seed=1) != draw_pairs(of, codes(5), 8, seed=2)


def test_only_dialogues_of_the_same_person_goal_and_responder_are_paired() -> None:
    natural = [StudyDialogue("n", "s", "g", "bot")]
    other = [StudyDialogue("a", "s", "g", "another", "M"), StudyDialogue("b", "t", "g", "bot", "M")]
    with pytest.raises(SourceError, match=r"no pairs .* same person, goal and responder"):
        candidate_pairs(natural, other, seed=0)
    twice = [StudyDialogue(f"{at}", "s", "g", "bot", "M") for at in range(3)]
    (one,) = candidate_pairs(natural, [*other, *twice], seed=0)
    assert one.simulated in {"0", "1", "2"}
    assert "M" not in one.id


@pytest.mark.parametrize(
    ("people", "each", "said"),
    [
        (0, 4, "at least 1 participant"),
        (2, 6, "cannot be split evenly over 4 conditions; .* such as 4"),
        (9, 4, "needs 9 pairs per condition for .* 'GPT4' has only 6"),
        (
            1,
            8,
            "showing a participant two pairs with the same person and goal .with 6 combinations of "
            "person and goal, the maximum is 6 pairs",
        ),
    ],
)
def test_what_is_impossible_is_said_in_one_line(people: int, each: int, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        draw_pairs(candidates(3, 2), codes(people), each, seed=0)
    with pytest.raises(SourceError, match="the same name"):
        draw_pairs(candidates(3, 2), ["a", "a"], 4, seed=0)
    with pytest.raises(SourceError, match=r"attention_checks: must be at most 2, "):
        draw_pairs(candidates(3, 2), ["a"], 4, seed=0, attention_checks=3)


def test_adaptive_prefers_what_the_judge_is_unsure_of() -> None:
    of = candidates(10, 10)
    predicted = {one.id: 0.5 if one.goal < "g5" else 0.02 for one in of}
    pairs = draw_pairs(
        of, codes(5), 40, seed=3, assignment="adaptive", predicted=predicted, attention_checks=1
    )
    check(pairs, codes(5), 40, 4)
    shown = [one for one in pairs if not one.attention_check]
    unsure = [one for one in shown if one.goal < "g5"]
    assert len(unsure) > 0.6 * len(shown)
    assert min(one.probability for one in shown) > 0.1
    assert len({one.probability for one in shown}) == 2
    with pytest.raises(SourceError, match="for every pair; add the verdicts missing for 100 of"):
        draw_pairs(of, codes(5), 40, seed=3, assignment="adaptive")
    with pytest.raises(SourceError, match="as many participants as conditions"):
        draw_pairs(of, codes(2), 40, seed=3, assignment="adaptive", predicted=predicted)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.data())
def test_samples_have_their_size_and_probabilities_add_up(
    predicted: list[float], data: st.DataObject
) -> None:
    n = data.draw(st.integers(1, len(predicted)))
    probabilities = inclusion_probabilities(predicted, n)
    assert all(0 < p <= 1 for p in probabilities)
    assert sum(probabilities) == pytest.approx(n)
    chosen = systematic_sample(probabilities, random.Random(data.draw(st.integers(0, 999))))
    assert len(set(chosen)) == len(chosen) == n


def test_each_pair_is_drawn_as_often_as_its_probability_says() -> None:
    probabilities = inclusion_probabilities([0.5, 0.5, 0.1, 0.01, 0.3, 0.0, 0.9], 3)
    draw, times = random.Random(1), 20_000
    counts = Counter(at for _ in range(times) for at in systematic_sample(probabilities, draw))
    for at, p in enumerate(probabilities):
        assert counts[at] / times == pytest.approx(p, abs=4 * (p * (1 - p) / times) ** 0.5 + 1e-12)
