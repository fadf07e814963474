"""The budget for judging: it holds across the runs of a command and across starts, and can be
raised."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import Asked, Bytes, EndpointServer, say

from convogen import Experiment, run
from convogen.storage.run_folder import load_run


def tokens(asked: Asked) -> int:
    return 100 + len(str(asked.body["messages"])) // 4


def answer(asked: Asked) -> Bytes:
    usage = {"prompt_tokens": tokens(asked) - 100, "completion_tokens": 100}
    text = "4" if "logprobs" in asked.body else "They talk of it."
    return say(text, usage=usage | {"total_tokens": tokens(asked)})


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judged") / "run"
    run(Experiment.load("GPFS-s", {"n": 3, "models": "scripted", "max_turns": 4}), folder)
    return folder


def test_a_budget_holds_over_all_runs_and_starts(
    generated: Path, tmp_path: Path, endpoint: EndpointServer
) -> None:
    endpoint.script = answer
    runs = [Path(shutil.copytree(generated, tmp_path / name)) for name in ("a", "b")]
    judging = (
        "evaluate",
        *runs,
        "--judge",
        "geval",
        "--model",
        "m",
        "--base-url",
        endpoint.base_url,
    )

    def spent() -> int:
        calls = [row for one in runs for row in load_run(one).ledger("geval")]
        return sum(row["prompt_tokens"] + row["completion_tokens"] for row in calls)

    stopped = convogen(*judging, "--budget-tokens", "20000")
    assert stopped.status == 1
    assert stopped.err.count("\n") == 1
    assert "run the same command with a larger --budget-tokens" in stopped.err
    first = len(endpoint.asked)
    assert 10_000 < spent() == sum(map(tokens, endpoint.asked)) <= 20_000

    again = convogen(*judging, "--budget-tokens", "20000")
    assert again.status == 1
    assert len(endpoint.asked) == first  # earlier spending counts

    assert convogen(*judging, "--budget-tokens", "900000").status == 0
    scores = [len(list(load_run(one).scores("geval"))) for one in runs]
    assert scores[0] == scores[1] > 0
    assert spent() == sum(map(tokens, endpoint.asked))  # no call was repeated


def test_money_needs_a_price_and_a_judge(generated: Path, endpoint: EndpointServer) -> None:
    judging = ("evaluate", generated, "--judge", "geval", "--base-url", endpoint.base_url)
    refused = convogen(*judging, "--model", "nobodys-model", "--budget-usd", "1")
    assert refused.status == 2
    assert "--price" in refused.err
    without = convogen("evaluate", generated, "--budget-usd", "1")
    assert without.status == 2
    assert "--budget-usd" in without.err
    assert endpoint.asked == []


def test_the_arena_keeps_to_a_budget(
    generated: Path, tmp_path: Path, endpoint: EndpointServer
) -> None:
    endpoint.script = answer
    other = tmp_path / "other"
    run(Experiment.load("GPFS-s", {"n": 3, "models": "scripted", "max_turns": 4, "seed": 1}), other)
    ended = convogen(
        "arena", generated, other, "--out", tmp_path / "arena", "--model", "m",
        "--base-url", endpoint.base_url, "--budget-tokens", "5",
    )  # fmt: skip
    assert ended.status == 1, ended.err
    assert "0 of" in ended.err
    assert endpoint.asked == []
