"""Codes, cookies and access rights."""

from __future__ import annotations

import stat
from pathlib import Path

import httpx2
import pytest
from command_line import convogen_server
from starlette.testclient import TestClient
from studies import Visitor, made, ratings_data, visiting

from convogen.web.access import Access
from convogen.web.serving import behind_https
from convogen.web.study.app import study_app
from convogen.web.study.limiter import Limiter
from convogen.web.study.site import COOKIE


@pytest.fixture
def codes(tmp_path: Path) -> dict[str, str]:
    """Return the codes of a study with ratings in `tmp_path / "study"`."""
    return made(tmp_path / "study", "ratings", {"dialogues_each": 2}, **ratings_data(tmp_path))


def test_codes_are_secret(tmp_path: Path, codes: dict[str, str]) -> None:
    folder = tmp_path / "study"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("codes.csv", "study.db"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert len(set(codes.values())) == 2
    rest = b"".join(path.read_bytes() for path in folder.iterdir() if path.name != "codes.csv")
    assert all(code.encode() not in rest for code in codes.values())


def test_a_code_opens_the_study_however_it_is_typed(tmp_path: Path, codes: dict[str, str]) -> None:
    with visiting(tmp_path / "study") as client:
        opened = client.post(
            "/enter",
            data={"code": f" {codes['r01'].lower().replace('-', ' ')} "},
            follow_redirects=False,
        )
        assert (opened.status_code, opened.headers["location"]) == (303, "/study")
        cookie = opened.headers["set-cookie"].lower()
        assert cookie.startswith(COOKIE)
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert codes["r01"].lower() not in cookie
        assert "Before you take part" in client.get("/").text
        client.post("/leave")
        assert "Your code" in client.get("/study").text


@pytest.mark.parametrize("https", [False, True])
def test_cookies_need_https_where_there_is_any(
    tmp_path: Path, codes: dict[str, str], https: bool
) -> None:
    access = Access.listening_at("0.0.0.0")
    app = study_app(tmp_path / "study", access)
    with TestClient(behind_https(app) if https else app, follow_redirects=False) as client:
        entered = client.post("/enter", data={"code": codes["r01"]})
        opened = client.get(f"/progress?token={access.token}")
        for answer in (entered, opened):
            assert answer.status_code == 303
            assert ("secure" in answer.headers["set-cookie"].lower()) == https


def test_nobody_enters_without_a_code(tmp_path: Path, codes: dict[str, str]) -> None:
    with visiting(tmp_path / "study") as client:
        for wrong in ("", "AAAA-AAAA-AAAA", "r01", "' OR 1=1 --", "\ud800", "x" * 10_000):
            answer = client.post("/enter", data={"code": wrong.encode(errors="surrogatepass")})
            assert answer.status_code == 403
            assert not client.cookies
        for method, path in (("GET", "/study"), ("POST", "/study"), ("GET", "/study/waiting")):
            assert "bubble" not in client.request(method, path, data={"page": "x"}).text
        for name in (COOKIE, cookie_name(tmp_path / "study", codes["r01"])):
            client.cookies.set(name, "r01")
        assert "Your code" in client.get("/study").text


def cookie_name(folder: Path, code: str) -> str:
    """Return the name of the cookie that a study sets."""
    with visiting(folder) as client:
        client.post("/enter", data={"code": code})
        (name,) = client.cookies
        return name


def test_one_browser_is_in_two_studies_of_a_host(tmp_path: Path, codes: dict[str, str]) -> None:
    others = made(tmp_path / "other", "ratings", {"dialogues_each": 1}, **ratings_data(tmp_path))
    with visiting(tmp_path / "study") as one, visiting(tmp_path / "other") as other:
        other.cookies = one.cookies  # cookies do not distinguish ports
        Visitor(one).enter(codes["r01"])
        Visitor(other).enter(others["r02"])
        assert "Before you take part" in one.get("/study").text
        assert "Before you take part" in other.get("/study").text
        one.post("/leave")
        assert "Your code" in one.get("/study").text
        assert "Before you take part" in other.get("/study").text


def test_wrong_codes_are_limited_and_lock_nobody_out(tmp_path: Path, codes: dict[str, str]) -> None:
    with visiting(tmp_path / "study") as client:
        statuses = [
            client.post("/enter", data={"code": f"wrong {at}"}).status_code for at in range(30)
        ]
        assert statuses[0] == 403
        assert statuses[-1] == 429
        assert Visitor(client).enter(codes["r02"]).status == 200
        assert "Before you take part" in client.get("/study").text
    kept = b"".join(path.read_bytes() for path in (tmp_path / "study").iterdir())
    assert b"testclient" not in kept  # the address of the test client


def test_tries_come_back_and_addresses_are_apart() -> None:
    now = 0.0
    limiter = Limiter(tries=3, every_s=10, most=2, clock=lambda: now)
    assert [limiter.refuses("192.0.2.1") for _ in range(4)] == [False, False, False, True]
    assert not limiter.refuses("192.0.2.2")
    now = 10.0
    assert [limiter.refuses("192.0.2.1") for _ in range(2)] == [False, True]
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8::3"):
        assert not limiter.refuses(address)
    assert limiter.refuses("2001:db8::ffff")  # the same household


def test_participants_are_apart(tmp_path: Path, codes: dict[str, str]) -> None:
    with visiting(tmp_path / "study") as client:
        first = Visitor(client).enter(codes["r01"]).begin()
        own = first.token
        client.cookies.clear()
        second = Visitor(client).enter(codes["r02"])
        assert "Before you take part" in second.text
        second.begin()
        assert second.token != own
        client.post("/study", data={"page": own, "naturalness": "1", "coherence": "1"})
        assert "Dialogue complete 0/2" in second.get().text


@pytest.mark.parametrize("path", ["/progress", "/progress/forget"])
def test_the_researchers_pages_need_the_token(
    tmp_path: Path, codes: dict[str, str], path: str
) -> None:
    access = Access.listening_at("0.0.0.0")
    with visiting(tmp_path / "study", access=access) as client:
        Visitor(client).enter(codes["r01"])
        method = "POST" if path.endswith("forget") else "GET"
        refused = client.request(method, path, data={"participant": "r01"})
        assert refused.status_code == 403
        assert "r01" not in refused.text
        assert "Before you take part" in client.get("/study").text
        assert "r01" in client.get(f"/?token={access.token}").text
        assert client.request(method, path, data={"participant": "r02"}).status_code == 200


@pytest.mark.parametrize("https", [False, True])
def test_who_comes_through_another_server_needs_the_token_for_progress(
    tmp_path: Path, codes: dict[str, str], https: bool
) -> None:
    """Such a server passes on the requested host name, and accepts connections from everybody."""
    options = ["--port", 0, *(["--https"] if https else [])]
    with convogen_server("study", "serve", tmp_path / "study", *options) as (_, out):
        base, progress = (out.readline().split()[1] for _ in range(2))
        elsewhere = {"host": "study.example"}
        with httpx2.Client(base_url=base, headers=elsewhere, timeout=30) as outside:
            assert outside.get("/").status_code == (200 if https else 421)
            assert outside.get("/progress").status_code == (403 if https else 421)
            rewritten = outside.get("/progress", headers={"host": "127.0.0.1"})
            assert rewritten.status_code == (403 if https else 200)
            assert outside.get(progress).status_code == (303 if https else 421)
