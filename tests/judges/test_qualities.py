"""FED, GPTScore and G-Eval on a scale from 1 to 3: their values for any dialogue."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from math import log
from pathlib import Path

import pytest

from convogen import Experiment, run
from convogen.engine.judge_runner import judge_run
from convogen.judges.base import Judge
from convogen.judges.fed import FOLLOW_UPS, Fed, FollowUps
from convogen.judges.geval3 import QUALITIES, GEval3
from convogen.judges.gptscore import QUESTIONS, GPTScore
from convogen.models.backends.scripted import Script, ScriptedModel
from convogen.models.base import ModelReply, Request, TokenLogprob
from convogen.models.spec import ModelSpec
from convogen.published import published
from convogen.records import Score
from convogen.storage.run_folder import load_run

SCRIPTED = ModelSpec(name="scripted")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("qualities") / "run"
    run(Experiment.load("GPFS-s", {"n": 1, "models": "scripted", "max_turns": 4}), folder)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "run"))


def scores(folder: Path, judge: Judge, script: Script, logprobs: bool = True) -> list[Score]:
    model = ScriptedModel(script, logprobs=logprobs)
    judge_run(folder, judge, SCRIPTED, open_model=lambda _: model, fresh=True)
    return list(load_run(folder).scores(judge.name))


class TestFed:
    JUDGE = Fed(follow_ups={"kind": FollowUps(positive=("Good.",), negative=("Bad.", "Worse."))})

    @staticmethod
    def script(request: Request) -> str:
        assert request.continuations == ("Good.", "Bad.", "Worse.")
        assert request.messages[0].content.endswith("\n")
        return json.dumps([[-30.0, 10], [-2.0, 2], [-8.0, 2], [-12.0, 4]])

    def test_favourable_less_unfavourable_follow_ups(self, folder: Path) -> None:
        (score,) = scores(folder, self.JUDGE, self.script)
        assert score.value == pytest.approx(-1.0 - (-4.0 + -3.0) / 2)

    def test_over_the_whole_dialogue_as_in_the_authors_code(self, folder: Path) -> None:
        judge = self.JUDGE.model_copy(update={"over": "dialogue"})
        (score,) = scores(folder, judge, self.script)
        assert score.value == pytest.approx(-32 / 12 - (-38 / 12 + -42 / 14) / 2)

    def test_without_favourable_ones_it_is_the_cross_entropy(self, folder: Path) -> None:
        judge = Fed(follow_ups={"kind": FollowUps(negative=("Bad.",))}, over="dialogue")
        (score,) = scores(folder, judge, lambda _: "[[-19.0, 18], [-1.0, 2]]")
        assert score.value == pytest.approx(1.0)

    def test_speakers_names_stay_and_the_other_one_says_what_is_next(self, folder: Path) -> None:
        asked: list[Request] = []

        def script(request: Request) -> str:
            asked.append(request)
            return "[[-19.0, 18], [-1.0, 2]]"

        kinds = {"kind": FollowUps(negative=("Bad.",))}
        scores(folder, Fed(follow_ups=kinds, speakers=True, over="dialogue"), script)
        one = next(load_run(folder).conversations())
        lines = asked[0].messages[0].content.splitlines()
        assert lines == [f"{turn.speaker}: {turn.text}" for turn in one.turns]
        speakers = list(dict.fromkeys(turn.speaker for turn in one.turns))
        other = next(name for name in speakers if name != one.turns[-1].speaker)
        assert asked[0].continuations == (f"{other}: Bad.",)

    @pytest.mark.parametrize(
        ("model", "keys", "separator"),
        [
            ("transformers:microsoft/DialoGPT-large", {}, "<|endoftext|>"),
            ("transformers:microsoft/DialoGPT-large", {"separator": " / "}, " / "),
            ("transformers:microsoft/Phi-3.5-mini-instruct", {}, "\n"),
        ],
    )
    def test_the_separator_is_what_the_model_was_trained_with(
        self, model: str, keys: dict[str, str], separator: str, folder: Path
    ) -> None:
        asked: list[str] = []

        def script(request: Request) -> str:
            asked.append(request.messages[0].content)
            return json.dumps([[-19.0, 18], *[[-1.0, 2]] * len(request.continuations or ())])

        judge = Fed(follow_ups={"kind": FollowUps(negative=("Bad.",))}, **keys)
        spec = ModelSpec(name=model)
        judge_run(folder, judge, spec, open_model=lambda _: ScriptedModel(script), fresh=True)
        one = next(load_run(folder).conversations())
        assert asked[1:] == ["".join(f"{turn.text}{separator}" for turn in one.turns)]

    def test_what_is_as_it_was_has_the_fingerprint_it_had(self) -> None:
        """Otherwise, unfinished scores of earlier versions could not be resumed."""
        essence = Fed().suited(SCRIPTED).fingerprint_inputs
        assert set(essence) == {"judge", "prompts", "follow_ups", "over", "separator"}
        assert essence["separator"] == "\n"


class TestGPTScore:
    JUDGE = GPTScore(questions={"depth": QUESTIONS["depth"]}, samples=4)

    def test_the_probability_of_yes(self, folder: Path) -> None:
        top = ((" Yes", log(0.02)), ("yes", log(0.01)), ("No", log(0.9)), ("It", log(0.07)))
        tokens = [TokenLogprob("\n", 0.0), TokenLogprob("No", log(0.9), top)]
        (score,) = scores(folder, self.JUDGE, lambda _: tokens)
        assert score.value == pytest.approx(0.03)
        assert score.mass == pytest.approx(0.93)
        assert score.method == "logprobs"

    def test_without_alternatives_it_is_asked_for_again(self, folder: Path) -> None:
        alone = TokenLogprob("No", log(0.6), (("No", log(0.6)),))
        for tokens in ([TokenLogprob("No", log(0.6))], [alone]):
            replies = iter([tokens, "Yes.", "No.", "Yes."])
            (score,) = scores(folder, self.JUDGE, lambda _, replies=replies: next(replies))
            assert (score.value, score.method) == (0.5, "samples")

    def test_an_answer_in_pieces(self, folder: Path) -> None:
        top = (("Y", log(0.8)), ("N", log(0.1)), ("It", log(0.1)))
        tokens = [TokenLogprob("Y", log(0.8), top), TokenLogprob("es", 0.0, (("es", 0.0),))]
        (score,) = scores(folder, self.JUDGE, lambda _: tokens)
        assert (score.value, score.mass) == (pytest.approx(0.8), pytest.approx(0.9))

    def test_thoughts_before_the_answer_are_not_the_answer(self, folder: Path) -> None:
        thought = TokenLogprob("No way around", 0.0, (("No way around", 0.0),))
        answer = TokenLogprob("Yes", log(0.9), (("Yes", log(0.9)), ("No", log(0.1))))

        class Thinking(ScriptedModel):
            async def complete(self, request: Request) -> ModelReply:
                return replace(await super().complete(request), text="Yes")

        model = Thinking(lambda _: [thought, answer])
        judge_run(folder, self.JUDGE, SCRIPTED, open_model=lambda _: model, fresh=True)
        (score,) = load_run(folder).scores("gptscore")
        assert score.value == pytest.approx(0.9)

    def test_the_share_of_yes_where_there_are_no_log_probabilities(self, folder: Path) -> None:
        replies = iter(["Yes.", "no", "YES, it does", "Perhaps"])
        (score,) = scores(folder, self.JUDGE, lambda _: next(replies), logprobs=False)
        assert score.value == pytest.approx(2 / 3)
        assert (score.method, score.reason) == ("samples", "1 of 4 replies were no answer")


def test_geval3_asks_once_for_each_of_four_qualities_on_an_anchored_scale(folder: Path) -> None:
    asked: list[str] = []

    def script(request: Request) -> list[TokenLogprob]:
        asked.append(request.messages[-1].content)
        return [TokenLogprob("3", log(0.6), (("3", log(0.6)), ("2", log(0.2)), ("So", log(0.2))))]

    found = scores(folder, GEval3(), script)
    assert [score.aspect for score in found] == list(QUALITIES)
    assert [score.value for score in found] == [pytest.approx((3 * 0.6 + 2 * 0.2) / 0.8)] * 4
    assert all(score.explanation is None for score in found)
    assert len(asked) == 4
    for text, quality in zip(asked, QUALITIES.values(), strict=True):
        assert quality in text
        assert "one whole number from 1 to 3 and nothing else" in text
    assert "accurate" in asked[-1]
    experience = next(load_run(folder).experiences())
    assert not any(experience.situation in text for text in asked)


@pytest.mark.parametrize("judge", [Fed(), GPTScore(), GEval3()])
def test_conversations_without_an_experience_are_scored(judge: Judge, folder: Path) -> None:
    path = folder / "conversations.jsonl"
    row = json.loads(path.read_text("utf-8")) | {"experience": None}
    path.write_text(json.dumps(row) + "\n", "utf-8")
    judge_run(folder, judge, SCRIPTED)
    found = list(load_run(folder).scores(judge.name))
    assert len(found) == len(judge.aspects(None))
    assert all(score.value is not None for score in found)


def test_the_aspects_are_the_columns_of_the_published_tables() -> None:
    tables = published("diasynth")
    for number, aspects in {"3": FOLLOW_UPS, "4": QUESTIONS, "5": QUALITIES}.items():
        assert list(tables[number].columns) == list(aspects)
        assert len(tables[number].rows) == 8
