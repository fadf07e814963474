"""No key or password appears in any file or on any screen, whatever an endpoint says about it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import Ended, convogen, convogen_process
from endpoint_server import Asked, Bytes, EndpointServer, converse, refuse, say
from hypothesis import given
from hypothesis import strategies as st

from convogen import load_run
from convogen.redaction import Secrets, masked, public_url

KEY, PASSWORD, IN_QUERY = "sk-marked/0123+4567", "s3cret@wörd'\"x", "marked-query-key-0123"
AZURE_KEY = "marked-azure/89ab+cdef"
BASIC = base64.b64encode(f"someone:{PASSWORD}".encode()).decode()
SMALL = ("--n", 2, "--set", "max_turns=3", "--concurrency", 1)
ECHO = {
    False: f"you sent {KEY}",
    True: f"you sent {KEY} and {PASSWORD} and {IN_QUERY} and Basic {BASIC}",
}


def address(endpoint: EndpointServer, whole: bool) -> str:
    if not whole:
        return endpoint.base_url
    url = endpoint.base_url.replace("//", "//someone:s3cret%40w%C3%B6rd'%22x@")
    return f"{url}?api-version=1&key={IN_QUERY}"


def telltale(echo: str) -> Callable[[Asked], Bytes]:
    """Return a script that quotes a text in every reply and in some errors."""
    tokens = [{"token": part, "logprob": -0.5} for part in (echo[:13], echo[13:])]

    def script(asked: Asked) -> Bytes:
        if asked.nth == 2:
            return refuse(500, echo)
        if asked.nth == 3:
            return say(None, message={"refusal": echo})
        if asked.nth == 4:
            return Bytes(json.dumps({"choices": [{"message": {"content": 5, echo: 5}}]}).encode())
        reply = json.loads(converse(asked).content)["choices"][0]["message"]["content"]
        if reply.startswith("{"):
            experience = json.loads(reply) | {"situation": echo}
            return say(json.dumps(experience), finish_reason=f"stop {echo}")
        return say(f"{asked.nth} {echo}", logprobs={"content": tokens})

    return script


def spilt(folder: Path, *ended: Ended) -> list[str]:
    """Return the secrets that occur in a folder's files or in the output of commands."""
    texts = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    texts += [(each.out + each.err).encode() for each in ended]
    written = b"\n".join(texts)
    escaped = [json.dumps(PASSWORD)[1:-1], "s3cret%40", "s3cret@"]
    secrets = [KEY, AZURE_KEY, PASSWORD, IN_QUERY, BASIC, "0123+4567", "89ab+cdef", *escaped]
    return [secret for secret in secrets if secret.encode() in written]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("whole", [False, True])
def test_commands_that_go_well(endpoint: EndpointServer, tmp_path: Path, whole: bool) -> None:
    endpoint.script = telltale(ECHO[whole])
    model = ("--model", "m", "--base-url", address(endpoint, whole), "-vv")
    ran = convogen("run", "GPFS-s", *SMALL, "--out", "run", *model)
    assert ran.status == 0, ran.err
    assert len(endpoint.asked) > 5
    old = next(load_run("run").conversations())
    judged = convogen("evaluate", "run", "--judge", "geval", *model)
    doctor = convogen("doctor", *model)
    replayed = convogen("replay", "run", "-vv")
    assert replayed.status == 0, replayed.out + replayed.err
    one = ("--conversation", old.id, "--from-turn", 2)
    anew = convogen("replay", "run", *one, *model)
    assert anew.status == 0, anew.err
    shown = convogen("show", "run"), convogen("show", "run", "--sample")
    assert spilt(tmp_path, ran, judged, doctor, replayed, anew, *shown) == []
    assert b"you sent ***" in Path("run/calls.jsonl").read_bytes()
    sent = endpoint.asked[0]
    expected = f"Basic {BASIC}" if whole else f"Bearer {KEY}"
    assert sent.headers["Authorization"] == expected
    assert sent.query == ({"api-version": "1", "key": IN_QUERY} if whole else {})


def decoded(folder: Path) -> str:
    """Return all text in a folder's records, with the JSON decoded."""
    lines = [line for path in folder.rglob("*.jsonl") for line in path.read_text().splitlines()]
    rows = [json.loads(line) for line in lines]
    return json.dumps(rows, ensure_ascii=False)


def test_a_key_that_comes_back_in_escapes_is_in_no_record(
    endpoint: EndpointServer, tmp_path: Path
) -> None:
    escaped = "".join(f"\\u{ord(letter):04x}" for letter in KEY)

    def script(asked: Asked) -> Bytes:
        reply = json.loads(converse(asked).content)["choices"][0]["message"]["content"]
        if not reply.startswith("{"):
            return say(reply)
        told = json.loads(reply) | {"situation": f"the code is {KEY}, they say"}
        return say(json.dumps(told).replace(json.dumps(KEY)[1:-1], escaped))

    endpoint.script = script
    model = ("--model", "m", "--base-url", endpoint.base_url)
    ran = convogen("run", "GPFS-s", *SMALL, "--out", "run", *model)
    assert ran.status == 0, ran.err
    exported = convogen("export", "run", "--to", "jsonl", "--out", "data")
    shown = convogen("show", "run", "--sample")
    assert spilt(tmp_path, ran, exported, shown) == []
    assert "the code is ***, they say" in decoded(tmp_path)
    assert KEY not in decoded(tmp_path)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("status", [401, 402, 404])
def test_commands_that_end_in_an_error(
    endpoint: EndpointServer, tmp_path: Path, status: int, whole: bool
) -> None:
    assert convogen("run", "GPFS-s", *SMALL, "--out", "run", "--model", "scripted").status == 0
    old = next(load_run("run").conversations())
    endpoint.script = lambda _: refuse(status, ECHO[whole])
    model = ("--model", "m", "--base-url", address(endpoint, whole), "-vv")
    commands: list[tuple[object, ...]] = [
        ("run", "GPFS-s", *SMALL, "--out", "other"),
        ("evaluate", "run", "--judge", "geval"),
        ("doctor",),
        ("replay", "run", "--conversation", old.id, "--from-turn", 2),
    ]
    ended = [convogen(*command, *model) for command in commands]
    assert {each.status for each in ended} == {2}
    assert all("you sent" in each.err for each in ended)
    assert spilt(tmp_path, *ended) == []


@pytest.mark.parametrize("status", [None, 401, 404])
def test_a_deployment_on_azure(
    endpoint: EndpointServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int | None,
) -> None:
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", AZURE_KEY)
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", endpoint.base_url.removesuffix("/v1"))
    echo = f"you sent {AZURE_KEY}"
    endpoint.script = (lambda _: refuse(status, echo)) if status else telltale(echo)
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nmodels: {default: {name: m, azure: {api_version: 2024-10-21}}}\n")
    ran = convogen("run", own, *SMALL, "--out", "run", "-vv")
    replayed, shown = convogen("replay", "run", "-vv"), convogen("show", "run")
    assert (ran.status, "you sent ***" in ran.err) == (2, True) if status else (0, False)
    assert {asked.headers["api-key"] for asked in endpoint.asked} == {AZURE_KEY}
    assert {asked.path for asked in endpoint.asked} == {"/openai/deployments/m/chat/completions"}
    assert spilt(tmp_path, ran, replayed, shown) == []
    debug = convogen_process("--debug", "run", own, *SMALL, "--out", "run", "--fresh")
    assert ("EndpointDown" in debug.err) == (status == 401)
    assert spilt(tmp_path, debug) == []


def test_a_traceback(endpoint: EndpointServer, tmp_path: Path) -> None:
    endpoint.script = lambda _: refuse(401, ECHO[True])
    model = ("--model", "m", "--base-url", address(endpoint, whole=True))
    ended = convogen_process("--debug", "run", "GPFS-s", *SMALL, "--out", "run", *model)
    assert "Traceback" in ended.err
    assert "EndpointDown" in ended.err
    assert spilt(tmp_path, ended) == []


WRONG: dict[str, Callable[[str], tuple[object, ...]]] = {
    "no scheme": lambda s: ("run", "demo", "--base-url", f"someone:{s}@host/v1"),
    "unknown role": lambda s: ("run", "demo", "--base-url", f"actor=http://someone:{s}@host/v1"),
    "a slash": lambda s: ("run", "demo", "--base-url", f"http://someone:{s}/x@host/v1"),
    "no port": lambda s: ("doctor", "--base-url", f"http://someone:{s}@host:0/v1"),
    "a setting": lambda s: ("run", "demo", "--set", f"models.default=ftp://someone:{s}@h"),
    "below a value": lambda s: ("run", "demo", "--set", f"models.default.base_url=ftp://u:{s}@h"),
    "a query": lambda s: ("run", "demo", "--base-url", f"ftp://host/v1/?key={s}"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arguments_that_are_refused(tmp_path: Path, case: str) -> None:
    ended = convogen(*WRONG[case]("quite-secret"))
    assert ended.status == 2
    assert "quite-secret" not in ended.err
    assert "Traceback" not in ended.err


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12))
def test_no_part_of_a_password_is_left_in_a_url(password: str) -> None:
    secret = f"<{password}>"
    url = f"say 'https://someone:{secret}@host.example:8000/v1/?key={secret}' twice"
    assert secret not in masked(url)
    assert "@" in password or "host.example:8000" in masked(url)


def test_urls_without_secrets_stay_as_they_are() -> None:
    for url in ("http://127.0.0.1:8000/v1", "https://host/v1/a@b", "http://[::1]:8000/v1"):
        assert public_url(url) == url
    assert masked("really? yes, at 12:30 http://127.0.0.1:8000/v1") == (
        "really? yes, at 12:30 http://127.0.0.1:8000/v1"
    )


def test_a_short_secret_is_masked_in_errors_and_no_word_of_a_reply() -> None:
    secrets = Secrets(["pass", "a"])
    assert secrets.mask("pass the salt") == "pass the salt"
    assert secrets.mask_error("wrong password pass") == "wrong ***word ***"
