"""Runs with a budget or deadline: limits are kept over all starts, and runs can be resumed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import (
    Answer,
    Asked,
    EndpointServer,
    Reset,
    Silence,
    converse,
    refuse,
    say,
)
from virtual_time import run_virtually

from convogen import Experiment, Run, load_run, run
from convogen.costs.ledger_costs import spending, total_usd
from convogen.engine.run_budget import role_prices
from convogen.engine.runner import run_async
from convogen.errors import BudgetReached, ModelConfigError
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ModelReply, Request
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Limits
from convogen.records import Usage

ROWS = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl")


def experiment(**overrides: object) -> Experiment:
    small = {"n": 50, "max_turns": 2, "concurrency": 4, "sampling.generator.max_tokens": 300}
    model = {"name": "m", "price": {"input": 2, "output": 8}}
    return Experiment.load("GPFS-s", {**small, "models": {"default": model}, **overrides})


def play(folder: Path, asked: list[Request] | None = None, limits: Limits | None = None) -> Run:
    def script(request: Request) -> str:
        if asked is not None:
            asked.append(request)
        return improvise(request)

    return run(experiment(), folder, limits=limits, open_model=lambda _: ScriptedModel(script))


def tokens(folder: Path) -> int:
    """Return all tokens that may have been billed."""
    rows = spending(load_run(folder))
    own = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    return own + sum(row.lost_prompt_tokens + row.lost_completion_tokens for row in rows)


def usd(folder: Path) -> float:
    found = total_usd(spending(load_run(folder)), lost=True)
    assert found is not None
    return found


def test_a_budget_stops_the_run_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    play(tmp_path / "whole")
    limit = usd(tmp_path / "whole") * 0.6
    first: list[Request] = []
    with pytest.raises(BudgetReached, match=r"spent.*of 50 conversations.*--budget-usd"):
        play(tmp_path / "run", first, Limits(usd=limit))
    assert limit * 0.85 < usd(tmp_path / "run") <= limit
    again: list[Request] = []
    with pytest.raises(BudgetReached):
        play(tmp_path / "run", again, Limits(usd=limit))
    assert usd(tmp_path / "run") <= limit
    rest: list[Request] = []
    play(tmp_path / "run", rest, Limits(usd=limit * 10))
    made = len(first) + len(again) + len(rest)
    assert made == len(list(load_run(tmp_path / "whole").ledger()))
    for name in ROWS:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


class Slow(ScriptedModel):
    """A model that takes a second per call, so that as many calls as allowed are in flight."""

    async def complete(self, request: Request) -> ModelReply:
        await asyncio.sleep(1)
        return await super().complete(request)


@pytest.mark.parametrize("kind", ["usd", "tokens"])
def test_a_budget_buys_finished_conversations(kind: str, tmp_path: Path) -> None:
    wide = experiment(n=60, max_turns=10, concurrency=64)

    def start(folder: Path, limits: Limits) -> Run:
        return run_virtually(run_async(wide, folder, limits=limits, open_model=lambda _: Slow()))

    start(tmp_path / "whole", Limits())
    cost = {"usd": usd, "tokens": tokens}[kind](tmp_path / "whole")
    half = Limits(usd=cost / 2) if kind == "usd" else Limits(tokens=int(cost / 2))
    with pytest.raises(BudgetReached):
        start(tmp_path / "run", half)
    assert 20 <= len(list(load_run(tmp_path / "run").conversations())) <= 30
    start(tmp_path / "run", Limits())
    for name in ROWS:
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_budget_of_tokens_needs_no_price(tmp_path: Path) -> None:
    free = experiment(models={"name": "m"})
    with pytest.raises(BudgetReached, match=r"cost unknown.*--budget-tokens"):
        run(free, tmp_path, limits=Limits(tokens=9000), open_model=lambda _: ScriptedModel())
    assert tokens(tmp_path) <= 9000
    with pytest.raises(ModelConfigError, match=r"price of m.*--price"):
        run(free, tmp_path, limits=Limits(usd=1), open_model=lambda _: ScriptedModel())


def test_without_a_price_nothing_is_asked(endpoint: EndpointServer, tmp_path: Path) -> None:
    model = ["--model", "some-own-model", "--base-url", endpoint.base_url, "--n", "1"]
    ended = convogen("run", "GPFS-s", *model, "--budget-usd", "5", "--out", tmp_path / "run")
    assert ended.status == 2
    for words in ("some-own-model", "--price", "--budget-tokens"):
        assert words in ended.complaint
    assert endpoint.asked == []


def test_lost_attempts_are_in_the_ledger_and_count(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    def script(asked: Asked) -> Answer:
        if asked.nth == 2:
            return Reset()
        return refuse(429, "slow", retry_after_ms="1") if asked.nth == 4 else converse(asked)

    endpoint.script = script
    price = {"input": 2, "output": 8}
    spec = {"name": "m", "base_url": endpoint.base_url, "price": price}
    result = run(experiment(n=1, max_turns=4, models=spec), tmp_path)
    rows = list(result.ledger())
    lost = [row for row in rows if "lost_attempts" in row]
    assert [row["lost_attempts"] for row in lost] == [1]
    assert lost[0]["lost_prompt_tokens"] > 100
    assert lost[0]["prompt_tokens"] == 0
    assert sum(row["attempts"] for row in rows) == len(endpoint.asked)
    shown = convogen("show", tmp_path)
    assert "lost" in shown.out
    assert "at most $" in shown.out
    found = {row.role: row for row in spending(result)}
    assert sum(row.calls for row in found.values()) == len(endpoint.asked) - 2
    assert sum(row.lost_usd or 0 for row in found.values()) > 0
    assert tokens(tmp_path) > sum(row["prompt_tokens"] for row in rows) + 100


def test_show_keeps_the_judges_apart_and_a_price_can_be_given_later(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    play = ["run", "demo", "--n", "1", "--set", "max_turns=2", "--out", folder]
    assert convogen(*play, "--model", "scripted", "--price", "agent=1,2").status == 0
    judge = ["evaluate", folder, "--judge", "geval", "--model", "scripted", "--n", "1"]
    assert convogen(*judge).status == 0
    rows = {row.role: row for row in spending(load_run(folder))}
    assert list(rows)[-1] == "judge"
    assert {role: row.price for role, row in rows.items() if role != "selector"} == {
        "agent": "own",
        "generator": "local",
        "judge": "local",
    }
    agent = rows["agent"]
    paid = agent.prompt_tokens * 1e-6 + agent.completion_tokens * 2e-6
    assert agent.cost_usd == pytest.approx(paid)
    assert rows["judge"].cost_usd == rows["generator"].cost_usd == 0
    assert convogen(*judge, "--price", "3,4").status == 0
    judged = next(row for row in spending(load_run(folder)) if row.role == "judge")
    assert judged.calls == rows["judge"].calls
    assert judged.cost_usd
    shown = convogen("show", folder).out
    assert shown.index("judging:") > shown.index("generator")


def test_answers_without_a_usage_count_too(endpoint: EndpointServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:

        body = json.loads(converse(asked).content)
        return say(body["choices"][0]["message"]["content"], usage=None)

    endpoint.script = script
    spec = {"default": {"name": "m", "base_url": endpoint.base_url}}
    with pytest.raises(BudgetReached):
        run(experiment(models=spec), tmp_path, limits=Limits(tokens=20_000))
    assert 10_000 < tokens(tmp_path) <= 20_000
    before = len(endpoint.asked)
    with pytest.raises(BudgetReached):
        run(experiment(models=spec), tmp_path, limits=Limits(tokens=20_000))
    assert len(endpoint.asked) <= before + 4


def test_at_the_deadline_calls_under_way_are_given_up_and_count_as_lost(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    arguments = ["--model", "m", "--base-url", endpoint.base_url]
    arguments += ["--set", "max_turns=3", "--price", "1,2", "--out", tmp_path / "run"]
    assert convogen("run", "GPFS-s", *arguments, "--n", "1").status == 0
    answered = len(endpoint.asked)
    endpoint.script = lambda _: Silence()
    ended = convogen("run", "GPFS-s", *arguments, "--n", "3", "--deadline", "1s")
    assert ended.status == 1
    for words in ("1 of 3 conversations", "the same command with a later --deadline", "$"):
        assert words in ended.complaint
    lost = sum(row.get("lost_attempts", 0) for row in load_run(tmp_path / "run").ledger())
    assert lost == len(endpoint.asked) - answered == 2
    endpoint.script = converse
    assert convogen("run", "GPFS-s", *arguments, "--n", "3").status == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--budget-usd", "0"),
        ("--budget-usd", "nan"),
        ("--budget-usd", "inf"),
        ("--budget-tokens", "0"),
        ("--deadline", "soon"),
        ("--deadline", ""),
        ("--deadline", "0m"),
        ("--deadline", "2001-01-01T10:00"),
        ("--price", "1"),
        ("--price", "1,2,3"),
        ("--price", "-1,2"),
        ("--price", "a,b"),
        ("--pilot", "5"),
    ],
)
def test_a_limit_that_is_none_is_refused(tmp_path: Path, option: str, value: str) -> None:
    arguments = ["--model", "scripted", "--out", tmp_path / "run"]
    ended = convogen("run", "demo", *arguments, option, value)
    assert ended.status == 2
    assert option.strip("-") in ended.complaint
    assert not (tmp_path / "run" / "conversations.jsonl").exists()


def test_a_call_that_a_fallback_may_answer_is_reserved_at_the_dearest_price() -> None:
    url = "http://127.0.0.1:1/v1"
    dear = {"name": "dear", "base_url": url, "price": {"input": 5, "output": 50}}
    cheap = {"name": "cheap", "base_url": url, "price": {"input": 1, "output": 10}}
    experiment = Experiment({"name": "x", "models": {**cheap, "fallback": [dear]}})
    models = {"agent": experiment.model("agent")}
    price = role_prices(models, Limits(usd=1))["agent"]
    assert price(Usage(prompt_tokens=1_000_000)) == pytest.approx(5)
    assert role_prices(models, Limits(tokens=9)) == {}
    unknown = {**cheap, "fallback": [{"name": "no-such-model", "base_url": url}]}
    with pytest.raises(ModelConfigError, match="the price of no-such-model"):
        role_prices({"agent": ModelSpec.model_validate(unknown)}, Limits(usd=1))
