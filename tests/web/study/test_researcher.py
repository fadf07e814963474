"""The researcher's page, and deletion on request."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import convogen
from studies import Visitor, made, pairs_data, scripted, visiting

from convogen.models.base import Request
from convogen.study.store import Store

SENTENCE = "a sentence that only one person wrote"


def _turned(request: Request) -> str:
    return f"You said {request.messages[-1].content[::-1]}"


def test_progress_shows_everybody(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    keys = {"pairs_each": 2, "participants": 3}
    codes = made(folder, "pairs", keys, **pairs_data(tmp_path, people=4))
    with visiting(folder) as client:
        visitor = Visitor(client).enter(codes["r01"]).begin()
        for _ in range(2):
            visitor.send(choice="unsure", confidence="very")
        client.cookies.clear()
        Visitor(client).enter(codes["r02"]).begin()
        text = client.get("/progress").text
    assert "1 of 3" in text
    for state in ("finished", "in progress", "not started"):
        assert state in text
    assert "2/2" in text
    assert not any(code in text for code in codes.values())


@pytest.mark.parametrize("by", ["page", "code", "name"])
def test_a_participant_is_forgotten(tmp_path: Path, by: str) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "collect")
    with visiting(folder, scripted(_turned)) as client:
        Visitor(client).enter(codes["p01"]).begin().send(message=SENTENCE).until("You said")
        client.cookies.clear()
        other = Visitor(client).enter(codes["p02"]).begin()
        other.send(message="Another sentence").until("You said")
        if by == "page":
            client.post("/progress/forget", data={"participant": "p01"})
        else:
            ended = convogen("study", "forget", folder, codes["p01"] if by == "code" else "p01")
            assert ended.status == 0, ended.err
        assert "Another sentence" in other.get().text
        assert client.post("/enter", data={"code": codes["p01"]}).status_code == 403
        assert "withdrawn" in client.get("/progress").text
        kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
        assert SENTENCE.encode() not in kept
        assert SENTENCE[::-1].encode() not in kept
        assert b"Another sentence" in kept
    assert convogen("study", "export", folder, "--to", tmp_path / "out").status == 0
    assert "withdrawn" in (tmp_path / "out" / "natural" / "failures.jsonl").read_text()


def test_nobody_else_is_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "collect")
    for wrong in ("p09", "AAAA-BBBB-CCCC", "../p01", "%"):
        assert "no participant" in convogen("study", "forget", folder, wrong).complaint
    with visiting(folder) as client:
        client.post("/progress/forget", data={"participant": "p01' OR '1'='1"})
        client.post("/progress/forget")
        assert Visitor(client).enter(codes["p01"]).status == 200
    assert not any(one.withdrawn for one in Store(folder / "study.db").participants())


def test_a_page_opened_before_deletion_brings_nothing_back(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(folder, "pairs", {"pairs_each": 2}, **pairs_data(tmp_path))
    with visiting(folder) as client:
        Visitor(client).enter(codes["r01"]).begin()
        store = Store(folder / "study.db")
        store.forget("r01")
        assert not store.answer("r01", "item:0", {"choice": "left"})
        assert store.answers("r01") == {}
        assert "Your code" in client.get("/study").text
