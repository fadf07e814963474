"""The list of the viewer: its content, filters and sorting, and its handling of any search."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from viewed_runs import HOSTILE, append, many_rows, opened_at, varied_run

from convogen.web.viewer.app import viewer
from convogen.web.viewer.index import Index, index_folder, reading
from convogen.web.viewer.opened import Opened
from convogen.web.viewer.query import Query, find
from convogen.web.viewer.text import match_expression, searchable, terms_of

ID = re.compile(r'class="title" href="/conversation\?run=[\w-]+&amp;id=([\w-]+)"')


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return varied_run(tmp_path / "varied")


def ids(client: TestClient, **asked: object) -> list[str]:
    """Return the ids on the list for these parameters."""
    answer = client.get(f"/?{urlencode(asked)}")
    assert answer.status_code == 200
    return ID.findall(answer.text)


@pytest.fixture
def client(run: Path) -> TestClient:
    return TestClient(viewer(opened_at(run)), "http://localhost")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return opened_at(varied_run(tmp_path_factory.mktemp("opened") / "varied"))[0]


ALL = ["c-0", "c-1", "c-2", "c-3", "c-4", "c-5", "f-6"]


def test_an_address_holds_only_what_is_asked_for(client: TestClient) -> None:
    answer = client.get("/?q=bread&topic=&scale=&sort=long&sort=", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/?q=bread&sort=long")
    assert client.get("/?q=bread&sort=long", follow_redirects=False).status_code == 200


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ALL),
        ({"q": "sourdough"}, ["c-0"]),
        ({"q": "SOURD"}, ["c-0"]),  # the beginning of a word, in any case
        ({"q": "cafe"}, ["c-0"]),  # without the accent
        ({"q": '"the sourdough is"'}, ["c-0"]),
        ({"q": '"sourdough the is"'}, []),
        ({"q": "bread butter"}, ["c-2"]),
        ({"q": "焼い"}, ["c-4"]),  # within text without spaces
        ({"q": "焼匂"}, []),
        ({"q": "Zoë"}, ["c-0"]),  # a speaker
        ({"q": "guns"}, ["c-5"]),  # in a rejected conversation
        ({"q": "onerror"}, ["c-1", "f-6"]),  # evidence of a failure
        ({"q": "!!! ***"}, []),
        ({"topic": "LONG"}, ["c-2"]),
        ({"topic": "%"}, []),
        ({"speaker": "arne"}, ["c-0", "c-2"]),
        ({"status": "accepted"}, ["c-0", "c-1", "c-2", "c-4"]),
        ({"status": "broken"}, ["c-3"]),
        ({"status": "rejected", "why": "safety"}, ["c-5"]),
        ({"why": "experience/no_json"}, ["f-6"]),
        ({"why": "failed:experience/no_json", "status": "accepted"}, ["f-6"]),
        ({"check": "asked_again/assistant_offer"}, ["c-0"]),
        ({"check": "taken_with/echo"}, ["c-0"]),
        ({"check": "selector/repaired"}, ["c-0"]),
        ({"check": "asked_again/refusal"}, ["c-3"]),
        ({"language": "ja"}, ["c-4"]),
        ({"least": 3}, ["c-0", "c-1"]),
        ({"least": 1, "most": 2}, ["c-2", "c-3", "c-4", "c-5"]),
        ({"scale": "geval/overall", "low": 2, "high": 4}, ["c-2", "c-4"]),
        ({"scale": "other/overall", "low": 1}, ["c-0"]),
        (
            {"scale": "geval/overall", "sort": "best"},
            ["c-0", "c-2", "c-4", "c-1", "c-3", "c-5", "f-6"],
        ),
        ({"scale": "geval/overall", "sort": "worst", "low": 0}, ["c-1", "c-4", "c-2", "c-0"]),
        ({"sort": "last"}, ALL[::-1]),
        ({"sort": "words", "status": "accepted", "language": "en"}, ["c-2", "c-0"]),
        ({"low": "nan", "least": "-1", "sort": "no", "status": "no", "page": "0"}, ALL),
    ],
)
def test_what_is_asked_for_is_found(
    client: TestClient, asked: dict[str, object], found: list[str]
) -> None:
    shown = ids(client, **asked)
    assert shown == found if "sort" in asked else sorted(shown) == found


def test_where_a_search_found_something_is_marked(client: TestClient) -> None:
    assert "The <mark>sourdough</mark> is ready." in client.get("/?q=sourdough").text
    assert "<mark>焼い</mark>" in client.get("/?q=焼い").text
    assert "A long story of <mark>b</mark>read" in client.get("/?q=b&topic=long").text


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=60) | st.sampled_from(['"', 'a"b', "a NEAR b", "NOT", "x:y", "*", "^a", "("])
)
def test_no_search_is_an_error(opened: Opened, search: str) -> None:
    with reading([opened.index]) as connection:
        find(connection, [0], Query.of({"q": search, "topic": search, "check": search}))


@given(st.text(max_size=40))
def test_terms_are_data_in_an_expression(text: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("create virtual table words using fts5(said)")
    connection.execute("insert into words values(?)", (searchable(text).replace("\0", " "),))
    expression = match_expression(terms_of(text.replace('"', " ")))
    if expression:
        connection.execute("select * from words where words match ?", (expression,)).fetchall()
    connection.close()


def test_pages_follow_one_another(tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "long")
    append(folder, "conversations", many_rows(7, 120))
    client = TestClient(viewer(opened_at(folder)), "http://localhost")
    pages = [ids(client, page=page) for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [50, 50, 27]
    assert ids(client, page=99, path="x") == pages[2]  # the last page for any number beyond it
    assert len({name for page in pages for name in page}) == 127
    assert "Page 2 of 3" in client.get("/?page=2").text
    assert ids(client, q='"number 99"') == ["c-99"]


def test_rows_that_are_added_are_read_and_the_others_are_not_read_again(run: Path) -> None:
    (opened,) = opened_at(run)
    before = opened.index.path.stat().st_ino
    whole = many_rows(7, 2)[0].to_line()
    with (run / "conversations.jsonl").open("ab") as file:
        file.write(whole + b'{"id": "c-8", "tor')
    opened.scanner.catch_up()
    assert opened.outcome("c-7") is not None
    assert opened.outcome("c-8") is None
    assert opened.scanner.progress().damaged == 0
    assert opened.index.path.stat().st_ino == before
    with reading([opened.index]) as connection:
        assert len(find(connection, [0], Query())) == 8


@pytest.mark.parametrize("name", ["conversations.jsonl", "scores/geval.jsonl"])
def test_a_file_that_was_changed_is_read_anew(run: Path, name: str) -> None:
    (opened,) = opened_at(run)
    path = run / name
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[1:]))
    opened.scanner.catch_up()
    gone = (
        opened.outcome("c-0") is None
        if name == "conversations.jsonl"
        else not [score for score in opened.scores("c-0") if score.judge == "geval"]
    )
    assert gone
    assert opened.outcome("c-1") is not None


def test_another_process_finds_the_index_and_a_damaged_one_is_made_anew(run: Path) -> None:
    (opened,) = opened_at(run)
    again = Index(opened.index.path)
    with reading([again]) as connection:
        assert len(find(connection, [0], Query())) == 7
    opened.index.path.write_bytes(b"no database" * 1000)
    (anew,) = opened_at(run)
    assert anew.outcome("c-0") is not None


def test_an_index_that_was_deleted_meanwhile_is_made_anew(run: Path) -> None:
    (opened,) = opened_at(run)
    client = TestClient(viewer([opened]), "http://localhost")
    shutil.rmtree(opened.index.path.parent)
    assert client.get("/").status_code == 503
    opened.scanner.catch_up()
    assert sorted(ids(client)) == ALL


def test_indexes_that_nobody_uses_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = index_folder()
    assert folder.is_relative_to(tmp_path)
    old, new = Index(folder / "old.sqlite"), Index(folder / "new.sqlite")
    os.utime(old.path, (1e9, 1e9))
    assert index_folder() == folder
    assert (old.path.exists(), new.path.exists()) == (False, True)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert index_folder().is_dir()


def test_a_run_folder_is_only_read(run: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        paths = sorted(run.rglob("*"))
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}

    before = state()
    client = TestClient(viewer(opened_at(run)), "http://localhost")
    assert client.get("/?q=bread").status_code == 200
    assert state() == before


def test_a_row_that_cannot_be_read_is_told_and_hides_no_other(run: Path) -> None:
    with (run / "conversations.jsonl").open("ab") as file:
        file.write(b'{"id": "c-9", "turns": 3}\n' + many_rows(10, 1)[0].to_line())
    client = TestClient(viewer(opened_at(run)), "http://localhost")
    assert "c-10" in ids(client)
    assert "conversations.jsonl line 6 cannot be read: turns" in client.get("/").text


@pytest.mark.parametrize(
    ("name", "row", "line"),
    [
        ("conversations", {"id": "c-9", "task": 10**30, "turns": []}, 6),
        ("experiences", {"id": "e-9", "task": 10**30}, 6),
        ("ledger", {"task": 9, "role": "agent", "model": "m", "prompt_tokens": 10**30}, 3),
        ("ledger", {"task": 9, "role": "agent"}, 3),
        ("scores/geval", {"conversation": "c-1", "judge": "geval"}, 6),
        ("rejected", ["no object"], 2),
    ],
)
def test_no_row_stops_what_comes_after_it(run: Path, name: str, row: object, line: int) -> None:
    with (run / f"{name}.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    append(run, "conversations", many_rows(20, 1))
    (opened,) = opened_at(run)
    assert opened.scanner.progress().percent == 100
    assert opened.outcome("c-20") is not None
    with reading([opened.index]) as connection:
        told = connection.execute("select file, line from r0.damaged").fetchall()
    assert [tuple(one) for one in told] == [(f"{name}.jsonl", line)]


def test_a_price_that_cannot_be_read_leaves_the_cost_unknown(tmp_path: Path) -> None:
    models = {"agent": {"name": "made", "kind": "endpoint", "price": {"input": "no"}}}
    client = TestClient(
        viewer(opened_at(varied_run(tmp_path / "odd", models=models))), "http://localhost"
    )
    assert client.get("/live").json()["texts"]["cost"] == "unknown"
    assert client.get("/conversation?id=c-0").status_code == 200


def test_several_runs_are_searched_together_or_one_alone(tmp_path: Path) -> None:
    first = varied_run(tmp_path / "a" / "same name")
    second = varied_run(tmp_path / "b" / "same name")
    client = TestClient(viewer(opened_at(first, second)), "http://localhost")
    assert ids(client, q="sourdough") == ["c-0", "c-0"]
    assert ids(client, q="sourdough", run="same-name-2") == ["c-0"]
    assert client.get("/?run=../a").status_code == 404


def test_the_state_of_a_run_is_told_as_it_goes_on(run: Path) -> None:
    opened = opened_at(run)
    client = TestClient(viewer(opened), "http://localhost")
    told = client.get("/live").json()
    assert told["state"] == "complete"
    assert (told["rows"], told["texts"]["done"]) == (7, "5 of 5")
    manifest = json.loads((run / "manifest.json").read_text())
    (run / "manifest.json").write_text(json.dumps({**manifest, "complete": False, "n": 50}))
    append(run, "conversations", many_rows(7, 3))
    opened[0].scanner.catch_up()
    told = client.get("/live").json()
    assert told["state"] == "running"
    assert (told["percent"], told["texts"]["done"]) == (16, "8 of 50")
    assert told["texts"]["rate"] == "6 per minute"
    assert "min" in told["texts"]["left"]
    assert "time left" in client.get("/").text


def test_hostile_text_stands_in_the_list_as_text(client: TestClient) -> None:
    page = client.get("/?q=onerror").text
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page


def test_an_empty_run_says_so(tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "empty")
    for path in folder.glob("*.jsonl"):
        path.write_bytes(b"")
    client = TestClient(viewer(opened_at(folder)), "http://localhost")
    assert "This run has no committed conversations yet." in client.get("/").text


def test_a_run_that_is_deleted_while_it_is_viewed_is_called_deleted(tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "gone")
    client = TestClient(viewer(opened_at(folder)), "http://localhost")
    shutil.rmtree(folder)
    texts = client.get("/live?run=gone").json()["texts"]
    assert (texts["state"], texts["quiet"]) == ("deleted", "–")
    assert "deleted" in client.get("/").text
    assert "days" not in client.get("/").text


def test_an_index_that_is_damaged_while_it_is_served_is_made_anew(run: Path) -> None:
    (opened,) = opened_at(run)
    client = TestClient(viewer([opened]), "http://localhost")
    assert ids(client) == ALL
    with opened.index.writing() as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    whole = opened.index.path.read_bytes()
    opened.index.path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    assert client.get("/").status_code == 503
    opened.scanner.catch_up()
    assert ids(client) == ALL
