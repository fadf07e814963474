"""Dialogues with an endpoint whose context is short: no dialogue with an exchange is lost."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import Answer, Asked, EndpointServer, refuse, say
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Experiment, Run, run
from convogen.engine.replay import replay_run
from convogen.errors import ModelFault
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Message, Request, Sampling
from convogen.models.overflow import read_overflow

SEEDS = Path(__file__).parents[1] / "contract" / "seeds.jsonl"
WINDOW = 4096
Wording = Callable[[int, int, int], str]
"""A server's message for a context window, a prompt length and a reply limit, all in tokens."""

OPENAI = (
    "This model's maximum context length is {0} tokens. However, you requested {3} tokens ({1} in "
    "the messages, {2} in the completion). Please reduce the length of the messages or completion."
)
WORDINGS: dict[str, tuple[str, tuple[int, int | None]]] = {
    "openai": (OPENAI, (4096, 700)),
    "openai prompt": (
        "This model's maximum context length is {0} tokens. However, your messages resulted in {1} "
        "tokens. Please reduce the length of the messages.",
        (4096, 700),
    ),
    "vllm": (
        "'max_tokens' or 'max_completion_tokens' is too large: {2}. This model's maximum context "
        "length is {0} tokens and your request has {1} input tokens ({2} > {0} - {1}).",
        (4096, 700),
    ),
    "vllm later": (
        "This model's maximum context length is {0} tokens. However, you requested {2} output "
        "tokens and your prompt contains at least {1} input tokens, for a total of at least {3}.",
        (4096, 700),
    ),
    "vllm prompt": (
        "The decoder prompt (length {1}) is longer than the maximum model length of {0}. Make sure "
        "that `max_model_len` is no smaller than the number of text tokens.",
        (4096, 700),
    ),
    "sglang": (
        "Requested token count exceeds the model's maximum context length of {0} tokens. You "
        "requested a total of {3} tokens: {1} tokens from the input messages and {2} tokens for "
        "the completion.",
        (4096, 700),
    ),
    "tgi": (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= {0}. Given: {1} "
        "`inputs` tokens and {2} `max_new_tokens`",
        (4096, 700),
    ),
    "llama.cpp": (
        "request ({1} tokens) exceeds the available context size ({0} tokens), try increasing it",
        (4096, 700),
    ),
    "anthropic": (
        "input length and `max_tokens` exceed context limit: {1} + {2} > {0}, decrease input "
        "length or `max_tokens` and try again",
        (4096, 700),
    ),
    "anthropic prompt": ("prompt is too long: {1} tokens > {0} maximum", (4096, 700)),
    "mistral": (
        "Prompt contains {1} tokens and 0 draft tokens, too large for model with {0} maximum "
        "context length",
        (4096, 700),
    ),
    "gemini": (
        "The input token count ({1}) exceeds the maximum number of tokens allowed ({0}).",
        (4096, 700),
    ),
    "lm studio": (
        "Trying to keep the first {1} tokens when context the overflows. However, the model is "
        "loaded with context length of only {0} tokens, which is not enough.",
        (4096, 700),
    ),
}


@pytest.mark.parametrize("name", WORDINGS)
def test_the_numbers_of_a_refusal_are_read(name: str) -> None:
    wording, (window, prompt) = WORDINGS[name]
    found = read_overflow(wording.format(4096, 700, 4000, 4700))
    assert (found.window, found.prompt) == (window, prompt)


@pytest.mark.parametrize(
    "text", ["", "the context is too long", "context window 99999999999999999"]
)
def test_a_refusal_without_numbers_tells_nothing_of_the_prompt(text: str) -> None:
    assert read_overflow(text).prompt is None


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(0, 10**15))
def test_any_text_is_read(text: str, number: int) -> None:
    found = read_overflow(f"{text} context length is {number} {text}")
    assert found.window is None or found.window >= 0


class Short:
    """An endpoint with a context window, in which four characters count as a token and each
    message adds four tokens."""

    def __init__(
        self, wording: str | None, lines: Callable[[Asked], str], window: int = WINDOW
    ) -> None:
        self.wording, self.lines, self.window = wording, lines, window
        self.prompts: list[int] = []
        self.refused = 0

    def __call__(self, asked: Asked) -> Answer:
        prompt = sum(len(one["content"]) // 4 + 4 for one in asked.body["messages"])
        cap = asked.body.get("max_completion_tokens") or asked.body.get("max_tokens") or 0
        if prompt + cap > self.window:
            self.refused += 1
            said = self.wording or "the request exceeds the available context size"
            return refuse(400, said.format(self.window, prompt, cap, prompt + cap))
        self.prompts.append(prompt)
        text = self.lines(asked)[: 4 * (cap or self.window - prompt)]
        return say(text, usage={"prompt_tokens": prompt, "completion_tokens": len(text) // 4})


def roleplay_lines(asked: Asked) -> str:
    """Reply as an inquirer that never stops, or a responder with 600 tokens; all utterances
    differ."""
    numbered = " ".join(f"word{asked.nth}x{at}" for at in range(1_000))
    is_inquirer = any("FINISH" in one["content"] for one in asked.body["messages"])
    return f'"Is it {numbered[:300]}?"' if is_inquirer else f"It is {numbered[:2400]}."


def play(
    endpoint: EndpointServer, folder: Path, script: Callable[[Asked], Answer], **keys: Any
) -> Run:
    endpoint.script = script
    model = {"name": "m", "base_url": endpoint.base_url}
    given = {"name": "t", "method": "roleplay", "models": model, "concurrency": 1, **keys}
    return run(Experiment(given), folder)


@pytest.mark.parametrize("name", [*WORDINGS, None])
def test_no_role_play_is_lost_to_a_short_context(
    name: str | None, endpoint: EndpointServer, tmp_path: Path
) -> None:
    """As in roleplay-llama-2: Llama-2's window, replies of up to 4,000 tokens, and twelve turns."""
    short = Short(WORDINGS[name][0] if name else None, roleplay_lines)
    given = Experiment.load("roleplay-llama-2", {"personas": 1, "goals": 1})
    method = given.method.model_dump(exclude_unset=True)
    result = play(endpoint, tmp_path, short, **method, sampling=given.common.sampling, n=1)
    dialogues = list(result.conversations())
    assert [(len(one.turns), one.ended) for one in dialogues] == [(24, "max_turns")]
    assert not list(result.failures())
    answers = [turn for one in dialogues for turn in one.turns if turn.speaker == "assistant"]
    assert all(turn.capped_at is not None and turn.capped_at < 4000 for turn in answers)
    assert [turn.left_out for turn in answers[:2]] == [None, None]
    late = [turn.left_out or 0 for turn in answers[8:12]]
    assert late == sorted(late)
    assert late[-1] > 2
    assert max(short.prompts) > WINDOW // 2
    if name:
        assert short.refused <= 8 * len(dialogues)


def test_what_is_left_out_are_the_oldest_exchanges(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    short = Short(OPENAI, roleplay_lines)
    result = play(endpoint, tmp_path, short, personas=1, goals=1, responder_family="mixtral")
    (dialogue,) = result.conversations()
    last = endpoint.asked[-1].body["messages"]
    left_out = dialogue.turns[-1].left_out
    assert left_out
    shown = [turn.text for turn in dialogue.turns[2 * left_out : -1]]
    assert [one["content"] for one in last[1:]] == shown[1:]
    assert last[0]["content"].startswith("You are a helpful assistant")
    assert last[0]["content"].endswith(shown[0])
    asked = next(
        one.body["messages"]
        for one in endpoint.asked[::-1]
        if "FINISH" in str(one.body["messages"])
    )
    assert "You are this person" in asked[0]["content"]
    assert "Your goal: " in asked[1]["content"]
    assert dialogue.turns[-2].left_out
    assert asked[2]["content"] == f'"{dialogue.turns[2 * dialogue.turns[-2].left_out].text}"'


@pytest.mark.parametrize("name", [*WORDINGS, None])
@pytest.mark.parametrize("experiment", ["dialogueforge-oasst1-12", "dialogueforge-arena-12"])
def test_no_dialogueforge_is_lost_to_a_short_context(
    experiment: str, name: str | None, endpoint: EndpointServer, tmp_path: Path
) -> None:
    """The paper's experiments with 12 utterances, on our own seeds."""

    def lines(asked: Asked) -> str:
        said = " ".join(f"lettuce{asked.nth}y{at}" for at in range(400))
        is_inquirer = "You are a person" in asked.body["messages"][0]["content"]
        return f"slugs and {said[:900]}" if is_inquirer else f"Answer of {said}."

    given = Experiment.load(experiment, {"seeds": str(SEEDS), "n": 2})
    method = given.method.model_dump(exclude_unset=True)
    default = {"name": "m", "base_url": endpoint.base_url}
    models = {"default": default, "summarizer": "scripted"}
    short = Short(WORDINGS[name][0] if name else None, lines)
    method["method"] = "dialogueforge"
    result = play(endpoint, tmp_path, short, **method, n=2, models=models)
    dialogues = list(result.conversations())
    assert not list(result.failures())
    assert [(len(one.turns), one.ended) for one in dialogues] == [(12, "max_turns")] * 2
    assert all(any(turn.left_out for turn in one.turns) for one in dialogues)
    assert short.refused


def test_of_a_long_seed_the_summarizer_is_shown_its_first_and_its_last_messages(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    """30 messages of 250 tokens each do not fit; the record states which were left out."""
    said = [f"question {at} about lettuce: {'why ' * 240}" for at in range(30)]
    pairs = [(text, "Because.") for text in said]
    roles = ("user", "assistant")
    messages = [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(roles, pair, strict=True)
    ]
    seeds = tmp_path / "long.jsonl"
    seeds.write_text(json.dumps({"id": "long", "messages": messages}) + "\n", "utf-8")

    def lines(asked: Asked) -> str:
        return "You want to know why lettuce needs so many questions."

    there = {"name": "m", "base_url": endpoint.base_url}
    models = {"default": "scripted", "summarizer": there}
    given = {"method": "dialogueforge", "seeds": str(seeds), "n": 1, "utterances": 4}
    short = Short(OPENAI, lines)
    (dialogue,) = play(endpoint, tmp_path / "run", short, **given, models=models).conversations()
    left_out = dialogue.context["task_left_out"]
    shown = endpoint.asked[-1].body["messages"][-1]["content"]
    assert 10 < left_out < 29
    assert f"[{left_out} messages left out here]" in shown
    kept = [at for at in range(30) if f"question {at} about" in shown]
    assert kept == [0, *range(1 + left_out, 30)]
    assert max(short.prompts) > WINDOW // 2


def group_lines(asked: Asked) -> str:
    """Reply with turns of 900 tokens that all differ; the selector chooses the last candidate."""
    last = asked.body["messages"][-1]["content"]
    if "Who may speak next:" in last:
        return re.findall(r"^- (.+) \(", last, re.MULTILINE)[-1]
    if schema := asked.body.get("response_format", {}).get("json_schema"):
        messages = tuple(Message(one["role"], one["content"]) for one in asked.body["messages"])
        return improvise(Request("any", "any", messages, Sampling(), schema=schema["schema"]))
    rng = random.Random(asked.nth)
    return " ".join("".join(rng.choices("abcdefghij", k=6)) for _ in range(510)) + "."


@pytest.mark.parametrize("name", [*WORDINGS, None])
@pytest.mark.parametrize("experiment", ["GPIS", "diasynth-dialogsum"])
def test_no_group_chat_is_lost_to_a_short_context(
    experiment: str, name: str | None, endpoint: EndpointServer, tmp_path: Path
) -> None:
    """The agents and the selector see only the latest turns, and both record this."""
    keys = {"mode": "groupchat", "turns": [10, 10]} if experiment.startswith("dia") else {}
    given = Experiment.load(experiment, {"n": 2, **keys})
    method = given.method.model_dump(exclude_unset=True) | {"method": given.method.name}
    there = {"name": "m", "base_url": endpoint.base_url}
    models = {"default": "scripted", "agent": there, "selector": there}
    short = Short(WORDINGS[name][0] if name else None, group_lines)
    result = play(endpoint, tmp_path, short, **method, n=2, models=models)
    dialogues = list(result.conversations())
    assert not list(result.failures())
    assert [one.ended for one in dialogues] == ["max_turns"] * 2
    assert max(len(one.participants) for one in dialogues) > 2 or experiment != "GPIS"
    for one in dialogues:
        said = [turn.left_out or 0 for turn in one.turns]
        assert said[:3] == [0, 0, 0]
        assert said[-1] > 0
        selections = [turn.selection for turn in one.turns if turn.selection]
        if len(one.participants) > 2:  # with two people, no selection is needed
            assert any(selection.left_out for selection in selections)
        assert not any(selection.repair for selection in selections)


def test_what_is_left_out_of_a_group_chat_are_the_oldest_turns(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    there = {"name": "m", "base_url": endpoint.base_url}
    models = {"default": "scripted", "agent": there, "selector": there}
    given = {"method": "convogen", "style": "chatty", "max_turns": 8, "n": 1, "models": models}
    (dialogue,) = play(endpoint, tmp_path, Short(OPENAI, group_lines), **given).conversations()
    last = dialogue.turns[-1]
    assert last.left_out
    assert last.selection
    shown = "\n".join(one["content"] for one in endpoint.asked[-1].body["messages"])
    for at, turn in enumerate(dialogue.turns[:-1]):
        assert (turn.text in shown) == (at >= last.left_out)
    assert "Situation:" in shown
    assert shown.startswith(f"You are {last.speaker}")


@pytest.mark.parametrize(
    "keys", [{"method": "convogen", "max_turns": 2}, {"method": "diasynth", "turns": [4, 4]}]
)
def test_what_is_planned_and_invented_gets_less_room_in_a_short_window(
    keys: dict[str, Any], endpoint: EndpointServer, tmp_path: Path
) -> None:
    """By default, each step before a conversation may use 3,000 or 4,000 tokens."""
    room = {role: {"max_tokens": 4000} for role in ("planner", "writer")}
    if keys["method"] == "diasynth":
        keys = {**keys, "sampling": room}
    short = Short(OPENAI, group_lines)
    result = play(endpoint, tmp_path, short, n=2, **keys)
    assert len(list(result.conversations())) == 2
    assert short.refused


@pytest.mark.parametrize("method", ["roleplay", "dialogueforge"])
@pytest.mark.parametrize("kind", ["context_length", "content_filter"])
def test_where_nothing_fits_the_dialogue_stands_as_far_as_it_came(
    method: str, kind: str, tmp_path: Path
) -> None:
    def script(request: Request) -> str:
        said = sum(one.role == "assistant" for one in request.messages)
        if request.role == "responder" and "slugs 2" in request.messages[-1].content:
            raise ModelFault(kind, "no more of this")
        if request.role == "summarizer":
            return "You want your sourdough bread less flat."
        if request.role == "inquirer":
            return f'"how do slugs {said} like lettuce?"'
        return f"Answer {said}."

    keys = {"roleplay": {"personas": 1, "goals": 1}, "dialogueforge": {"seeds": str(SEEDS), "n": 1}}
    given = Experiment({"name": "t", "method": method, "models": "scripted", **keys[method]})
    result = run(given, tmp_path / "kept", open_model=lambda _: ScriptedModel(script))
    (dialogue,) = result.conversations()
    assert (len(dialogue.turns), dialogue.ended) == (4, kind)
    assert dialogue.turns[-1].speaker == "assistant"
    dropped = Experiment(
        {"name": "t", "method": method, "models": "scripted", **keys[method], "broken": "drop"}
    )
    result = run(dropped, tmp_path / "dropped", open_model=lambda _: ScriptedModel(script))
    (failure,) = result.failures()
    assert failure.kind == kind


def test_a_run_that_was_cut_to_fit_is_replayed_to_the_byte(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    """The refusals are recorded like any other answers."""
    play(endpoint, tmp_path, Short(OPENAI, roleplay_lines), personas=1, goals=1)
    n_asked = len(endpoint.asked)
    assert replay_run(tmp_path).difference is None
    assert len(endpoint.asked) == n_asked


def test_a_prompt_that_leaves_no_room_at_all_is_a_failure(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    short = Short(OPENAI, roleplay_lines, window=150)
    (failure,) = play(endpoint, tmp_path, short, personas=1, goals=1).failures()
    assert failure.kind == "context_length"
    assert len(endpoint.asked) < 12


def test_a_status_of_500_that_speaks_of_the_context_is_no_outage(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    def script(asked: Asked) -> Answer:
        if (asked.body.get("max_tokens") or 0) > 2000:
            return refuse(500, "4100 tokens are more than the context length of 4096")
        return say(roleplay_lines(asked))

    result = play(endpoint, tmp_path, script, personas=1, goals=1, max_turns=2)
    assert len(list(result.conversations())) == 1
    assert len(endpoint.asked) <= 8


def test_a_deadline_of_a_server_is_no_context(endpoint: EndpointServer, tmp_path: Path) -> None:
    """Servers written in Go call a time-out `context deadline exceeded`, which leads to a retry."""

    def script(asked: Asked) -> Answer:
        late = refuse(500, "Post http://127.0.0.1/completion: context deadline exceeded")
        return late if asked.nth == 2 else say(roleplay_lines(asked))

    (dialogue,) = play(endpoint, tmp_path, script, personas=1, goals=1, max_turns=2).conversations()
    assert all(turn.capped_at is None for turn in dialogue.turns)
    assert len(dialogue.turns) == 4
