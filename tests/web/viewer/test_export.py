"""`convogen view`: the page for sharing, the refusals of the command, and the server."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import urllib.request
from pathlib import Path

import pytest
from command_line import convogen, convogen_server
from viewed_runs import HOSTILE, append, many_rows, varied_run


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return varied_run(tmp_path / "varied")


def shown(page: Path) -> list[str]:
    return re.findall(r"<code>([\w-]+)</code></span>", page.read_text("utf-8"))


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["c-0", "c-1", "c-2", "c-3", "c-4"]),
        (["--n", "2"], ["c-0", "c-1"]),
        (["--search", "sourdough"], ["c-0"]),
        (["--conversation", "f-6", "--conversation", "c-5"], ["f-6", "c-5"]),
    ],
)
def test_a_page_has_what_is_chosen(
    run: Path, tmp_path: Path, options: list[str], ids: list[str]
) -> None:
    page = tmp_path / "page.html"
    ended = convogen("view", run, "--export", page, *options)
    assert (ended.status, ended.err) == (0, "")
    assert shown(page) == ids


def test_a_page_allows_its_own_style_and_script_alone(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    convogen("view", run, "--export", page)
    text = page.read_text("utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    for tag in ("style", "script"):
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"sha256-{digest}" in policy.replace("&#39;", "'").replace("&#43;", "+")
    assert "unsafe" not in policy
    assert HOSTILE not in text
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_more_than_a_page_holds_is_refused_with_what_chooses(run: Path, tmp_path: Path) -> None:
    append(run, "conversations", many_rows(7, 500))
    page = tmp_path / "page.html"
    ended = convogen("view", run, "--export", page)
    assert ended.status == 2
    assert "at most 500 conversations" in ended.complaint
    assert "--search TEXT" in ended.complaint
    assert not page.exists()
    assert convogen("view", run, "--export", page, "--n", "3").status == 0
    assert len(shown(page)) == 3


def test_a_page_of_somebody_else_is_never_replaced(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "mine.html"
    page.write_text("<p>mine</p>")
    ended = convogen("view", run, "--export", page)
    assert (ended.status, page.read_text()) == (2, "<p>mine</p>")
    page.unlink()
    assert [convogen("view", run, "--export", page).status for _ in range(2)] == [0, 0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nowhere"], "not a run folder"),
        (["{run}", "--search", "x"], "--export"),
        (["{run}", "--export", "x.html", "--port", "1"], "cannot be used with --export"),
        (["{run}", "--export", "x.html", "--conversation", "c-99"], "no run contains"),
        (
            ["{run}", "--export", "x.html", "--search", "nobody says this"],
            "no conversation matches",
        ),
        (["{run}", "--export", "-"], "specify a file"),
        (["{run}", "--export", "."], "--export"),
        (["{run}", "--export", ""], "--export"),
        (["{run}", "--export", "x.html/y.html/z.html", "--n", "0"], "--n"),
        (["{run}", "--port", "70000"], "--port"),
        (["{run}", "--host", "999.1.1.1"], "--host 999.1.1.1"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    run: Path, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.parent)
    ended = convogen("view", *(word.format(run=run) for word in words))
    assert ended.status == 2
    assert said in ended.complaint


def test_a_wrong_host_is_not_mistaken_for_a_port_in_use(run: Path) -> None:
    assert "use --port 0" not in convogen("view", run, "--host", "999.1.1.1").complaint
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = convogen("view", run, "--port", taken.getsockname()[1])
        assert "use --port 0 for a free port" in ended.complaint


def test_too_many_runs_are_refused(run: Path, tmp_path: Path) -> None:
    more = [varied_run(tmp_path / f"run-{n}") for n in range(10)]
    ended = convogen("view", run, *more, "--export", tmp_path / "x.html")
    assert ended.status == 2
    assert "at most 10" in ended.complaint


def test_the_command_serves_on_this_machine(run: Path) -> None:
    with convogen_server("view", run, "--no-browser", "--port", 0) as (_, out):
        address = out.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert b"sourdough" in answer.read()


def test_a_damaged_index_is_made_anew(run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert convogen("view", run, "--export", page).status == 0
    (index,) = (tmp_path / "cache" / "convogen" / "viewer").glob("*.sqlite")
    whole = index.read_bytes()
    index.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    for _ in range(2):
        ended = convogen("view", run, "--export", page)
        assert (ended.status, ended.err) == (0, "")
        assert shown(page) == ["c-0", "c-1", "c-2", "c-3", "c-4"]


@pytest.mark.parametrize("options", [["--export", "page.html"], ["--no-browser"]])
def test_an_index_that_cannot_be_written_is_one_line(
    run: Path, tmp_path: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert convogen("view", run, "--export", "page.html").status == 0
    (index,) = (tmp_path / "cache" / "convogen" / "viewer").glob("*.sqlite")
    index.unlink()
    index.mkdir()  # SQLite reports this, like a full disk, as an operational error
    ended = convogen("view", run, *options)
    assert ended.status == 2
    assert "cache" in ended.complaint
    assert "XDG_CACHE_HOME" in ended.complaint
