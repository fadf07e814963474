"""The page of a conversation: its content, and the display of any text as text."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from export_runs import NAMES, played, spoken, write_run
from starlette.testclient import TestClient
from viewed_runs import HOSTILE, LONG, opened_at, varied_run

from convogen.records import Turn
from convogen.web.access import Access
from convogen.web.viewer.app import viewer
from convogen.web.viewer.conversation import passages
from convogen.web.viewer.people import people_of


def client_of(folder: Path, access: Access | None = None) -> TestClient:
    return TestClient(viewer(opened_at(folder), access), "http://localhost")


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    return client_of(varied_run(tmp_path / "varied"))


def page(client: TestClient, name: str) -> str:
    answer = client.get(f"/conversation?{urlencode({'id': name})}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_a_turn_tells_how_it_came_about(client: TestClient) -> None:
    shown = page(client, "c-0")
    assert "requested again 1×" in shown
    assert "kept despite echo" in shown
    assert '<b>assistant offer</b><blockquote dir="auto">How may I help you?' in shown
    assert '<q dir="auto">Nobody</q>' in shown
    assert "Arne Bo, Zoë Ångström" in shown  # the selector's candidates
    assert "900 in, 60 out" in shown  # for the selector's call and both replies
    assert '<pre tabindex="0"><code>print(&#39;bread&#39;)</code></pre>' in shown


def test_a_conversation_has_its_scene_its_people_and_its_scores(client: TestClient) -> None:
    shown = page(client, "c-0")
    for text in (
        "neighbours",
        "the oven is cold",
        "Anna Berg: The sourdough is ready.",
        "her father&#39;s mill",
        "Because of &lt;script&gt;",
        "a-judge",
        ">4.5<",
        ">1.5<",
    ):
        assert text in shown, text


def test_turns_have_the_labels_that_a_judge_gave_them(client: TestClient) -> None:
    shown = page(client, "c-0")
    assert '<a href="#t1">turn 1</a>: small talk, &lt;script&gt;' in shown
    assert 'href="#t2">turn 2' not in shown  # no label applies
    assert '<a href="#t3">turn 3</a>: none given' in shown
    assert "written by a participant" in shown


def test_what_was_rejected_broken_off_or_failed_has_its_evidence(client: TestClient) -> None:
    assert "Rejected by the safety gate." in page(client, "c-5")
    assert "This is about guns" in page(client, "c-5")
    broken = page(client, "c-3")
    assert "Ended early: refusal." in broken
    assert "Attempts at the missing turn: refusal, refusal." in broken
    failed = page(client, "f-6")
    assert "Failed: experience/no json." in failed
    assert "onerror=alert(1)" in failed


@pytest.mark.parametrize("name", ["c-0", "c-1", "c-5", "f-6"])
def test_text_is_never_markup(client: TestClient, name: str) -> None:
    shown = page(client, name)
    assert HOSTILE not in shown
    assert "<b>Bob" not in shown
    assert "<i>key" not in shown
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert set(re.findall(r"<script[^>]*>", shown)) == {'<script src="/static/viewer.js" defer>'}
    assert not re.search(r"\son\w+=(?!alert)|style=|<img", shown)


def test_a_long_turn_is_folded_and_stands_there_whole(client: TestClient) -> None:
    shown = client.get("/conversation?id=c-2").text
    assert f"All {len(LONG):,} characters" in shown
    assert LONG in shown


@pytest.mark.parametrize("name", ["c-99", "", "../manifest.json", "%", "a\nb", "\x00"])
def test_an_id_that_the_run_does_not_have_is_no_page(client: TestClient, name: str) -> None:
    answer = client.get(f"/conversation?{urlencode({'id': name})}")
    assert answer.status_code == 404
    assert "manifest" not in answer.text


@pytest.mark.parametrize("name", ["a/b", "..", "?x=1#y", 'q"<b>', "\u2028", "日本 語", "%2e%2e"])
def test_any_id_has_an_address(tmp_path: Path, name: str) -> None:
    conversation, experience = played(0, spoken("Ahello"))
    folder = write_run(
        tmp_path / "odd", [(conversation.model_copy(update={"id": name}), experience)]
    )
    client = client_of(folder)
    links = re.findall(r'class="title" href="([^"]+)"', client.get("/").text)
    assert len(links) == 1
    shown = client.get(links[0].replace("&amp;", "&"))
    assert shown.status_code == 200
    assert "hello" in shown.text


def test_a_row_that_was_changed_meanwhile_is_no_page_of_another(tmp_path: Path) -> None:
    folder = varied_run(tmp_path / "varied")
    client = client_of(folder)
    path = folder / "conversations.jsonl"
    path.write_bytes(b"x" + path.read_bytes()[:-1])
    assert client.get("/conversation?id=c-0").status_code == 409


def test_without_its_token_no_page_is_shown_to_others(tmp_path: Path) -> None:
    access = Access.listening_at("0.0.0.0")
    client = client_of(varied_run(tmp_path / "varied"), access)
    for path in ("/", "/conversation?id=c-0", "/live"):
        assert client.get(path).status_code == 403
    assert client.get(f"/?token={access.token}").status_code == 200
    assert client.get("/conversation?id=c-0").status_code == 200


def test_people_of_the_same_initials_are_told_apart() -> None:
    names = [*NAMES, "Anna Berg", "Arne Bo", "Adam Boyle", "Anne Bell", "李明", "❤", "🎈"]
    found = people_of(names, (), ())
    initials = [person.initials for person in found.values()]
    assert len(set(initials)) == len(names)
    assert all(1 <= len(one) <= 2 for one in initials)
    assert people_of(["Anna Berg"], (), ())["Anna Berg"].initials == "AB"
    numbered = people_of(["#Person1#", "#Person2#", "user"], (), ())
    assert [person.initials for person in numbered.values()] == ["P1", "P2", "Us"]
    assert people_of(["李雷"], (), ())["李雷"].initials == "李"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [("", False)]),
        ("a\nb", [("a\nb", False)]),
        ("a\n```py\nx\n\ny\n```\nb", [("a", False), ("x\n\ny", True), ("b", False)]),
        ("```\nnever ended", [("never ended", True)]),
        ("```\n```", [("```\n```", False)]),
        ("say ``` inline", [("say ``` inline", False)]),
    ],
)
def test_code_between_fences_is_set_apart(text: str, expected: list[tuple[str, bool]]) -> None:
    assert [(one.text, one.is_code) for one in passages(text)] == expected


def test_a_conversation_of_no_turns_is_shown(tmp_path: Path) -> None:
    conversation, experience = played(0, [Turn(speaker="A", text="x")])
    empty = conversation.model_copy(update={"turns": [], "participants": []})
    client = client_of(write_run(tmp_path / "none", [(empty, experience)]))
    assert client.get("/conversation?id=c-0").status_code == 200
