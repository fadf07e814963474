"""Any chatbot behind HTTP can be used: its requests, its answers and its errors."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from command_line import convogen
from flask import Flask, request
from pydantic import ValidationError
from werkzeug.serving import make_server

from convogen import Experiment, load_run, run
from convogen.errors import EndpointDown, ModelConfigError
from convogen.models.http import Http, at_path
from convogen.models.spec import ModelSpec

Answer = Callable[["Shop", str, str], web.Response]


def counts(shop: Shop, session: str, text: str) -> web.Response:
    """Answer as a shop's bot that counts the messages of each session."""
    nth = len(shop.heard[session])
    return web.json_response({"data": {"replies": [{"text": f"Message {nth}: {text}"}]}})


class Shop:
    """A chatbot with its own protocol: the session in the path, a token, and nested answers."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.pause_s = 0.0
        self.heard: dict[str, list[str]] = {}
        self.roles: set[str] = set()
        self.tokens: set[str | None] = set()
        self.bodies: list[dict[str, Any]] = []
        self.url = ""

    async def _talk(self, request: web.Request) -> web.Response:
        body = await request.json()
        session = request.match_info["session"]
        self.tokens.add(request.headers.get("X-Bot-Token"))
        self.bodies.append(body)
        self.roles |= {one["role"] for one in body["history"]}
        self.heard.setdefault(session, []).append(body["text"])
        await asyncio.sleep(self.pause_s)
        return self.answer(self, session, body["text"])

    async def serve(self, ready: threading.Event) -> None:
        self._loop, self._closing = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_post("/sessions/{session}/say", self._talk)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await self._closing.wait()
        await runner.cleanup()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closing.set)


@contextmanager
def open_shop(answer: Answer = counts) -> Iterator[Shop]:
    shop, ready = Shop(answer), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(shop.serve(ready)))
    thread.start()
    try:
        assert ready.wait(10)
        yield shop
    finally:
        shop.close()
        thread.join(10)


@contextmanager
def flask_serving(app: Flask) -> Iterator[str]:
    """Serve a Flask application on this machine during the block; yield its URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def described(shop: Shop, folder: Path, **over: str) -> Path:
    path = folder / "shop.yaml"
    answer = over.get("answer", "data.replies[0].text")
    path.write_text(
        f"""
name: shop
method: roleplay
personas: 2
goals: [cat-poem, unicorn]
max_turns: 3
models:
  inquirer: scripted
  responder:
    name: shop-bot
    http:
      url: {shop.url}/sessions/{{{{ session }}}}/say
      headers: {{X-Bot-Token: "{{{{ env.SHOP_TOKEN }}}}"}}
      body: {{text: "{{{{ message }}}}", lang: en, history: "{{{{ messages }}}}"}}
      answer: {answer}
""",
        "utf-8",
    )
    return path


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "very-secret-token")


def test_a_chatbot_described_in_yaml_is_talked_to_in_a_session_a_dialogue(tmp_path: Path) -> None:
    with open_shop() as shop:
        done = convogen("run", described(shop, tmp_path), "--out", tmp_path / "run")
    assert done.status == 0, done.err
    dialogues = list(load_run(tmp_path / "run").conversations())
    assert len(dialogues) == 4
    assert len(shop.heard) == 4
    assert not {one.id.removeprefix("c-") for one in dialogues} & set(shop.heard)
    for one in dialogues:
        prompts = [turn.text for turn in one.turns if turn.speaker == "user"]
        responses = [turn.text for turn in one.turns if turn.speaker == "assistant"]
        assert prompts in shop.heard.values()
        assert responses == [f"Message {nth}: {text}" for nth, text in enumerate(prompts, 1)]
    assert shop.tokens == {"very-secret-token"}
    assert shop.bodies[0]["lang"] == "en"
    assert max(len(body["history"]) for body in shop.bodies) == 5
    assert all(set(one) == {"role", "content"} for b in shop.bodies for one in b["history"])


def test_a_bot_made_with_flask_is_talked_to_and_remembers(tmp_path: Path) -> None:
    """The session is in the body, the answer is in a list, and the bot repeats earlier messages."""
    memory: dict[str, list[str]] = {}
    app = Flask("bot")

    @app.post("/chat")
    def chat() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        asked: dict[str, str] = request.get_json()
        told = memory.setdefault(asked["conversation"], [])
        before = told[-1] if told else "nothing"
        told.append(asked["text"])
        return {"choices": [{"say": f"After {before!r} you said {asked['text']!r}."}]}

    path = tmp_path / "flask.yaml"
    with flask_serving(app) as url:
        path.write_text(
            f"""
name: flask
method: roleplay
personas: 1
goals: [cat-poem, unicorn]
max_turns: 3
models:
  inquirer: scripted
  responder:
    name: flask-bot
    http:
      url: {url}/chat
      body: {{conversation: "{{{{ session }}}}", text: "{{{{ message }}}}"}}
      answer: choices[0].say
""",
            "utf-8",
        )
        done = convogen("run", path, "--out", tmp_path / "run")
    assert done.status == 0, done.err
    dialogues = list(load_run(tmp_path / "run").conversations())
    assert (len(dialogues), len(memory)) == (2, 2)
    assert max(len(told) for told in memory.values()) > 1
    for one in dialogues:
        prompts = [turn.text for turn in one.turns[::2]]
        assert prompts in memory.values()
        assert [turn.text for turn in one.turns[1::2]] == [
            f"After {before!r} you said {text!r}."
            for before, text in zip(["nothing", *prompts], prompts, strict=False)
        ]


def test_a_run_goes_on_in_its_own_sessions_and_another_has_others(tmp_path: Path) -> None:
    """The same experiment in two folders gives the same records, but the sessions are not
    reused."""
    with open_shop() as shop:
        experiment = Experiment.load(described(shop, tmp_path))
        run(experiment, tmp_path / "one", pilot=2)
        begun = load_run(tmp_path / "one").manifest["started_at"]
        run(experiment, tmp_path / "one")
        assert load_run(tmp_path / "one").manifest["started_at"] == begun
        assert len(shop.heard) == 4
        first = dict(shop.heard)
        run(experiment, tmp_path / "two")
        assert len(shop.heard) == 8
    assert {name: shop.heard[name] for name in first} == first
    one, two = (tmp_path / name / "conversations.jsonl" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_resumed_dialogue_is_in_the_session_it_began_in(tmp_path: Path) -> None:
    def refuses_late(shop: Shop, session: str, text: str) -> web.Response:
        if len(shop.bodies) > 5:
            return web.json_response({"error": "no"}, status=403)
        return counts(shop, session, text)

    with open_shop(refuses_late) as shop:
        experiment = Experiment.load(described(shop, tmp_path), {"concurrency": 1})
        with pytest.raises(EndpointDown):
            run(experiment, tmp_path / "run")
        shop.answer, cut_off = counts, dict(shop.heard)
        run(experiment, tmp_path / "run")
    assert len(shop.heard) == 4
    assert set(cut_off) < set(shop.heard)


def test_a_bot_is_told_what_is_said_to_it_and_no_more(tmp_path: Path) -> None:
    """This holds for any family, because instructions are for models and a bot has its own."""
    with open_shop() as shop:
        path = described(shop, tmp_path)
        result = run(Experiment.load(path, {"responder_family": "vicuna"}), tmp_path / "run")
    assert shop.roles == {"user", "assistant"}
    said = {turn.text for one in result.conversations() for turn in one.turns[::2]}
    assert {text for texts in shop.heard.values() for text in texts} == said


def test_no_secret_is_in_any_file_and_what_the_bot_quotes_of_it_is_masked(tmp_path: Path) -> None:
    def quotes(shop: Shop, session: str, text: str) -> web.Response:
        return web.json_response({"data": {"replies": [{"text": "Is it very-secret-token?"}]}})

    with open_shop(quotes) as shop:
        convogen("run", described(shop, tmp_path), "--out", tmp_path / "run")
    files = [path for path in (tmp_path / "run").rglob("*") if path.is_file()]
    assert not [path for path in files if b"very-secret-token" in path.read_bytes()]
    first = next(iter(load_run(tmp_path / "run").conversations()))
    assert first.turns[1].text == "Is it ***?"


def test_what_the_inquirer_says_cannot_change_the_request(tmp_path: Path) -> None:
    """Quotes, braces and line ends in a message are text in the JSON, not part of a template."""
    nasty = 'a "quoted" {{ env.SHOP_TOKEN }} \\ {% raw %} line\nend'
    spec = ModelSpec.model_validate(
        {"name": "b", "http": {"url": "http://h/", "body": {"m": "{{ message }}"}, "answer": "a"}}
    )
    from convogen.models.http import fill

    assert spec.http is not None
    assert fill(spec.http.body, {"message": nasty, "env": {}}) == {"m": nasty}


@pytest.mark.parametrize("status", [503, 200])
def test_a_bot_that_fails_is_asked_again_and_one_that_refuses_ends_the_run(
    tmp_path: Path, status: int
) -> None:
    """The status may show the failure, or the body of an answer with status 200 may."""
    failed: list[str] = []

    def stumbles(shop: Shop, session: str, text: str) -> web.Response:
        if len(failed) < 2:
            failed.append(session)
            busy = {"error": {"code": 503, "message": "busy"}}
            return web.json_response(busy, status=status, headers={"Retry-After": "0"})
        return counts(shop, session, text)

    with open_shop(stumbles) as shop:
        result = run(Experiment.load(described(shop, tmp_path)), tmp_path / "run")
    assert len(list(result.conversations())) == 4
    assert sum(row["attempts"] - 1 for row in result.ledger() if row["attempts"]) == 2

    refusal = {"error": {"code": 401, "message": "no"}}
    refused = 401 if status == 503 else 200
    with open_shop(lambda *_: web.json_response(refusal, status=refused)) as shop:
        ended = convogen("run", described(shop, tmp_path), "--out", tmp_path / "refused")
    assert ended.status == 2
    assert "401" in ended.complaint
    assert "http.headers of model shop-bot" in ended.complaint


def test_an_answer_that_is_elsewhere_is_told_with_what_is_there(tmp_path: Path) -> None:
    with open_shop() as shop:
        path = described(shop, tmp_path, answer="data.reply")
        ended = convogen("run", path, "--out", tmp_path / "run")
    assert ended.status == 2
    assert "http.answer data.reply: 'reply' is missing; found the key replies" in ended.complaint


def test_a_bot_is_never_told_the_same_thing_twice(tmp_path: Path) -> None:
    """An incoherent answer ends the dialogue, because the bot already remembers the message."""

    def rambles(shop: Shop, session: str, text: str) -> web.Response:
        return web.json_response({"data": {"replies": [{"text": "and so on " * 9}]}})

    with open_shop(rambles) as shop:
        result = run(Experiment.load(described(shop, tmp_path)), tmp_path / "run")
    assert [one.kind for one in result.failures()] == ["incoherent_responder"] * 4
    assert all(len(said) == 1 for said in shop.heard.values())


def answers_late(shop: Shop, session: str, text: str) -> web.Response:
    return web.json_response({"error": "upstream"}, status=504)


def answers_nonsense(shop: Shop, session: str, text: str) -> web.Response:
    return web.Response(text="<html>")


class Breaking(web.Response):
    """A response whose connection ends too early."""

    async def prepare(self, request: web.BaseRequest) -> None:
        assert request.transport is not None
        request.transport.close()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (answers_late, "answered 504"),
        (answers_nonsense, "http.answer data.replies[0].text: Expecting value"),
        (lambda *_: Breaking(), "cannot be reached"),
    ],
    ids=["gateway", "nonsense", "broken"],
)
def test_what_it_may_have_heard_is_not_said_again(
    answer: Answer, said: str, tmp_path: Path
) -> None:
    with open_shop(answer) as shop:
        result = run(Experiment.load(described(shop, tmp_path)), tmp_path / "run")
    failures = list(result.failures())
    assert [one.kind for one in failures] == ["endpoint_fault"] * 4
    assert all(said in one.message and "\n" not in one.message for one in failures)
    assert [len(heard) for heard in shop.heard.values()] == [1] * 4


def test_what_it_does_not_answer_in_time_is_not_said_again(tmp_path: Path) -> None:
    with open_shop() as shop:
        shop.pause_s = 1.5
        path = described(shop, tmp_path)
        text = path.read_text("utf-8").replace(
            "name: shop-bot", "name: shop-bot\n    timeout_s: 0.5"
        )
        path.write_text(text, "utf-8")
        result = run(Experiment.load(path), tmp_path / "run")
    assert ["no response within 0.5 s" in one.message for one in result.failures()] == [True] * 4
    assert max(len(heard) for heard in shop.heard.values()) == 1


def test_no_redirect_is_followed(tmp_path: Path) -> None:
    """The second host receives nothing, least of all the token."""
    with open_shop() as other:
        place = f"{other.url}/sessions/x/say?key=hidden"

        def sends_on(shop: Shop, session: str, text: str) -> web.Response:
            return web.Response(status=307, headers={"Location": place})

        with open_shop(sends_on) as shop:
            ended = convogen("run", described(shop, tmp_path), "--out", tmp_path / "run")
    assert ended.status == 2
    assert (
        f"answered 307 and redirects to {other.url}/sessions/x/say; the redirect is"
        in ended.complaint
    )
    assert "check http.url of model shop-bot" in ended.complaint
    assert "hidden" not in ended.complaint
    assert (len(other.bodies), other.tokens) == (0, set())
    assert len(shop.bodies) > 0


def test_a_missing_variable_of_the_environment_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_TOKEN")
    with open_shop() as shop, pytest.raises(ModelConfigError, match="variable SHOP_TOKEN, which"):
        run(Experiment.load(described(shop, tmp_path)), tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("url", "ftp://bot/x", "must be an HTTP or HTTPS URL"),
        ("url", "https://{{ session }}.bot/x", "must be an HTTP or HTTPS URL"),
        ("url", "https://bot/{{ message }}", "uses message; variables allowed here: env, session"),
        ("headers", {"Authorization": "Bearer abc"}, "must not contain a secret"),
        ("headers", {"X\nY": "1"}, "is not a valid header"),
        ("body", {"text": "hello"}, "must contain"),
        ("body", {"text": "{{ message", "n": 1}, "unexpected|end"),
        ("body", {"text": "{{ message }} {{ secret }}"}, "uses secret"),
        ("body", {"text": "{{ message }}", "api_key": "abc"}, r"api_key: .*{{ env.NAME }}"),
        ("body", {"text": "{{ message }}", "a": [{"Password": ["abc"]}]}, "Password: must not"),
        ("body", {"{{ session }}": 1, "text": "{{ message }}"}, "are allowed only in values"),
        ("answer", "data..text", "keys and list indices"),
    ],
)
def test_a_wrong_description_is_refused(key: str, value: object, said: str) -> None:
    good = {"url": "https://bot/x", "body": {"m": "{{ message }}"}, "answer": "a[0].b"}
    assert Http.model_validate(good).answer == "a[0].b"
    with pytest.raises(ValidationError, match=said):
        Http.model_validate({**good, key: value})


def test_a_body_may_have_templated_secrets_and_other_texts() -> None:
    body = {
        "m": "{{ message }}",
        "token": "{{ env.X }}",
        "session_token": "{{ session }}",
        "max_tokens": 5,
        "keyboard": "none",
        "password": "",
    }
    assert Http.model_validate({"url": "https://b/x", "body": body, "answer": "a"}).body == body


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"a": 3}',
        '{"a": [{"b": null}]}',
        '"a"',
        "7",
        '{"a": {"0": {"b": "x"}}}',
        '{"a": "b"}',
        '{"a": ["b"]}',
    ],
)
def test_any_other_json_has_no_text_at_the_path(text: str) -> None:
    with pytest.raises(LookupError, match="found"):
        at_path(json.loads(text), "a[0].b")
