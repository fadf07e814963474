"""Judging a run: the scores, their order, and the effects of a crash or of another judge."""

from __future__ import annotations

import json
import shutil
import signal
from collections import Counter
from dataclasses import replace
from math import log
from pathlib import Path

import pytest
from killable import run_program

from convogen import Experiment, run
from convogen.engine.judge_runner import judge_run
from convogen.errors import ExperimentError, RunFolderError, SourceError
from convogen.judges.geval import GENERATED, SAMPLED, GEval
from convogen.models.backends.scripted import Script, ScriptedModel, improvise
from convogen.models.base import ModelReply, Request, Sampling, TokenLogprob
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.plugins import registry
from convogen.records import Persona, Score
from convogen.storage.run_folder import load_run

PROGRAM = Path(__file__).parents[1] / "programs" / "scripted_judge.py"
SCRIPTED = ModelSpec(name="scripted")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run of three conversations."""
    folder = tmp_path_factory.mktemp("judged") / "run"
    run(Experiment.load("GPFS-s", {"n": 3, "models": "scripted", "max_turns": 4}), folder)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "run"))


def judged(
    folder: Path, script: Script, *, logprobs: bool = True, **options: object
) -> list[Score]:
    judge = options.pop("judge", GEval())
    model = ScriptedModel(script, logprobs=logprobs)
    judge_run(folder, judge, SCRIPTED, open_model=lambda _: model, **options)  # type: ignore[arg-type]
    return list(load_run(folder).scores(judge.name))


def always(*tokens: TokenLogprob) -> Script:
    return lambda request: list(tokens) if request.choices else "Because they talk of it."


FOUR_AND_A_HALF = TokenLogprob("4", log(0.4), (("4", log(0.4)), (" 5", log(0.4)), ("A", log(0.2))))


def test_a_score_for_each_conversation_and_aspect_in_order(folder: Path) -> None:
    scores = judged(folder, always(FOUR_AND_A_HALF))
    conversations = [conversation.id for conversation in load_run(folder).conversations()]
    expected = [(one, aspect) for one in conversations for aspect in GENERATED]
    assert [(score.conversation, score.aspect) for score in scores] == expected
    assert len(GENERATED) == 9
    for score in scores:
        assert score.value == pytest.approx(4.5)
        assert score.mass == pytest.approx(0.8)
        assert score.method == "logprobs"
        assert score.explanation == "Because they talk of it."


def test_the_explanation_is_in_the_context_of_the_score(folder: Path) -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return "4" if request.choices else "Because of the tea."

    judged(folder, script, n=1, concurrency=1)
    why, score = asked[:2]
    first = next(load_run(folder).conversations())
    experience = next(load_run(folder).experiences())
    assert [message.role for message in why.messages] == ["system", "user"]
    assert first.turns[-1].text in why.messages[1].content
    assert experience.personas[0].card is not None
    assert experience.personas[0].card.recent_memory in why.messages[1].content
    assert score.messages[:2] == why.messages
    assert [message.role for message in score.messages[2:]] == ["assistant", "user"]
    assert score.messages[2].content == "Because of the tea."
    told = score.messages[3].content.splitlines()
    assert [line[0] for line in told[1:6]] == ["5", "4", "3", "2", "1"]
    assert "no occasion" not in told[3]
    assert "an occasion to show, the score is 3." in told[6]
    assert len(asked) == 2 * len(GENERATED)


def test_free_text_personas_get_the_four_questions(folder: Path) -> None:
    run = load_run(folder)
    experience = next(run.experiences())
    texts = [Persona(name=one.name, text="A gardener.") for one in experience.personas]
    assert GEval().aspects(experience) == tuple(GENERATED)
    assert GEval().aspects(experience.model_copy(update={"personas": texts})) == tuple(SAMPLED)
    assert len(SAMPLED) == 4


def test_scale_and_questions_are_parameters(folder: Path) -> None:
    token = TokenLogprob("3", log(0.5), (("3", log(0.5)), ("1", log(0.25)), ("5", log(0.25))))
    judge = GEval(scale=(1, 3), questions_generated={"flow": "its flow"})
    scores = judged(folder, always(token), judge=judge)
    assert [score.aspect for score in scores] == ["flow"] * 3
    assert scores[0].value == pytest.approx((3 * 0.5 + 1 * 0.25) / 0.75)
    assert scores[0].distribution == pytest.approx({"1": 1 / 3, "2": 0, "3": 2 / 3})


def test_without_log_probabilities_samples_are_averaged_and_marked(folder: Path) -> None:
    replies = {0: "4", 1: "5", 2: "no idea", 3: "Score: 3", 4: "4/5"}
    seen: Counter[tuple[object, ...]] = Counter()

    def script(request: Request) -> str:
        if not request.choices:
            return "Because."
        key = request.messages
        seen[key] += 1
        assert request.sampling.temperature == 1
        return replies[seen[key] - 1]

    scores = judged(folder, script, logprobs=False, n=1)
    assert len(scores) == 9
    for score in scores:
        assert score.method == "samples"
        assert score.value == 4.0
        assert score.mass is None
        assert score.reason == "1 of 5 replies named no score"
        assert score.distribution == {"1": 0, "2": 0, "3": 0.25, "4": 0.5, "5": 0.25}


@pytest.mark.parametrize("logprobs", [True, False])
def test_a_reply_without_a_score_is_none_with_the_reason(folder: Path, logprobs: bool) -> None:
    def script(request: Request) -> str:
        return "I cannot tell" if request.choices else "Because."

    for score in judged(folder, script, logprobs=logprobs, n=1):
        assert score.value is None
        assert score.method is None
        assert score.reason == "no single score from 1 to 5 in the reply: 'I cannot tell'"


def test_an_explanation_that_is_cut_ends_with_its_last_whole_sentence(folder: Path) -> None:
    asked: list[Request] = []

    class Cut(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            asked.append(request)
            reply = await super().complete(request)
            return reply if request.choices else replace(reply, finish_reason="length")

    model = Cut(lambda request: "4" if request.choices else "It is plain. And it do")
    judge_run(folder, GEval(), SCRIPTED, n=1, open_model=lambda _: model)
    scores = list(load_run(folder).scores("geval"))
    assert {(score.value, score.explanation) for score in scores} == {(4, "It is plain.")}
    shown = [request.messages[-2].content for request in asked if request.choices]
    assert set(shown) == {"It is plain."}


def test_an_empty_explanation_is_none_with_the_reason(folder: Path) -> None:
    scores = judged(folder, lambda _: "", n=1)
    assert {(score.value, score.reason) for score in scores} == {
        (None, "the judge gave no explanation")
    }


def start(folder: Path, concurrency: int, asked: Path, kill_after: int | None = None) -> int:
    extra = [] if kill_after is None else [str(kill_after)]
    return run_program(PROGRAM, folder, concurrency, asked, *extra)


def test_the_same_bytes_at_any_concurrency_and_after_kills(generated: Path, tmp_path: Path) -> None:
    def begun(name: str) -> tuple[Path, Path]:
        return Path(shutil.copytree(generated, tmp_path / name)), tmp_path / f"{name}.asked"

    def scores(folder: Path) -> bytes:
        return (folder / "scores" / "geval.jsonl").read_bytes()

    alone, asked = begun("alone")
    assert start(alone, 1, asked) == 0
    many, asked = begun("many")
    assert start(many, 16, asked) == 0
    assert scores(alone) == scores(many)
    assert scores(many).count(b"\n") == 27
    assert b'"reason":"no single score' in scores(many)
    killed, asked = begun("killed")
    starts = 0
    while start(killed, 16, asked, 30) != 0:
        starts += 1
        assert starts < 20
    assert starts > 2
    assert scores(killed) == scores(many)
    answers = [line for line in asked.read_text().splitlines() if line.startswith("answer ")]
    assert max(Counter(answers).values()) == 1
    assert len(answers) == 54
    assert list((killed / "scores" / "geval" / "journal").iterdir()) == []
    assert len([row for row in load_run(killed).ledger() if row["role"] == "judge"]) == 54


def test_killed_is_killed(generated: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(generated, tmp_path / "run"))
    assert start(folder, 4, tmp_path / "asked", 10) == -signal.SIGKILL


def test_judged_again_nothing_is_asked(folder: Path) -> None:
    judged(folder, always(FOUR_AND_A_HALF), n=1)
    before = (folder / "scores" / "geval.jsonl").read_bytes()
    tally = RunProgress()
    judged(folder, always(FOUR_AND_A_HALF), tally=tally)
    after = (folder / "scores" / "geval.jsonl").read_bytes()
    assert after.startswith(before)
    assert after.count(b"\n") == 27
    assert tally.counts["calls"] == 2 * 18


def test_another_judge_is_refused_and_fresh_moves_the_old_aside(folder: Path) -> None:
    judged(folder, always(FOUR_AND_A_HALF), n=1)
    old = json.loads((folder / "scores" / "geval" / "manifest.json").read_text())["fingerprint"]
    other = GEval(scoring=Sampling(temperature=0.5))
    with pytest.raises(RunFolderError, match=f"another judge.*{old}.*--fresh") as refused:
        judged(folder, always(FOUR_AND_A_HALF), n=1, judge=other)
    assert "\n" not in str(refused.value)
    assert "scoring" in str(refused.value)
    assert len(judged(folder, always(FOUR_AND_A_HALF), n=1, judge=other, fresh=True)) == 9
    assert len(list((folder / "scores").glob("geval.*.jsonl"))) == 1
    new = json.loads((folder / "scores" / "geval" / "manifest.json").read_text())["fingerprint"]
    assert new != old
    assert len([row for row in load_run(folder).ledger() if row["role"] == "judge"]) == 18


def test_scores_of_other_conversations_are_refused(folder: Path) -> None:
    judged(folder, always(FOUR_AND_A_HALF), n=1)
    path = folder / "scores" / "geval.jsonl"
    path.write_text(path.read_text().replace('"aspect":"topic"', '"aspect":"weather"'))
    with pytest.raises(RunFolderError, match="weather does not belong to"):
        judged(folder, always(FOUR_AND_A_HALF))


def test_conversations_without_an_experience_are_refused(folder: Path) -> None:
    path = folder / "conversations.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows = [{key: value for key, value in row.items() if key != "experience"} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    with pytest.raises(SourceError, match="has no experience in this run") as refused:
        judged(folder, improvise)
    assert "\n" not in str(refused.value)
    assert not (folder / "scores").exists()


def test_the_registry_knows_the_judge() -> None:
    assert registry.load("judges", "geval") is GEval
    with pytest.raises(ExperimentError, match="judge: 'oracle' is not known; allowed: geval"):
        registry.load("judges", "oracle")


@pytest.mark.embedded
def test_the_embedded_model_gives_log_probabilities(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    short = {"n": 1, "models": "scripted", "participants": 2, "max_turns": 2}
    run(Experiment.load("GPFS-s", short), folder)
    judge = GEval(
        questions_generated={"topic": GENERATED["topic"]},
        explaining=Sampling(temperature=0.0, max_tokens=24),
    )
    judge_run(folder, judge, ModelSpec(name="embedded"), n=1)
    (score,) = load_run(folder).scores("geval")
    assert score.method == "logprobs"
    assert score.value is not None
    assert 1 <= score.value <= 5
    assert score.distribution is not None
    assert sum(score.distribution.values()) == pytest.approx(1)
    assert score.mass is not None
    assert score.mass > 0
    assert score.explanation
