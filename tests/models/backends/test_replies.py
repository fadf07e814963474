"""Answers with status 200: completions of every shape, and errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import Answer, Asked, Bytes, EndpointServer, converse, refuse, say
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Experiment, run
from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.models.backends.completion_parsing import finish_of, parsed, read_completion
from convogen.models.backends.openai_compatible import EndpointModel
from convogen.models.backends.reported import reported_error
from convogen.models.base import Message, ModelReply, Request, Sampling, Transient, printable
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.redaction import Secrets

NO_SECRETS = Secrets([])


def body(content: Any, **more: Any) -> Bytes:
    return say(content, **more)


def raw(data: Any) -> Bytes:
    return Bytes(json.dumps(data).encode())


def ask(endpoint: EndpointServer, answer: Answer, **sampling: Any) -> ModelReply:
    """Return the reply to exactly one call that receives this answer."""
    endpoint.script = lambda _: answer

    async def asking() -> ModelReply:
        spec = ModelSpec(name="a-model", base_url=endpoint.base_url, timeout_s=20)
        model = EndpointModel(spec)
        settings = Sampling(**{"max_tokens": 9, **sampling})
        try:
            messages = (Message("user", "Hello"),)
            return await model.complete(Request("agent", "a-model", messages, settings))
        finally:
            await model.close()

    try:
        return asyncio.run(asking())
    finally:
        assert len(endpoint.asked) == 1


def in_choice(error: Any) -> Bytes:
    choice = {"index": 0, "finish_reason": "error", "message": {"content": "half a"}}
    return raw({"choices": [{**choice, "error": error}]})


STOPS: dict[str, Bytes] = {
    "401 at the top": raw({"error": {"code": 401, "message": "User not found."}}),
    "a code in words": raw({"error": {"message": "no", "code": "invalid_api_key"}}),
    "a type in words": raw({"error": {"message": "no", "type": "authentication_error"}}),
    "a text alone": raw({"error": "Unauthorized"}),
    "402 in the choice": in_choice({"code": 402, "message": "Insufficient credits"}),
    "a quota": raw({"error": {"message": "x", "code": "insufficient_quota", "type": "x"}}),
    "as a text": raw({"error": {"code": "402", "message": "x"}}),
    "beside choices": raw({"error": {"code": 401}, "choices": [{"message": {"content": "a"}}]}),
    "in words": raw({"detail": "Not authenticated"}),
    "a key in words": raw({"message": "The API key is not valid.", "success": False}),
    "arrears": raw({"code": 1113, "msg": "Your account is in arrears, please recharge"}),
    "no credits": raw({"error": {"message": "You are out of credits"}}),
    "a base_resp": raw({"choices": None, "base_resp": {"status_msg": "login fail"}}),
}

PASSES: dict[str, Bytes] = {
    "429": raw({"error": {"code": 429, "message": "slow down"}}),
    "502 in the choice": in_choice({"code": 502, "message": "slow down"}),
    "Google's list": raw([{"error": {"status": "RESOURCE_EXHAUSTED", "message": "slow down"}}]),
    "a text": raw({"error": "slow down"}),
    "about tokens": raw({"error": "slow down: max tokens is invalid, no tokens left"}),
    "FastAPI's": raw({"detail": "slow down"}),
    "vLLM's of old": raw({"object": "error", "message": "slow down", "type": "InternalError"}),
    "Cloudflare's": raw({"success": False, "errors": [{"code": 7, "message": "slow down"}]}),
    "in a stream": Bytes(b'data: {"error": {"code": 503, "message": "slow down"}}\n\n'),
}


@pytest.mark.parametrize("case", STOPS)
def test_an_error_that_the_user_must_mend_stops_whatever_the_status(
    endpoint: EndpointServer, case: str
) -> None:
    with pytest.raises(EndpointDown):
        ask(endpoint, STOPS[case])


@pytest.mark.parametrize("case", PASSES)
def test_an_error_that_passes_is_retried_for_nothing(endpoint: EndpointServer, case: str) -> None:
    with pytest.raises(Transient, match="slow down") as caught:
        ask(endpoint, PASSES[case])
    assert not caught.value.billed


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 400, "message": "no such thing"}, "bad_request"),
        ({"type": "invalid_request_error", "message": "odd"}, "bad_request"),
        ({"code": "context_length_exceeded", "message": "odd"}, "context_length"),
        ({"code": 400, "message": "content_filter"}, "content_filter"),
    ],
)
def test_an_error_of_one_request_is_a_fault(
    endpoint: EndpointServer, error: dict[str, Any], kind: str
) -> None:
    with pytest.raises(ModelFault) as caught:
        ask(endpoint, raw({"error": error}))
    assert (caught.value.kind, caught.value.billed) == (kind, False)


def test_a_refused_parameter_is_dropped_whatever_the_status(endpoint: EndpointServer) -> None:
    refusal = raw({"error": {"code": 400, "message": "'temperature' is not supported"}})

    def script(asked: Asked) -> Bytes:
        return refusal if "temperature" in asked.body else say("Fine.")

    endpoint.script = script

    async def asking() -> ModelReply:
        model = EndpointModel(ModelSpec(name="m", base_url=endpoint.base_url))
        try:
            asked = (Message("user", "Hello"),)
            return await model.complete(Request("agent", "m", asked, Sampling(temperature=0.5)))
        finally:
            await model.close()

    assert asyncio.run(asking()).text == "Fine."
    assert len(endpoint.asked) == 2


def experiment(endpoint: EndpointServer) -> Experiment:
    small = {"n": 1, "participants": 2, "max_turns": 3, "concurrency": 1}
    models = {"name": "a-model", "base_url": endpoint.base_url}
    return Experiment.load("GPIS-s", {**small, "models": models})


def test_a_run_stops_at_the_first_402_in_a_200(endpoint: EndpointServer, tmp_path: Path) -> None:
    endpoint.script = lambda _: STOPS["402 in the choice"]
    with pytest.raises(EndpointDown, match="Insufficient credits"):
        run(experiment(endpoint), tmp_path)
    assert len(endpoint.asked) == 1


def test_a_run_asks_again_after_a_429_in_a_200_and_counts_it_for_nothing(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = lambda asked: PASSES["429"] if asked.nth == 2 else converse(asked)
    tally = RunProgress()
    result = run(experiment(endpoint), tmp_path, tally=tally)
    rows = list(result.ledger())
    assert tally.counts["retries"] == 1
    assert sum(row["attempts"] for row in rows) == len(endpoint.asked) == len(rows) + 1
    assert not any("lost_attempts" in row for row in rows)


@pytest.mark.parametrize(
    ("content", "text", "thought"),
    [
        ([{"type": "text", "text": "One, "}, {"type": "text", "text": "two."}], "One, two.", False),
        ({"type": "text", "text": "One."}, "One.", False),
        (["One, ", "two."], "One, two.", False),
        ([{"type": "output_text", "text": "One.", "annotations": []}], "One.", False),
        ([{"type": "text", "text": {"value": "One."}}], "One.", False),
        ([{"type": "image_url", "image_url": {}}, {"type": "text", "text": "One."}], "One.", False),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
          {"type": "text", "text": "One."}], "One.", True),
        ([{"type": "reasoning", "text": "hm"}, {"text": "One."}], "One.", True),
        ([], "", False),
    ],
)  # fmt: skip
def test_content_in_parts_is_its_texts(
    endpoint: EndpointServer, content: Any, text: str, thought: bool
) -> None:
    reply = ask(endpoint, body(content))
    assert (reply.text, reply.thought) == (text, thought)


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_thinking_beside_the_content_is_noticed_and_left_out(
    endpoint: EndpointServer, key: str
) -> None:
    reply = ask(endpoint, say(None, message={key: "So they want…"}, finish_reason="length"))
    assert (reply.text, reply.thought, reply.cut_off) == ("", True, True)


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        *[(word, "stop") for word in ("stop", "STOP", "end_turn", "EOS", "FINISH_REASON_STOP")],
        *[(word, "length") for word in ("MAX_TOKENS", "Length", "max-tokens", "model_length")],
        ("model_context_window_exceeded", "length"),
        ("OTHER", "OTHER"),
        ("tool_calls", "tool_calls"),
        ("FINISH_REASON_UNSPECIFIED", "FINISH_REASON_UNSPECIFIED"),
        (3, "3"),
    ],
)
def test_finish_reasons_are_read_in_any_dialect(
    endpoint: EndpointServer, said: Any, finish: str
) -> None:
    reply = ask(endpoint, say("Yes", finish_reason=said))
    assert reply.finish_reason == finish
    assert reply.cut_off == (finish != "stop")


@pytest.mark.parametrize("said", ["content_filter", "content_filter: PROHIBITED_CONTENT", "SAFETY"])
@pytest.mark.parametrize("message", [{"content": "half a"}, None])
def test_what_a_filter_cut_is_named_so_with_or_without_a_message(
    endpoint: EndpointServer, said: str, message: Any
) -> None:
    with pytest.raises(ModelFault) as caught:
        ask(endpoint, raw({"choices": [{"index": 0, "finish_reason": said, "message": message}]}))
    assert caught.value.kind == "content_filter"


@pytest.mark.parametrize("said", ["error", "abort", "insufficient_system_resource", "load"])
def test_a_reply_that_was_broken_off_is_asked_for_again(
    endpoint: EndpointServer, said: str
) -> None:
    with pytest.raises(Transient, match=said):
        ask(endpoint, say("half a", finish_reason=said))


def test_a_reply_without_a_finish_reason_is_cut_off_if_it_is_as_long_as_it_may_be(
    endpoint: EndpointServer,
) -> None:
    assert not ask(endpoint, say("Yes.", finish_reason=None), max_tokens=9).cut_off
    endpoint.asked.clear()
    assert ask(endpoint, say("Yes.", finish_reason=None), max_tokens=3).cut_off


@pytest.mark.parametrize(
    "choice",
    [
        {"message": None, "finish_reason": "MAX_TOKENS"},
        {"finish_reason": "length"},
        {"message": {}, "finish_reason": "length"},
    ],
)
def test_no_message_because_of_the_length_is_a_reply_without_text(
    endpoint: EndpointServer, choice: dict[str, Any]
) -> None:
    reply = ask(endpoint, raw({"choices": [choice]}))
    assert (reply.text, reply.finish_reason) == ("", "length")


@pytest.mark.parametrize(
    ("refused", "content"),
    [({"refusal": "I will not."}, None), ({}, [{"type": "refusal", "refusal": "I will not."}])],
)
def test_a_refusal_is_one_in_its_field_or_in_a_part(
    endpoint: EndpointServer, refused: dict[str, Any], content: Any
) -> None:
    with pytest.raises(ModelFault) as caught:
        ask(endpoint, say(content, message=refused))
    assert (caught.value.kind, caught.value.evidence) == ("refusal", "I will not.")


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": "12", "completion_tokens": "3.0"}, (12, 3, 0)),
        ({"prompt_tokens": 12.0, "completion_tokens": None}, (12, 0, 0)),
        ({"prompt_tokens": -1, "completion_tokens": True}, (0, 0, 0)),
        ({"prompt_tokens": float("inf"), "completion_tokens": float("nan")}, (0, 0, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": "many"}, (0, 0, 0)),
        ({"input_tokens": 12, "output_tokens": 3}, (12, 3, 0)),
        ({"prompt_tokens": 12, "prompt_cache_hit_tokens": 5}, (12, 0, 5)),
        ({"prompt_tokens": 12, "prompt_tokens_details": {"cached_tokens": "5"}}, (12, 0, 5)),
        ({"prompt_tokens": 12, "prompt_tokens_details": [1]}, (12, 0, 0)),
        ([1, 2], (0, 0, 0)),
        ("none", (0, 0, 0)),
        (None, (0, 0, 0)),
    ],
)
def test_an_answer_is_not_lost_to_its_usage(
    endpoint: EndpointServer, usage: Any, tokens: tuple[int, int, int]
) -> None:
    reply = ask(endpoint, say("Yes.", usage=usage))
    found = reply.usage
    assert reply.text == "Yes."
    assert (found.prompt_tokens, found.completion_tokens, found.cached_tokens) == tokens


@pytest.mark.parametrize("logprobs", [5, {"content": 5}, {"content": [{"token": "a"}]}, {}, []])
def test_an_answer_is_not_lost_to_its_log_probabilities(
    endpoint: EndpointServer, logprobs: Any
) -> None:
    reply = ask(endpoint, say("Yes.", logprobs=logprobs))
    assert (reply.text, reply.logprobs) == ("Yes.", None)


def events(*chunks: Any, end: str = "data: [DONE]\n\n") -> Bytes:
    said = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
    return Bytes((": hello\n\n" + said + end).encode(), headers={"Content-Type": "text/plain"})


def delta(content: str | None, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


def test_a_stream_that_nobody_asked_for_is_put_together(endpoint: EndpointServer) -> None:
    last = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
    reply = ask(endpoint, events(delta("Good "), delta("day."), delta(None, "stop"), last))
    assert (reply.text, reply.finish_reason, reply.usage.completion_tokens) == (
        "Good day.",
        "stop",
        2,
    )


def test_a_stream_that_breaks_off_is_no_answer(endpoint: EndpointServer) -> None:
    with pytest.raises(Transient):
        ask(endpoint, events(delta("Good "), end=""))


def test_a_chunk_in_place_of_a_completion_is_read(endpoint: EndpointServer) -> None:
    assert ask(endpoint, raw(delta("Good day.", "stop"))).text == "Good day."


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raw({"hello": "there"}), "expected a list of choices, found the key hello"),
        (raw({"choices": []}), "expected a list of choices"),
        (raw({"choices": [None]}), "expected an object as the choice"),
        (raw({"choices": [{"message": None, "finish_reason": "stop"}]}), "a message"),
        (raw({"choices": [{"message": "Hi", "finish_reason": "stop"}]}), "an object"),
        (raw({"choices": [{"message": {"content": 5}}]}), "expected text as the content, found"),
        (raw([1, 2]), "expected an object, found a value of type list"),
        (Bytes(b"hello\nthere"), "not JSON: it begins with 'hello there'"),
        (Bytes(b""), "not JSON: it is empty"),
    ],
)
def test_what_is_no_completion_is_described_in_words(
    endpoint: EndpointServer, answer: Bytes, words: str
) -> None:
    with pytest.raises(Transient) as caught:
        ask(endpoint, answer)
    assert words in str(caught.value)


def test_success_that_is_spelt_as_an_error_is_none(endpoint: EndpointServer) -> None:
    choice = {"message": {"content": "Yes."}, "finish_reason": "stop"}
    for error in (None, {}, "", [], {"code": 0, "message": "success"}, {"code": None}):
        endpoint.asked.clear()
        assert ask(endpoint, raw({"choices": [choice], "error": error})).text == "Yes."


KEYS = ["choices", "message", "content", "error", "code", "type", "text", "finish_reason", "delta",
        "usage", "prompt_tokens", "detail", "errors", "refusal", "logprobs", "x"]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["stop", "error", "429", "content_filter: x"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(JSON)
def test_any_json_is_a_reply_an_error_or_a_fault_in_words(data: Any) -> None:
    try:
        read = parsed(json.dumps(data).encode(), NO_SECRETS)
        if (error := reported_error(read, NO_SECRETS)) is not None:
            assert 400 <= error.status < 600
            assert "\n" not in error.detail
            return
        reply = read_completion(read, NO_SECRETS, 9)
    except (Transient, ModelFault) as fault:
        said = str(fault)
        assert "\n" not in said
        for name in ("KeyError", "TypeError", "IndexError", "AttributeError", "ValueError"):
            assert name not in said
        return
    reply.text.encode()
    assert min(reply.usage.prompt_tokens, reply.usage.completion_tokens) >= 0


ENDS = (
    "complete completed done end end_turn eos eos_token finished normal stop stop_sequence "
    "stop_token"
).split()


@given(st.sampled_from([f"{one} " for one in ENDS]) | st.text(max_size=30) | st.integers())
def test_only_words_for_the_end_are_finished(said: Any) -> None:
    found = finish_of(said)
    if found == "stop":
        word = re.sub(r"[\s-]+", "_", str(said).strip()).casefold().removeprefix("finish_reason_")
        assert word in ENDS
    elif found not in ("length", "content_filter", ""):
        assert found == printable(str(said)).strip()
    assert finish_of(f"x{said}y") != "stop"


@pytest.mark.parametrize("said", ENDS)
def test_every_word_for_the_end_in_any_case(said: str) -> None:
    for form in (said, said.upper(), said.replace("_", "-"), f"FINISH_REASON_{said.upper()}"):
        assert finish_of(form) == "stop"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda end: b"data: " + end))
def test_any_bytes_are_json_or_a_fault(answer: bytes) -> None:
    with contextlib.suppress(Transient):
        parsed(answer, NO_SECRETS)


def test_an_error_status_with_a_page_shows_its_title(endpoint: EndpointServer) -> None:
    page = b"<!DOCTYPE html><html><head><title>Bad &amp; gone\n| 502</title></head><body>x</body>"
    with pytest.raises(Transient, match=r"a web page, \"Bad & gone \| 502\""):
        ask(endpoint, Bytes(page, 502, {"Content-Type": "text/html"}))


def test_a_page_that_refuses_is_not_blamed_on_the_key(endpoint: EndpointServer) -> None:
    page = b"<html><head><title>Attention Required! | Cloudflare</title></head></html>"
    with pytest.raises(EndpointDown) as caught:
        ask(endpoint, Bytes(page, 403, {"Content-Type": "text/html"}))
    assert "Cloudflare" in str(caught.value)
    assert "another key will not help" in str(caught.value)
    assert "OPENAI_API_KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refuse(400, "parameter.enable_thinking must be set to false for non-streaming calls"),
         "--set sampling.agent.extra.enable_thinking=false"),
        (refuse(404, "No models loaded. Please load a model in the developer page"),
         "lms load a-model"),
        (refuse(400, "This model only support stream mode"), "--model"),
        (refuse(400, "gpt-99 is not a valid model ID"), "a-model"),
        (refuse(404, "The model `a-model` does not exist or you do not have access to it."),
         "--model"),
        (refuse(404, 'model "a-model" not found, try pulling it first'), "--model"),
        (refuse(400, "max_tokens is too large: 9. This model supports at most 8 completion tokens"),
         "--set sampling.agent.max_tokens=8"),
        (refuse(400, "default chat template is no longer allowed, so you must provide a chat "
                     "template"), "--chat-template"),
    ],
)  # fmt: skip
def test_what_a_server_says_would_help_comes_with_the_key_to_set(
    endpoint: EndpointServer, answer: Answer, words: str
) -> None:
    """The run stops, because every other request would fail in the same way."""
    with pytest.raises(ModelConfigError) as caught:
        ask(endpoint, answer)
    assert words in str(caught.value)


def test_a_parameter_of_one_s_own_that_is_refused_is_named(endpoint: EndpointServer) -> None:
    with pytest.raises(ModelFault, match=r"sampling\.agent\.extra\.top_k"):
        ask(endpoint, refuse(422, "Unsupported parameter: 'top_k'"), extra={"top_k": 3})


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
        "the request exceeds the available context size, try increasing it",
        "'max_tokens' is too large: 9. This model's maximum context length is 4096 tokens",
        "Prompt is too long",
    ],
)
def test_a_context_that_is_too_short_names_what_makes_it_fit(
    endpoint: EndpointServer, text: str
) -> None:
    with pytest.raises(ModelFault) as caught:
        ask(endpoint, refuse(400, text))
    assert caught.value.kind == "context_length"
    for key in ("sampling.agent.max_tokens", "max_turns", "num_ctx"):
        assert key in str(caught.value)
