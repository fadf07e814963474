"""The judge over HTTP, with endpoints that support, lack or refuse log-probabilities."""

from __future__ import annotations

import shutil
from math import log
from pathlib import Path

import pytest
from endpoint_server import Answer, Asked, EndpointServer, refuse, say

from convogen import Experiment, run
from convogen.engine.judge_runner import judge_run
from convogen.errors import EndpointDown
from convogen.judges.geval import GENERATED, GEval
from convogen.models.spec import ModelSpec
from convogen.records import Score
from convogen.storage.run_folder import load_run

JUDGE = GEval(questions_generated={"topic": GENERATED["topic"]}, samples=3)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("endpoint") / "run"
    run(Experiment.load("GPFS-s", {"n": 2, "models": "scripted", "max_turns": 3}), folder)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "run"))


def scores(folder: Path, endpoint: EndpointServer) -> list[Score]:
    spec = ModelSpec(name="judge-model", base_url=endpoint.base_url)
    judge_run(folder, JUDGE, spec, concurrency=2)
    return list(load_run(folder).scores("geval"))


def is_score(asked: Asked) -> bool:
    return asked.body["messages"][-1]["content"].endswith("nothing else.")


def test_log_probabilities(folder: Path, endpoint: EndpointServer) -> None:
    top = [{"token": "5", "logprob": log(0.7)}, {"token": " 3", "logprob": log(0.3)}]
    content = [{"token": "5", "logprob": log(0.7), "top_logprobs": top}]

    def script(asked: Asked) -> Answer:
        if not is_score(asked):
            assert "logprobs" not in asked.body
            return say("They talk of it.")
        assert (asked.body["logprobs"], asked.body["top_logprobs"]) == (True, 20)
        return say("5", logprobs={"content": content})

    endpoint.script = script
    for score in scores(folder, endpoint):
        assert score.value == pytest.approx(5 * 0.7 + 3 * 0.3)
        assert score.method == "logprobs"
    assert len(endpoint.asked) == 4


def test_an_endpoint_that_leaves_them_out(folder: Path, endpoint: EndpointServer) -> None:
    endpoint.script = lambda asked: say("4" if is_score(asked) else "Because.")
    for score in scores(folder, endpoint):
        assert (score.value, score.method) == (4.0, "samples")
    assert len(endpoint.asked) == 2 * (1 + 3)
    seeds = [asked.body["seed"] for asked in endpoint.asked if is_score(asked)]
    assert len(set(seeds)) == 6


def test_an_endpoint_that_refuses_them(folder: Path, endpoint: EndpointServer) -> None:
    def script(asked: Asked) -> Answer:
        if "logprobs" in asked.body:
            return refuse(403, "You are not allowed to request logprobs from this model")
        return say("2" if is_score(asked) else "Because.")

    endpoint.script = script
    for score in scores(folder, endpoint):
        assert (score.value, score.method) == (2.0, "samples")


def test_what_an_endpoint_will_not_read(folder: Path, endpoint: EndpointServer) -> None:
    endpoint.script = lambda _: refuse(400, "blocked by the content_filter")
    for score in scores(folder, endpoint):
        assert score.value is None
        assert score.reason is not None
        assert score.reason.startswith("content_filter: ")
        assert endpoint.base_url not in score.reason


def test_a_refused_key_stops_and_the_rest_is_judged_later(
    folder: Path, endpoint: EndpointServer
) -> None:
    allowed, answered = [3], []

    def script(asked: Asked) -> Answer:
        if asked.nth > allowed[0]:
            return refuse(401, "Incorrect API key")
        answered.append(asked)
        return say("4" if is_score(asked) else "Because.")

    endpoint.script = script
    with pytest.raises(EndpointDown):
        scores(folder, endpoint)
    allowed[0] = 1000
    assert [score.value for score in scores(folder, endpoint)] == [4.0, 4.0]
    assert len(answered) == 2 * (1 + 3)
