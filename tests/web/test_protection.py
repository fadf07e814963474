"""Security requirements for the requests and responses of the web pages."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from convogen.web.access import COOKIE, Access, is_loopback
from convogen.web.app import application
from convogen.web.pages import page
from convogen.web.protection import MOST_BODY


async def _echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def _hostile(_: Request) -> Response:
    return page("convogen.web", "error.html", status_code="<b>\x1b[31m", detail="<script>\u202e")


def client(hosts: frozenset[str] = frozenset(), access: Access | None = None) -> TestClient:
    async def private(request: Request) -> Response:
        return (access or Access()).refusal(request) or PlainTextResponse("private")

    async def broken(_: Request) -> Response:
        raise ValueError("a secret of the server")

    routes = [
        Route("/echo", _echo, methods=["GET", "POST"]),
        Route("/hostile", _hostile),
        Route("/private", private),
        Route("/broken", broken),
    ]
    app = application("convogen.web", routes, hosts=hosts)
    return TestClient(app, "http://localhost", raise_server_exceptions=False)


def test_text_is_shown_and_not_obeyed() -> None:
    said = client().get("/hostile").text
    assert "&lt;script&gt;\\u202e" in said
    assert "&lt;b&gt;\\x1b[31m" in said
    assert "<script>" not in said


@pytest.mark.parametrize("path", ["/hostile", "/nowhere", "/static/base.css", "/broken"])
def test_every_response_has_the_policy(path: str) -> None:
    answer = client().get(path)
    policy = answer.headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost"}, 200),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({}, 200),
    ],
)
def test_a_form_is_taken_from_our_own_pages_alone(headers: dict[str, str], status: int) -> None:
    assert client().post("/echo", content=b"x", headers=headers).status_code == status
    assert client().get("/echo", headers=headers).status_code == 200


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_is_limited(streamed: bool) -> None:
    def body(size: int) -> object:
        return iter([b"x" * size]) if streamed else b"x" * size

    assert client().post("/echo", content=body(MOST_BODY)).text == str(MOST_BODY)
    assert client().post("/echo", content=body(MOST_BODY + 1)).status_code == 413


def test_a_foreign_name_for_this_machine_is_refused() -> None:
    own = client(frozenset({"localhost", "::1"}))
    assert own.get("/echo").status_code == 200
    assert own.get("/echo", headers={"host": "[::1]:8000"}).status_code == 200
    for foreign in ("rebound.example:8000", "[", "localhost]", "::1"):
        assert own.get("/echo", headers={"host": foreign}).status_code == 421


def test_the_token_opens_the_pages_and_leaves_the_address() -> None:
    access = Access.listening_at("0.0.0.0")
    assert access.token
    assert access.token not in repr(access)
    with client(access=access) as visitor:
        assert visitor.get("/private").status_code == 403
        assert visitor.get("/private?token=wrong").status_code == 403
        opened = visitor.get(f"/private?token={access.token}", follow_redirects=False)
        assert (opened.status_code, opened.headers["location"]) == (303, "/private")
        cookie = opened.headers["set-cookie"]
        assert cookie.startswith(COOKIE)
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert visitor.get("/private").text == "private"


def test_one_browser_opens_two_servers_of_a_host() -> None:
    servers = [Access.listening_at("0.0.0.0") for _ in range(2)]
    with client(access=servers[0]) as one, client(access=servers[1]) as other:
        other.cookies = one.cookies  # cookies do not distinguish ports
        for visitor, access in zip((one, other), servers, strict=True):
            assert visitor.get(f"/private?token={access.token}").text == "private"
        assert one.get("/private").text == "private"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert client(access=Access.listening_at(host)).get("/private").text == "private"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "study.example"])
def test_a_server_that_others_reach_has_a_token(host: str) -> None:
    assert Access.listening_at(host).address("http://x/").startswith("http://x/?token=")
