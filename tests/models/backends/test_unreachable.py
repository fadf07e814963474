"""Addresses to which no request can be made, and servers that are not APIs, are reported
immediately."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from command_line import Ended, convogen
from endpoint_server import Answer, Asked, Bytes, EndpointServer
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.models.network import is_url
from convogen.redaction import masked, public_url

LONG = "a" * 300


def run(*more: object) -> Ended:
    return convogen("run", "GPFS-s", "--model", "m", "--n", "1", *more)


NO_URLS = [
    "127.0.0.1:8000/v1",
    "ftp://127.0.0.1/v1",
    "http://127.0.0.1:99999/v1",
    "http://127.0.0.1:port/v1",
    "http://127.0.0.1:0/v1",
    "http://a..b/v1",
    "http://.a/v1",
    "http://256.256.256.256/v1",
    "http://1.2.3.4.5/v1",
    f"http://{LONG}/v1",
    f"http://{'.'.join(['a' * 50] * 6)}/v1",
    "http:///v1",
    "http://[::1/v1",
    "http://a b/v1",
    "http://a,b/v1",
    "http://<your-host>/v1",
    "http://a%20b/v1",
    f"http://{'a' * 100_000}",
]


@pytest.mark.parametrize("url", NO_URLS, ids=lambda url: url[:30])
@pytest.mark.parametrize("where", ["variable", "option", "proxy"])
def test_what_can_be_no_request_is_refused_at_once_and_its_place_named(
    where: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    if where == "variable":
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        ended, named = run(), "OPENAI_BASE_URL must be an HTTP or HTTPS URL"
    elif where == "option":
        ended, named = run("--base-url", url), "must "
    else:
        if "://" not in url:
            pytest.skip("a proxy needs no scheme")
        monkeypatch.setenv("http_proxy", url)
        ended, named = run("--base-url", "http://model.invalid/v1"), "http_proxy names the proxy"
    assert ended.status == 2
    assert named in ended.complaint
    assert len(ended.complaint) < 3000


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/v1",
        "http://localhost:1/v1",
        "http://[::1]:8000/v1",
        "https://my_server:8000",
        "https://exämple.org/v1",
        "http://example.org./v1",
        "http://user:pass@10.0.0.1/v1?key=1",
        "http://127.1/v1",
    ],
)
def test_what_is_a_url_stays_one(url: str) -> None:
    assert is_url(url)


@given(st.text(max_size=40))
def test_any_text_is_a_url_or_none(text: str) -> None:
    assert is_url(text) in (True, False)
    assert is_url(f"http://{text}") in (True, False)


def page(_: Asked) -> Answer:
    return Bytes(b"<!doctype html><html><body>Welcome</body></html>", headers={"X": "y"})


def stranger(_: Asked) -> Answer:
    return Bytes(b'{"status": "ok", "version": "1.2"}')


@pytest.mark.parametrize("script", [page, stranger])
@pytest.mark.parametrize("n", [1, 50])
def test_a_place_that_is_no_api_stops_a_run_soon(
    script: object, n: int, endpoint: EndpointServer, tmp_path: object
) -> None:
    endpoint.script = script  # type: ignore[assignment]
    url = endpoint.base_url.removesuffix("/v1")
    ended = run("--base-url", url, "--n", n, "--out", f"{tmp_path}/run")
    assert ended.status == 2
    assert "base URLs end in /v1" in ended.err.splitlines()[-1]
    assert len(endpoint.asked) <= 25


@contextmanager
def saying(data: bytes) -> Iterator[int]:
    """Yield a port that sends these bytes to every client."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("data", "scheme", "words"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x16", "http", "requires TLS; try https://"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "https", "does not speak TLS; try http://"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "http", "sent a response that is not HTTP"),
        (OK + b"X: y\r\n" * 50_000, "http", "sent a response that is not HTTP"),
        (
            OK + b"Content-Encoding: gzip\r\n\r\nnone",
            "http",
            "sent a response that cannot be decompressed",
        ),
    ],
)
def test_what_is_wrong_with_an_answer_is_said_as_it_is(
    data: bytes, scheme: str, words: str, tmp_path: object
) -> None:
    with saying(data) as port:
        ended = run("--base-url", f"{scheme}://127.0.0.1:{port}/v1", "--out", f"{tmp_path}/run")
    assert ended.status == 2
    assert words in ended.err.splitlines()[-1]


def test_an_answer_that_breaks_off_was_reached(endpoint: EndpointServer, tmp_path: object) -> None:
    endpoint.script = lambda _: Bytes(b"{" * 100, cut_at=10)
    url, patience = ("--base-url", endpoint.base_url), ("--set", "models.default.patience_s=1")
    # Twenty calls in flight open the circuit breaker immediately, so that no call is retried.
    ended = run(*url, *patience, "--n", "20", "--out", f"{tmp_path}/run")
    assert "sent an incomplete response" in ended.err
    assert "cannot be reached" not in ended.err


def test_a_proxy_that_wants_a_login_or_refuses_is_said_at_once(
    endpoint: EndpointServer, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("http_proxy", endpoint.base_url.removesuffix("/v1"))
    endpoint.script = lambda _: Bytes(b"<html>Proxy login</html>", 407)
    ended = run("--base-url", "http://model.invalid/v1", "--out", f"{tmp_path}/run")
    assert ended.status == 2
    assert "407" in ended.complaint
    assert "proxy" in ended.complaint
    monkeypatch.setenv("https_proxy", endpoint.base_url.removesuffix("/v1"))
    ended = run("--base-url", "https://model.invalid/v1", "--out", f"{tmp_path}/tls")
    assert ended.status == 2
    assert "cannot be reached" in ended.complaint


SLOW = ["a", "a:", "=", "a@", "a:a@", "://", "http://", "http://a:", "a://?", "@a:", "é", "a.b:"]


@settings(max_examples=20)
@given(st.lists(st.sampled_from(SLOW), min_size=1, max_size=4).map("".join))
def test_a_word_of_very_many_letters_is_masked_too(word: str) -> None:
    """With a search that restarts at each letter of a word, this would take hours."""
    text = word * (300_000 // len(word))
    assert "***" in masked(f"{text} http://me:hidden@host")
    assert "hidden" not in public_url(f"{text} http://me:hidden@host")


def test_what_is_masked() -> None:
    assert masked("see http://me:pa/ss@host/v1?key=1 there") == "see http://***@host/v1?*** there"
    assert masked("me:secret@host.org and a@b") == "***@host.org and a@b"
    assert public_url("x http://me:word@host/v1?k=1#f y") == "x http://host/v1 y"
