"""Configurations that cannot work, with an endpoint that behaves accordingly and counts calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import convogen
from endpoint_server import Answer, Asked, EndpointServer, converse, refuse, say
from virtual_time import run_virtually

from convogen import Experiment, load_run, run
from convogen.engine.judge_runner import judge_run_async
from convogen.engine.runner import run_async
from convogen.errors import EndpointDown, Hopeless, TooManyFailures
from convogen.judges.geval import GEval
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ModelReply, Request, Transient
from convogen.models.spec import ModelSpec
from convogen.models.traffic.trouble import PROBE

MOST_CALLS, MOST_JUDGED = 300, 60
SPEC = ModelSpec(name="m", base_url="http://127.0.0.1:1/v1")


def at(endpoint: EndpointServer) -> list[str]:
    return ["--model", "m", "--base-url", endpoint.base_url]


def thinking(asked: Asked) -> Answer:
    """Use all tokens for thinking."""
    room = asked.body.get("max_tokens", 1000)
    read = len(f"{asked.body['messages']}") // 4
    usage = {"prompt_tokens": read, "completion_tokens": room}
    return say("", finish_reason="length", message={"reasoning_content": "Hm."}, usage=usage)


def cut(asked: Asked) -> Answer:
    usage = {"prompt_tokens": 300, "completion_tokens": 4000}
    return say('{"personas": [{"name": "An', finish_reason="length", usage=usage)


HOPELESS: dict[str, tuple[Callable[[Asked], Answer], list[str]]] = {
    "thinking": (
        thinking,
        [
            "truncated at max_tokens=4000, probably while the model was still thinking",
            "generator.max_tokens=",
        ],
    ),
    "cut": (cut, ["every reply was truncated at max_tokens=4000; ", "--set sampling.generator."]),
    "empty": (lambda _: say(""), ["every reply from the generator is empty"]),
    "prose": (lambda _: say("Of course I can!"), ["experience_invalid", "'Of course I can!'"]),
    "blank": (
        lambda _: say('{"topic": "' + "\\n" * 900, finish_reason="length"),
        ["blank_loop", "would not help; try --set models.default.json_mode=text"],
    ),
    "unknown end": (
        lambda _: say("Well.", finish_reason="tool_calls"),
        ["ended with the finish reason 'tool_calls'"],
    ),
    "refused": (
        lambda _: refuse(400, "tools are required for this model"),
        ["bad_request", "tools are required for this model"],
    ),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_a_hopeless_run_stops_early_and_names_what_to_change(
    name: str, endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script, words = HOPELESS[name]
    ended = convogen("run", "GPFS-s", *at(endpoint), "--n", "100", "--out", tmp_path / "run")
    assert ended.status == 1
    for word in ["the first 10 tasks all failed in the same way", *words]:
        assert word in ended.complaint
    assert len(endpoint.asked) <= MOST_CALLS
    first = len(endpoint.asked)
    again = convogen("run", "GPFS-s", *at(endpoint), "--n", "100", "--out", tmp_path / "run")
    assert again.status == 1, "the repeated command must try again and stop again"
    assert first < len(endpoint.asked) <= 2 * MOST_CALLS


def test_one_success_is_enough_to_go_on(endpoint: EndpointServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> Answer:
        generating = "Invent one experience" in asked.body["messages"][-1]["content"]
        return say("no") if generating and not 3 <= asked.nth <= 4 else converse(asked)

    endpoint.script = script
    settings = {"max_turns": 2, "iterative": False, "reasks": 0, "max_failures": 30}
    models = {"name": "m", "base_url": endpoint.base_url}
    wanted = Experiment({"name": "x", "n": 40, "models": models, **settings})
    with pytest.raises(TooManyFailures):
        run(wanted, tmp_path)
    assert len(list(load_run(tmp_path).failures())) == 31


def test_failures_of_several_kinds_are_for_the_limit(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = lambda asked: (
        say("no") if asked.body["seed"] % 2 else refuse(400, "no such schema")
    )
    models = {"name": "m", "base_url": endpoint.base_url}
    settings = {"iterative": False, "reasks": 0, "max_failures": 8}
    wanted = Experiment({"name": "x", "n": 40, "models": models, **settings})
    with pytest.raises(TooManyFailures, match="max_failures is 8"):
        run(wanted, tmp_path)


def of_selector(answer: Answer) -> Callable[[Asked], Answer]:
    """Return a script that converses, and gives this answer to the manager."""

    def script(asked: Asked) -> Answer:
        managing = "You direct a conversation" in asked.body["messages"][0]["content"]
        return answer if managing else converse(asked)

    return script


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse(400, "no such grammar"), r"conversation\): bad_request: .*no such grammar"),
        (say(""), "selector_silent: .*every reply from the selector is empty"),
        (
            say("", finish_reason="length", usage={"completion_tokens": 20}),
            r"max_tokens=20, probably while the .*--set sampling\.selector\.max_tokens=4000",
        ),
    ],
)
def test_a_selector_that_never_chooses_is_no_group_chat(
    answer: Answer, words: str, endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = of_selector(answer)
    models = {"name": "m", "base_url": endpoint.base_url}
    wanted = Experiment.load("GPFS-s", {"n": 100, "models": models, "participants": 3})
    with pytest.raises(Hopeless, match=f"first 10 tasks all failed in the same way .*{words}"):
        run(wanted, tmp_path)
    assert len(endpoint.asked) <= MOST_CALLS


def test_a_selector_that_never_chooses_is_noticed_beside_chats_that_need_none(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = of_selector(refuse(400, "no such grammar"))
    models = {"name": "m", "base_url": endpoint.base_url}
    settings = {"n": 100, "models": models, "participants": [2, 3], "max_turns": 6}
    with pytest.raises(
        Hopeless, match=r"10 tasks failed in calls to the selector, which has never replied"
    ):
        run(Experiment.load("GPFS-s", settings), tmp_path)
    assert list(load_run(tmp_path).conversations()), "conversations of two people must succeed"
    assert len(endpoint.asked) <= MOST_CALLS


def test_one_odd_failure_among_the_first_hides_nothing(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = lambda asked: refuse(400, "odd") if asked.nth == 3 else cut(asked)
    ended = convogen("run", "GPFS-s", *at(endpoint), "--n", "1000", "--out", tmp_path / "run")
    assert ended.status == 1
    assert (
        "the first 11 tasks all failed, 10 of them in the same way (stage: experience)"
        in ended.complaint
    )
    assert "; try --set sampling.generator.max_tokens=" in ended.complaint
    assert len(endpoint.asked) <= MOST_CALLS


def test_an_endpoint_that_spoils_in_the_middle_of_a_run_stops_it(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = lambda asked: thinking(asked) if asked.nth > 150 else converse(asked)
    small = ("--set", "max_turns=3", "--set", "reasks=0", "--concurrency", "4")
    started = ("run", "GPFS-s", *at(endpoint), *small, "--n", "1000", "--out", tmp_path)
    ended = convogen(*started)
    assert ended.status == 1
    assert "the last 50 tasks all failed in the same way " in ended.complaint
    assert len(list(load_run(tmp_path).conversations())) > 5, "good conversations must be kept"
    assert len(endpoint.asked) <= 150 + MOST_CALLS
    endpoint.script = converse
    more = ("--n", "60", "--set", "max_failures=200")
    done = convogen(*started[:-4], *more, "--out", tmp_path)
    assert done.status == 0, "the run must be resumed"
    assert len(list(load_run(tmp_path).conversations())) == 60


class Poisoned(ScriptedModel):
    """A slow model that always fails for the requests in `fails`, and counts its calls."""

    def __init__(
        self, fails: Callable[[Request], bool], script: Callable[[Request], str] = improvise
    ) -> None:
        super().__init__(script)
        self.fails = fails
        self.asked = 0

    async def complete(self, request: Request) -> ModelReply:
        self.asked += 1
        await asyncio.sleep(0.5)
        if request.messages[-1].content != PROBE and self.fails(request):
            raise Transient("answered 500: boom")
        return await super().complete(request)


def test_a_run_whose_selector_alone_fails(tmp_path: Path) -> None:
    model = Poisoned(lambda request: request.role == "selector")
    models = {"default": SPEC.model_dump()}
    wanted = Experiment.load("GPFS-s", {"n": 100, "models": models, "participants": 3})
    with pytest.raises(Hopeless, match=r"conversation\): endpoint_fault: .*500: boom"):
        run_virtually(run_async(wanted, tmp_path, open_model=lambda _: model))
    assert model.asked <= MOST_CALLS


def test_a_run_all_of_whose_prompts_fail_while_a_probe_is_answered(tmp_path: Path) -> None:
    model = Poisoned(lambda _: True)
    wanted = Experiment.load("GPFS-s", {"n": 100, "models": {"default": SPEC.model_dump()}})
    with pytest.raises(Hopeless, match=r"endpoint_fault: .*500: boom"):
        run_virtually(run_async(wanted, tmp_path, open_model=lambda _: model))
    assert model.asked <= MOST_CALLS


SMALL = {"n": 30, "max_turns": 3, "iterative": False, "models": {"default": SPEC.model_dump()}}


def test_a_poisoned_prompt_ends_within_a_minute_and_holds_nothing(tmp_path: Path) -> None:
    seen: list[str] = []

    def fails(request: Request) -> bool:
        if request.role == "generator" and request.dialogue not in seen:
            seen.append(request.dialogue)
        return request.role == "generator" and request.dialogue == seen[0]

    async def play(folder: Path) -> float:
        wanted = Experiment.load("GPFS-s", SMALL)
        await run_async(wanted, folder, open_model=lambda _: Poisoned(fails))
        return asyncio.get_running_loop().time()

    assert run_virtually(play(tmp_path)) < 90
    made = load_run(tmp_path)
    [failure] = made.failures()
    assert (failure.task, failure.kind) == (0, "endpoint_fault")
    assert "500: boom" in failure.message
    assert len(list(made.conversations())) == 30


def test_a_poisoned_prompt_that_an_earlier_start_left_behind_ends_too(tmp_path: Path) -> None:
    """All other tasks are answered from their journals, so only the poisoned task makes calls."""
    wanted = Experiment.load("GPFS-s", {**SMALL, "n": 6})
    named: list[str] = []

    class Gone(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            named.append(request.dialogue)
            if request.dialogue != named[0]:
                return await super().complete(request)
            await asyncio.sleep(3600)  # in virtual time; the others have finished by then
            raise EndpointDown("gone")

    with pytest.raises(EndpointDown):
        run_virtually(run_async(wanted, tmp_path, open_model=lambda _: Gone()))
    model = Poisoned(lambda request: request.dialogue == named[0])

    async def again() -> float:
        await run_async(wanted, tmp_path, open_model=lambda _: model)
        return asyncio.get_running_loop().time()

    assert run_virtually(again()) < 60 + 20, "another task must be played instead"
    assert [failure.task for failure in load_run(tmp_path).failures()] == [0]
    assert len(list(load_run(tmp_path).conversations())) == 6


def generated(folder: Path, n: int) -> None:
    wanted = Experiment.load("GPFS-s", {"n": n, "models": "scripted", "max_turns": 3})
    run(wanted, folder)


def test_a_judge_without_a_score_stops_early(endpoint: EndpointServer, tmp_path: Path) -> None:
    generated(tmp_path / "run", 12)
    endpoint.script = lambda _: say("I would rather not say.")
    ended = convogen("evaluate", tmp_path / "run", "--judge", "geval", *at(endpoint))
    assert ended.status == 1
    assert "the first 10 scores all failed in the same way" in ended.complaint
    assert "I would rather not say." in ended.complaint
    assert len(endpoint.asked) <= MOST_JUDGED


@pytest.mark.parametrize("judge", ["geval", "gptscore", "geval3"])
def test_a_judge_without_a_score_stops_early_whatever_its_first_fault_is(
    judge: str, tmp_path: Path
) -> None:
    generated(tmp_path, 12)
    first: list[Request] = []

    def fails(request: Request) -> bool:
        first.extend([] if first else [request])
        return request.messages == first[0].messages

    model = Poisoned(fails, lambda _: "I would rather not say.")
    with pytest.raises(Hopeless, match=r" of them in the same way.*I would rather not say\."):
        run_virtually(judge_run_async(tmp_path, judge, SPEC, open_model=lambda _: model))
    assert model.asked <= MOST_JUDGED


def test_a_judge_that_thinks_is_told_which_of_its_keys_gives_it_room(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    generated(tmp_path / "run", 12)
    endpoint.script = thinking
    ended = convogen("evaluate", tmp_path / "run", "--judge", "geval", *at(endpoint))
    assert ended.status == 1
    assert "was still thinking; try --set " in ended.complaint
    assert "--set explaining.max_tokens=" in ended.complaint
    assert len(endpoint.asked) <= MOST_JUDGED


def test_few_scores_none_of_them_given_end_non_zero_too(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    generated(tmp_path / "run", 1)
    endpoint.script = lambda _: say("Who knows.")
    ended = convogen("evaluate", tmp_path / "run", "--judge", "gptscore", *at(endpoint))
    assert ended.status == 1
    assert "none obtained" in ended.complaint


@pytest.mark.parametrize(("poisoned", "given"), [(1, 107), (108, 0)])
def test_scores_that_the_endpoint_fails_at_are_missing_or_end_it(
    poisoned: int, given: int, tmp_path: Path
) -> None:
    """Twelve conversations have 108 scores."""
    generated(tmp_path, 12)
    asked: list[str] = []

    def fails(request: Request) -> bool:
        if request.dialogue not in asked:
            asked.append(request.dialogue)
        return request.dialogue in asked[:poisoned]

    model = Poisoned(fails)

    async def judge() -> float:
        await judge_run_async(tmp_path, GEval(), SPEC, open_model=lambda _: model)
        return asyncio.get_running_loop().time()

    if given:
        assert run_virtually(judge()) < 150
        scores = list(load_run(tmp_path).scores("geval"))
        [missing] = [score for score in scores if score.value is None]
        assert "endpoint_fault" in f"{missing.reason}"
        assert len(scores) - 1 == given
    else:
        with pytest.raises(Hopeless, match="the first 4 scores"):
            run_virtually(judge())
        assert model.asked <= MOST_JUDGED


def test_a_gate_whose_judge_judges_nothing_stops_the_run(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    def script(asked: Asked) -> Answer:
        judging = "score" in json.dumps(asked.body["messages"][-1]).casefold()
        return say("No idea.") if judging else converse(asked)

    endpoint.script = script
    gates = "gates=[{gate: judge, min_score: 3}]"
    run_it = ["run", "GPFS-s", *at(endpoint), "--n", "100", "--set", "max_turns=2"]
    ended = convogen(*run_it, "--set", gates, "--out", tmp_path / "run")
    assert ended.status == 1
    assert "the first 10 tasks all failed in the same way (stage: gate judge)" in ended.complaint
    assert len(endpoint.asked) <= MOST_CALLS


def test_all_attempts_at_what_was_given_up_are_in_the_ledger(tmp_path: Path) -> None:
    first: list[str] = []

    def fails(request: Request) -> bool:
        first.append(request.dialogue)
        return request.dialogue == first[0]

    model = Poisoned(fails)
    wanted = Experiment.load("GPFS-s", {**SMALL, "n": 3})
    run_virtually(run_async(wanted, tmp_path, open_model=lambda _: model))
    assert sum(row["attempts"] for row in load_run(tmp_path).ledger()) == model.asked
