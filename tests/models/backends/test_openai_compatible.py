"""An OpenAI-compatible endpoint that misbehaves in realistic ways."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from endpoint_server import (
    Answer,
    Asked,
    Bytes,
    Drip,
    EndpointServer,
    Reset,
    Silence,
    converse,
    refuse,
    say,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen import Experiment, Run, run
from convogen.errors import EndpointDown, ModelConfigError, ModelFault, RunStopped
from convogen.generation.experience_generator import draft_schema
from convogen.generation.structured_output import find_json
from convogen.models.backends.openai_compatible import EndpointModel
from convogen.models.backends.scripted import WORDS
from convogen.models.base import UNPRINTABLE, Message, ModelReply, Request, Sampling, Transient
from convogen.models.spec import ModelSpec

KEY = "sk-marked-key"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"title": {"type": "string", "maxLength": 30, "title": "Title"}},
    "required": ["title"],
    "additionalProperties": False,
}
BROKEN: dict[str, Answer] = {
    "too many requests": refuse(429, "slow down", retry_after_ms="1"),
    "server error": refuse(500, "boom", retry_after_ms="1"),
    "gateway's HTML": Bytes(b"<html>\nbad gateway</html>", 502, {"Content-Type": "text/html"}),
    "invalid JSON": Bytes(b'{"choices": ['),
    "no completion": Bytes(b'{"hello": "there"}'),
    "error with status 200": Bytes(b'{"error": {"message": "overloaded"}}'),
    "a list": Bytes(b"[1, 2]"),
    "a page": Bytes(b"<html>hello</html>", headers={"Content-Type": "text/html"}),
    "no body": Bytes(b""),
    "no choices": Bytes(b'{"choices": []}'),
    "content that is no text": Bytes(b'{"choices": [{"message": {"content": 5}}]}'),
    "not UTF-8": Bytes(b'{"choices": [{"message": {"content": "\xff"}}]}'),
    "nested without end": Bytes(b"[" * 100_000),
    "no gzip": Bytes(b"plain", headers={"Content-Encoding": "gzip"}),
    "cut off": Bytes(b'{"choices": [{"message": {"content": "hello"}}]}', cut_at=20),
    "connection reset": Reset(),
    "no answer": Silence(),
    "an answer that never ends": Drip(),
}


def request(text: str = "hello", *, role: str = "agent", **more: Any) -> Request:
    sampling = more.pop("sampling", Sampling(temperature=0.5, max_tokens=9, seed=1))
    return Request(role, "a-model", (Message("user", text),), sampling, **more)


def ask(server: EndpointServer, *requests: Request, at_once: bool = False, **spec: Any) -> Any:
    """Return the replies of one model to requests, which are sequential or concurrent."""

    async def asking() -> list[ModelReply]:
        settings = {"name": "a-model", "base_url": server.base_url, "timeout_s": 20, **spec}
        model = EndpointModel(ModelSpec(**settings))
        try:
            if at_once:
                return list(await asyncio.gather(*(model.complete(r) for r in requests)))
            return [await model.complete(r) for r in requests]
        finally:
            await model.close()

    replies = asyncio.run(asking())
    return replies[0] if len(requests) == 1 else replies


def experiment(server: EndpointServer | None, **overrides: Any) -> Experiment:
    url = server.base_url if server else "http://127.0.0.1:1/v1"
    small = {"n": 1, "participants": 2, "max_turns": 3, "concurrency": 2}
    models = {"name": "a-model", "base_url": url}
    return Experiment.load("GPIS-s", {**small, "models": models, **overrides})


@pytest.mark.parametrize("fault", BROKEN)
def test_faults_that_asking_again_may_mend(endpoint: EndpointServer, fault: str) -> None:
    endpoint.script = lambda _: BROKEN[fault]
    with pytest.raises(Transient) as caught:
        ask(endpoint, request(), timeout_s=0.3)
    assert len(endpoint.asked) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "wanted_s"),
    [
        ({"retry_after_ms": "1"}, 0.001),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after_ms": "250", "retry_after": "7"}, 0.25),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after_is_read(
    endpoint: EndpointServer, headers: dict[str, str], wanted_s: float | None
) -> None:
    endpoint.script = lambda _: refuse(429, "slow down", **headers)
    with pytest.raises(Transient) as caught:
        ask(endpoint, request())
    assert caught.value.retry_after_s == wanted_s


def test_a_run_asks_again_after_429_and_succeeds(endpoint: EndpointServer, tmp_path: Path) -> None:
    def script(asked: Asked) -> Bytes:
        return refuse(429, "slow", retry_after_ms="1") if asked.nth == 2 else converse(asked)

    endpoint.script = script
    result = run(experiment(endpoint), tmp_path)
    assert len(list(result.conversations())) == 1
    calls = list(result.ledger())
    assert sum(call["attempts"] for call in calls) == len(endpoint.asked) == len(calls) + 1
    assert endpoint.asked[1].body == endpoint.asked[2].body


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refuse(401, "bad key"), EndpointDown, ["401", "MY_KEY"]),
        (refuse(403, "not yours"), EndpointDown, ["403", "MY_KEY"]),
        (refuse(404, "no such model"), ModelConfigError, ["404", "a-model", "--model"]),
        (refuse(404, "Not Found"), ModelConfigError, ["404", "--base-url"]),
        (refuse(405, "no"), ModelConfigError, ["405", "--base-url"]),
        (refuse(402, "insufficient balance"), EndpointDown, ["402", "credit"]),
        (refuse(429, "quota", "insufficient_quota"), EndpointDown, ["credit"]),
    ],
)
def test_what_the_user_must_mend_is_said_at_once(
    endpoint: EndpointServer,
    monkeypatch: pytest.MonkeyPatch,
    answer: Bytes,
    error: type[Exception],
    words: list[str],
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    endpoint.script = lambda _: answer
    with pytest.raises(error) as caught:
        ask(endpoint, request(), api_key_env="MY_KEY")
    assert len(endpoint.asked) == 1
    assert endpoint.asked[0].headers["Authorization"] == f"Bearer {KEY}"
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse(400, "filtered", "content_filter"), "content_filter"),
        (refuse(400, "triggered our content management policy"), "content_filter"),
        (say("half a", finish_reason="content_filter"), "content_filter"),
        (say(None, message={"refusal": "No, \ud800 I will not."}), "refusal"),
        (refuse(400, "bad \ud800 request"), "bad_request"),
    ],
)
def test_what_one_request_got_wrong_is_a_recorded_failure(
    endpoint: EndpointServer, tmp_path: Path, answer: Bytes, kind: str
) -> None:
    endpoint.script = lambda asked: answer if asked.nth == 1 else converse(asked)
    result = run(experiment(endpoint, concurrency=1), tmp_path)
    failures = list(result.failures())
    assert [(f.stage, f.kind) for f in failures] == [("experience", kind)]
    assert failures[0].evidence
    assert len(list(result.conversations())) == 1


@pytest.mark.parametrize(
    "said",
    ["maximum context length is 4096 tokens", "the request exceeds the available context size"],
)
def test_a_request_refused_as_too_long_is_sent_again_with_less(
    endpoint: EndpointServer, tmp_path: Path, said: str
) -> None:
    endpoint.script = lambda asked: refuse(400, said) if asked.nth == 1 else converse(asked)
    result = run(experiment(endpoint, concurrency=1), tmp_path)
    assert list(result.failures()) == []
    first, second = endpoint.asked[:2]
    assert second.body["max_tokens"] < first.body["max_tokens"]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/v1", "https://127.0.0.1:{}/v1"])
def test_a_port_where_nobody_listens_stops_a_run_at_once(tmp_path: Path, url: str) -> None:
    down = {"name": "a-model", "base_url": url.format(port := free_port())}
    with pytest.raises(EndpointDown) as caught:
        run(experiment(None, models=down), tmp_path)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "--base-url" in str(caught.value)
    assert list(Run(tmp_path).ledger()) == []


def test_a_host_that_takes_no_connection_does_not_hold_a_call_up() -> None:
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        server = EndpointServer()
        server.base_url = f"http://127.0.0.1:{full.getsockname()[1]}/v1"
        with pytest.raises((EndpointDown, Transient)):
            ask(server, request(), timeout_s=0.2)


def test_an_endpoint_that_goes_away_after_an_answer_is_asked_again(
    endpoint: EndpointServer,
) -> None:
    endpoint.script = lambda asked: say("here") if asked.nth == 1 else Reset()
    with pytest.raises(Transient, match="cannot be reached"):
        ask(endpoint, request(), request())


def refusing(allowed: Sequence[str], status: int = 400) -> Any:
    """Return a script for an endpoint that supports only these ways of requesting JSON."""

    def script(asked: Asked) -> Bytes:
        if asked.json_mode in allowed:
            return say('{"title": "a b"}')
        return refuse(status, f"response_format of {asked.json_mode} is not supported")

    return script


@pytest.mark.parametrize(
    ("allowed", "tried"),
    [
        (["schema"], ["schema"]),
        (["portable", "text"], ["schema", "portable"]),
        (["object", "text"], ["schema", "portable", "object"]),
        (["text"], ["schema", "portable", "object", "text"]),
    ],
)
@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_json_is_asked_for_as_the_endpoint_can(
    endpoint: EndpointServer, allowed: list[str], tried: list[str], status: int
) -> None:
    endpoint.script = refusing(allowed, status)
    asking = request(schema=SCHEMA, role="generator")
    replies = ask(endpoint, asking, asking, asking)
    assert [find_json(reply.text) for reply in replies] == [{"title": "a b"}] * 3
    assert [asked.json_mode for asked in endpoint.asked] == [*tried, tried[-1], tried[-1]]


@pytest.mark.parametrize("allowed", [["portable", "object", "text"], ["text"]])
def test_the_way_found_is_remembered_under_concurrent_requests(
    endpoint: EndpointServer, allowed: list[str]
) -> None:
    endpoint.script = refusing(allowed)
    asking = [request(f"number {n}", schema=SCHEMA) for n in range(12)]
    ask(endpoint, *asking, at_once=True)
    answered = [asked for asked in endpoint.asked if asked.json_mode in allowed]
    assert {asked.json_mode for asked in answered} == {allowed[0]}
    assert len(answered) == 12
    assert {a.body["messages"][0]["content"] for a in answered} == {
        f"number {n}" for n in range(12)
    }


def test_a_fixed_json_mode_is_kept(endpoint: EndpointServer) -> None:
    endpoint.script = refusing(["text"])
    with pytest.raises(ModelFault):
        ask(endpoint, request(schema=SCHEMA), json_mode="object")
    assert [asked.json_mode for asked in endpoint.asked] == ["object"]


def test_a_portable_schema_keeps_properties_named_as_keywords(endpoint: EndpointServer) -> None:
    endpoint.script = refusing(["portable"])
    ask(endpoint, request(schema=SCHEMA))
    sent = endpoint.asked[-1].body["response_format"]["json_schema"]["schema"]
    assert sent["properties"] == {"title": {"type": "string"}}
    assert sent["required"] == ["title"]


def test_a_portable_schema_of_an_experience_has_no_bounds(endpoint: EndpointServer) -> None:
    endpoint.script = refusing(["portable"])
    ask(endpoint, request(schema=draft_schema(3)))
    sent = json.dumps(endpoint.asked[-1].body["response_format"])
    assert '"speech_style"' in sent
    for bound in ("minLength", "maxLength", "minimum", "maximum"):
        assert bound not in sent


@pytest.mark.parametrize("key", ["temperature", "seed", "top_p"])
def test_a_refused_parameter_is_left_out_from_then_on(endpoint: EndpointServer, key: str) -> None:
    def script(asked: Asked) -> Bytes:
        if key in asked.body:
            return refuse(400, f"Unsupported parameter: '{key}' is not supported with this model.")
        return say("fine")

    endpoint.script = script
    asking = request(sampling=Sampling(temperature=0.5, top_p=0.9, seed=1, max_tokens=9))
    replies = ask(endpoint, asking, asking)
    assert [reply.text for reply in replies] == ["fine", "fine"]
    assert [key in asked.body for asked in endpoint.asked] == [True, False, False]
    others = {"temperature", "seed", "top_p", "max_tokens"} - {key}
    assert all(others <= asked.body.keys() for asked in endpoint.asked)


def test_max_completion_tokens_where_the_endpoint_wants_it(endpoint: EndpointServer) -> None:
    def script(asked: Asked) -> Bytes:
        if "max_tokens" in asked.body:
            return refuse(
                400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
            )
        return say("fine")

    endpoint.script = script
    ask(endpoint, request(), request())
    assert [a.body.get("max_completion_tokens") for a in endpoint.asked] == [None, 9, 9]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("<think>hm</think> Hello.", "Hello."),
        ("\n<think>\nhm\n\nhm</think>\n\nHello.", "Hello."),
        ("so I think\n</think>\n\nHello.", "Hello."),
        ("<think></think>", ""),
        ("<think>and then it was cut", ""),
        ("I <think so.", "I <think so."),
        (None, ""),
        ("", ""),
    ],
)
def test_thinking_is_not_part_of_a_reply(
    endpoint: EndpointServer, content: str | None, said: str
) -> None:
    endpoint.script = lambda _: say(content)
    assert ask(endpoint, request()).text == said


def test_usage_and_log_probabilities_are_read(endpoint: EndpointServer) -> None:
    tops = [{"token": "5", "logprob": -0.25}, {"token": "\ud800", "logprob": -1.5}]
    endpoint.script = lambda _: say(
        "5",
        usage={
            "prompt_tokens": 40,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 32},
        },
        logprobs={"content": [{"token": "5", "logprob": -0.25, "top_logprobs": tops}]},
    )
    reply = ask(endpoint, request(top_logprobs=2))
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (40, 1)
    assert reply.usage.cached_tokens == 32
    assert reply.logprobs is not None
    assert reply.logprobs[0].top == (("5", -0.25), ("?", -1.5))
    assert endpoint.asked[0].body["top_logprobs"] == 2
    assert endpoint.asked[0].body["logprobs"] is True


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None}, {"total_tokens": 3}])
def test_missing_usage_counts_as_none(endpoint: EndpointServer, usage: Any) -> None:
    endpoint.script = lambda _: say("fine", usage=usage)
    assert ask(endpoint, request()).usage.prompt_tokens == 0


AWKWARD = "Well \ud800 \x00\x1b[31mred\x07 \u202eright to left\u202c \U0001f600"


def test_surrogates_and_control_characters_do_not_break_a_run(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    """They occur in the text of turns, and in the strings of an experience's JSON."""

    def script(asked: Asked) -> Bytes:
        if asked.json_mode == "text":
            return say(f"{AWKWARD} {WORDS[asked.nth]} {WORDS[asked.nth + 20]}")
        completion = json.loads(converse(asked).content)
        experience = json.loads(completion["choices"][0]["message"]["content"])
        experience["situation"] = "A \x1b[31mred\x00 room \x85"
        experience["personas"][0]["name"] = "\x1c\x1d Ann \x1f"
        experience["personas"][0]["qualities"] = ["calm\x07", "\x1bwild \ud800"]
        return say(json.dumps(experience))

    endpoint.script = script
    result = run(experiment(endpoint), tmp_path)
    (conversation,) = result.conversations()
    assert len(conversation.turns) == 3
    for line in (tmp_path / "calls.jsonl").read_bytes().splitlines():
        assert not UNPRINTABLE.search(json.loads(line)["text"])  # a JSON escape is text here
    for path in {*tmp_path.glob("*.jsonl")} - {tmp_path / "calls.jsonl"}:
        for line in path.read_bytes().splitlines():
            for control in (r"\u001b", r"\u0000", r"\u0007", r"\ud800", r"\u001c"):
                assert control not in json.dumps(json.loads(line)), path.name
    assert any("\U0001f600" in turn.text for turn in conversation.turns)
    (experience,) = result.experiences()
    assert experience.personas[0].name == "Ann"


FOREIGN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["content", "message", "choices", "usage", "logprobs", "token", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(FOREIGN, min_size=4, max_size=4))
def test_any_json_is_a_reply_or_a_fault_of_the_model(
    shared_endpoint: EndpointServer, parts: list[Any]
) -> None:
    content, usage, logprobs, finish = parts
    choice = {"message": {"content": content}, "logprobs": logprobs, "finish_reason": finish}
    body = json.dumps({"choices": [choice], "usage": usage}).encode()
    shared_endpoint.script = lambda _: Bytes(body)
    try:
        reply = ask(shared_endpoint, request())
    except (Transient, ModelFault):
        return
    reply.text.encode()
    reply.finish_reason.encode()


@pytest.fixture(scope="module")
def shared_endpoint() -> Any:
    from endpoint_server import serving

    with serving() as server:
        yield server


def every_byte(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


@pytest.mark.parametrize("in_url", [False, True])
@pytest.mark.parametrize("status", [None, 400, 401, 429, 500])
def test_no_key_and_no_password_in_files_or_messages(
    endpoint: EndpointServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_url: bool,
    status: int | None,
) -> None:
    """This holds even if the endpoint quotes the key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    url = endpoint.base_url
    if in_url:
        url = url.replace("//", "//someone:s3cret%40word@")
    quoted = f"Incorrect API key provided: {KEY}"
    code = "insufficient_quota" if status == 429 else None

    def script(asked: Asked) -> Bytes:
        if status is None or (status in (400, 500) and asked.nth > 1):
            return converse(asked)
        return refuse(status, quoted, code)

    endpoint.script = script
    models = {"name": "a-model", "base_url": url}
    said = ""
    try:
        run(experiment(endpoint, models=models), tmp_path)
    except RunStopped as stopped:
        said = str(stopped)
    assert (said == "") == (status in (None, 400, 500))
    written = every_byte(tmp_path) + said.encode()
    assert len(written) > 100
    for secret in (KEY, "s3cret", "someone"):
        assert secret.encode() not in written
    expected = "Basic c29tZW9uZTpzM2NyZXRAd29yZA==" if in_url else f"Bearer {KEY}"
    assert {asked.headers["Authorization"] for asked in endpoint.asked} == {expected}


@pytest.mark.parametrize("key", ["sk–marked", "sk-mark\x1bed", "sk-mark\ned"])
def test_a_key_that_is_none_is_named_by_its_variable(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(ModelConfigError) as caught:
        ask(endpoint, request())
    assert "OPENAI_API_KEY" in str(caught.value)
    assert "mark" not in str(caught.value)


def test_white_space_around_a_key_is_no_part_of_it(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\r\n")
    ask(endpoint, request())
    assert endpoint.asked[0].headers["Authorization"] == f"Bearer {KEY}"


def test_this_machine_is_reached_without_a_proxy(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded model's server runs on this machine, where a proxy cannot reach it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    ask(endpoint, request())
    assert len(endpoint.asked) == 1


def test_another_machine_is_reached_by_the_proxy_of_the_environment(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", endpoint.base_url.removesuffix("/v1"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    endpoint.base_url = "http://endpoint.invalid/v1"
    ask(endpoint, request())
    assert endpoint.asked[0].headers["Host"] == "endpoint.invalid"


@pytest.mark.parametrize("behind", ["", "/", "?api-version=1"])
def test_a_base_url_may_have_a_slash_or_a_query(endpoint: EndpointServer, behind: str) -> None:
    endpoint.base_url += behind
    ask(endpoint, request())
    assert len(endpoint.asked) == 1
