"""Equations 1 and 2, F1 and their intervals, and QAGS, all checked by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from convogen.downstream.qags import QUESTIONER, Questions, answer_f1, ask_questions, qags
from convogen.downstream.results import (
    drawn_macro_f1,
    drawn_mean,
    results,
)
from convogen.downstream.scoring import rouge_l_scores
from convogen.engine.item_runner import Asking
from convogen.errors import BudgetReached
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import Request
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Limits

SCRIPTED = ModelSpec(name="scripted")
MODELS = {"questioner": SCRIPTED, "answerer": SCRIPTED}


def test_improvement_and_coverage_with_intervals() -> None:
    cells = {
        "base": {"A": drawn_mean([0.1, 0.2, 0.3]), "B": drawn_mean([0.4, None, 0.4])},
        "synthetic": {"A": drawn_mean([0.2, 0.4, 0.6]), "B": drawn_mean([0.6, None, 0.6])},
        "in_domain": {"A": drawn_mean([0.4, 0.8, 1.2]), "B": drawn_mean([0.3, None, 0.3])},
    }
    found = results(cells)
    assert found.arms["base"]["B"].n == 2
    gained = found.improvement["synthetic"]
    assert astuple(gained["A"]) == pytest.approx((100, 100, 100, 3))
    assert (gained["B"].value, gained["average"].value) == pytest.approx((50, 75))
    covered = found.coverage["synthetic"]
    assert (covered["A"].value, covered["B"].value) == pytest.approx((50, 200))
    assert covered["average"].value == pytest.approx(125)
    assert set(found.coverage) == {"synthetic"}


def test_an_interval_holds_the_value_and_narrows_with_the_number_of_dialogues() -> None:
    widths: list[float] = []
    for n in (20, 500):
        shown = drawn_mean([at % 2 for at in range(n)]).interval()
        assert shown.low < shown.value < shown.high
        widths.append(shown.high - shown.low)
    assert widths[1] < widths[0] / 3


def test_no_interval_if_a_resample_has_nothing_to_compare_with() -> None:
    half = [0.0] * 5 + [1.0] * 5
    cells = {"base": {"A": drawn_mean([0.0] * 9 + [1.0])}, "synthetic": {"A": drawn_mean(half)}}
    found = results(cells)
    assert found.arms["base"]["A"].low is not None
    gained = found.improvement["synthetic"]["A"]
    assert astuple(gained) == (pytest.approx(400), None, None, 10)
    single = results({"base": {"A": drawn_mean([0.5])}})
    assert astuple(single.arms["base"]["A"]) == (0.5, None, None, 1)


def test_nothing_is_compared_with_what_is_missing_or_zero() -> None:
    zero = {"base": {"A": drawn_mean([0.0, 0.0])}, "synthetic": {"A": drawn_mean([0.5, 0.5])}}
    found = results(zero)
    assert found.improvement["synthetic"] == {"A": None, "average": None}
    assert found.coverage["synthetic"] is None
    assert drawn_mean([None, None]) is None


def test_two_arms_are_compared_over_the_dialogues_that_both_have_scores_of() -> None:
    cells = {
        "base": {"A": drawn_mean([0.1, 0.2, 0.9])},
        "synthetic": {"A": drawn_mean([0.2, 0.4, None])},
        "in_domain": {"A": drawn_mean([None, None, 0.5])},
    }
    found = results(cells)
    gained = found.improvement["synthetic"]["A"]
    assert (gained.value, gained.n) == (pytest.approx(100), 2)
    assert found.coverage["synthetic"] == {"A": None, "average": None}
    assert found.arms["base"]["A"].value == pytest.approx(0.4)


PAIR = st.tuples(st.sampled_from("abc"), st.sampled_from("abcd"))


@settings(max_examples=25, deadline=None)
@given(st.lists(PAIR, min_size=1, max_size=20))
def test_macro_f1_is_that_of_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    labels, predicted = ([pair[at] for pair in pairs] for at in (0, 1))
    expected = f1_score(labels, predicted, average="macro", zero_division=0)
    assert drawn_macro_f1(labels, predicted).value == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab cD,", max_size=20), st.text(alphabet="ab cD,", max_size=20))
def test_rouge_l_is_that_of_rouge_score(text: str, reference: str) -> None:
    from rouge_score.rouge_scorer import RougeScorer

    expected = RougeScorer(["rougeL"]).score(reference, text)["rougeL"].fmeasure
    assert rouge_l_scores([text], [reference]) == [pytest.approx(expected)]


@pytest.mark.parametrize(
    ("given", "wanted", "f1"),
    [
        ("The blue coat!", "blue coat", 1.0),
        ("a coat", "blue coat", 2 / 3),
        ("nine", "forty", 0.0),
        ("", "forty", 0.0),
        ("coat coat", "coat", 2 / 3),
    ],
)
def test_answers_are_compared_by_their_words(given: str, wanted: str, f1: float) -> None:
    assert answer_f1(given, wanted) == pytest.approx(f1)


ANSWERS = {"DIALOGUE": {"1": "forty", "2": "not said"}, "GOOD": {"1": "Forty."}, "BAD": {}}


class TestQags:
    def script(self, request: Request) -> str:
        text = request.messages[-1].content
        if "questions that this conversation answers" in text:
            return json.dumps({"questions": ["How much?", "Who?", "How much?", 3]})
        return json.dumps(next(said for key, said in ANSWERS.items() if key in text))

    def asking(self, folder: Path, tally: RunProgress | None = None) -> Asking:
        return Asking(folder, 4, tally, lambda _: ScriptedModel(self.script))

    def test_questions_count_that_the_dialogue_answers(self, tmp_path: Path) -> None:
        found = ask_questions(["DIALOGUE"], 5, MODELS, self.asking(tmp_path))
        assert found == [Questions(["How much?"], ["forty"])]
        scores = qags([*found, *found, *found], ["GOOD", "BAD", ""], MODELS, self.asking(tmp_path))
        assert scores == [1.0, 0.0, 0.0]

    def test_answers_may_be_compared_in_another_way_that_gets_them_as_they_are(
        self, tmp_path: Path
    ) -> None:
        compared: list[tuple[Sequence[str], Sequence[str]]] = []

        def alike(ours: Sequence[str], theirs: Sequence[str]) -> list[float]:
            compared.append((ours, theirs))
            return [0.25, 0.75]

        asked = [Questions(["How much?", "Who?"], ["forty", "Ann"])]
        asking = self.asking(tmp_path)
        assert qags(asked, [""], MODELS, asking, alike) == [0.5]
        assert compared == [(["not said", "not said"], ["forty", "Ann"])]

    def test_a_dialogue_without_questions_has_no_score(self, tmp_path: Path) -> None:
        assert qags([Questions([], [])], ["GOOD"], MODELS, self.asking(tmp_path)) == [None]

    def test_a_reply_that_cannot_be_read_is_no_score_and_not_0(self, tmp_path: Path) -> None:
        asked = [Questions(["How much?"], ["forty"])]
        asking = Asking(tmp_path, 4, None, lambda _: ScriptedModel(lambda _: '{"1": "for'))
        assert qags(asked, ["GOOD"], MODELS, asking) == [None]

    def test_what_was_cut_off_is_no_question_and_no_part_of_an_answer(self, tmp_path: Path) -> None:
        asked: list[Request] = []

        def script(request: Request) -> str:
            asked.append(request)
            if request.role == QUESTIONER:
                long = ("how did it come about that " * 20)[:330]
                return json.dumps({"questions": ["Who?", long, "x" * 900, {"a": 1}]})
            return json.dumps({"1": ("forty " * 30)[:129] + "f"})

        asking = Asking(tmp_path, 4, None, lambda _: ScriptedModel(script))
        [found] = ask_questions(["DIALOGUE"], 5, MODELS, asking)
        assert found == Questions(["Who?"], [("forty " * 21).strip() + "."])
        assert "at most 20 words" in asked[0].messages[-1].content
        assert "at most 8 words" in asked[1].messages[0].content

    def test_many_questions_get_room_for_their_answers(self, tmp_path: Path) -> None:
        most: list[int | None] = []

        def script(request: Request) -> str:
            most.append(request.sampling.max_tokens)
            return "{}"

        asking = Asking(tmp_path, 4, None, lambda _: ScriptedModel(script))
        ask_questions(["DIALOGUE"], 30, MODELS, asking)
        qags([Questions(["Who?"] * 30, ["he"] * 30)], ["GOOD"], MODELS, asking)
        assert most == [1260, 1260]

    def test_asked_again_it_costs_nothing(self, tmp_path: Path) -> None:
        first = ask_questions(["DIALOGUE"], 5, MODELS, self.asking(tmp_path))
        tally = RunProgress()
        assert ask_questions(["DIALOGUE"], 5, MODELS, self.asking(tmp_path, tally)) == first
        assert tally.counts["calls"] == 0
        ask_questions(["DIALOGUE, another"], 5, MODELS, self.asking(tmp_path, tally))
        assert tally.counts["calls"] == 2

    def test_one_budget_covers_questions_and_answers(self, tmp_path: Path) -> None:
        def asking(tokens: int) -> Asking:
            opener = lambda _: ScriptedModel(self.script)  # noqa: E731
            return Asking(tmp_path, 4, None, opener, Limits(tokens=tokens))

        questions = ask_questions(["DIALOGUE"], 5, MODELS, asking(9_000))
        summaries = [f"GOOD {n}" for n in range(9)]
        both = asking(1_300)
        ask_questions(["DIALOGUE, another"], 5, MODELS, both)
        with pytest.raises(BudgetReached, match="with a larger --budget-tokens"):
            qags([*questions] * 9, summaries, MODELS, both)
        assert qags([*questions] * 9, summaries, MODELS, asking(90_000)) == [1.0] * 9

    def test_a_model_that_says_nothing_useful(self, tmp_path: Path) -> None:
        asking = Asking(tmp_path, 4, None, lambda _: ScriptedModel(lambda _: "well"))
        assert ask_questions(["DIALOGUE"], 5, MODELS, asking) == [Questions([], [])]
