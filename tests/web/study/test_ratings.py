"""Ratings of single dialogues on custom scales."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from command_line import convogen
from studies import Visitor, made, ratings_data, visiting

from convogen.study.store import Store

SCALES = [
    {"id": "fluent", "question": "Is it fluent?", "points": 7},
    {"id": "kind", "question": "Is it kind?", "points": 3, "labels": ["no", "so-so", "yes"]},
]


def test_ratings_are_what_agreement_reads(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    keys = {"dialogues_each": 3, "scales": SCALES, "attention_checks": 1}
    codes = made(folder, "ratings", keys, **ratings_data(tmp_path, n=4))
    store = Store(folder / "study.db")
    with visiting(folder) as client:
        for name, code in codes.items():
            client.cookies.clear()
            visitor = Visitor(client).enter(code).begin()
            for at, item in enumerate(store.items(name)):
                assert f"Dialogue complete {at}/4" in visitor.text
                assert ("on every scale below" in visitor.text) == ("expected" in item)
                visitor.send(fluent="7", kind="2", comment="  good <b> ")
            assert "Thank you" in visitor.text
    ended = convogen("study", "export", folder, "--to", tmp_path / "out")
    assert ended.status == 0, ended.err
    files = sorted((tmp_path / "out" / "ratings").iterdir())
    assert [file.name for file in files] == ["r01.jsonl", "r02.jsonl"]
    for file in files:
        assert len(file.read_text().splitlines()) == 3 * 2  # without the check
    compared = convogen("agreement", "--protocol", "scores", "--json", *files)
    assert compared.status == 0, compared.err
    (group,) = json.loads(compared.out)["agreement"]
    assert [aspect["aspect"] for aspect in group["aspects"]] == ["fluent", "kind"]
    lines = (tmp_path / "out" / "ratings.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 2 * 4 * 2
    assert {row["comment"] for row in rows} == {"good <b>"}
    assert {row["passed"] for row in rows if row["attention_check"]} == {False}


def test_every_scale_needs_a_point(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(
        folder, "ratings", {"dialogues_each": 1, "scales": SCALES}, **ratings_data(tmp_path)
    )
    with visiting(folder) as client:
        visitor = Visitor(client).enter(codes["r01"]).begin()
        for fields in ({"fluent": "7"}, {"fluent": "8", "kind": "1"}, {"fluent": "0", "kind": "1"}):
            visitor.send(**fields, comment="kept")
            assert visitor.status == 422
            assert "kept</textarea>" in visitor.text
        visitor.send(fluent="1", kind="1", comment="x" * 6_000)
        assert "5,000 characters" in visitor.text
        visitor.send(fluent="1", kind="1")
        assert "Thank you" in visitor.text


def test_dialogues_are_rated_about_equally_often(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made(folder, "ratings", {"dialogues_each": 3, "participants": 8}, **ratings_data(tmp_path, n=6))
    store = Store(folder / "study.db")
    items = [[one["dialogue"] for one in store.items(who.id)] for who in store.participants()]
    assert all(len(set(own)) == 3 for own in items)
    counts = [sum(name in own for own in items) for name in store.dialogue_ids()]
    assert counts == [4] * 6


def test_an_answer_that_cannot_be_saved_is_said_and_may_come_again(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    codes = made(
        folder, "ratings", {"dialogues_each": 1, "scales": SCALES}, **ratings_data(tmp_path)
    )
    with visiting(folder) as client, closing(sqlite3.connect(folder / "study.db")) as other:
        visitor = Visitor(client).enter(codes["r01"]).begin()
        other.execute("alter table answer rename to gone")  # fails like writing to a full disk
        visitor.send(fluent="7", kind="2")
        assert visitor.status == 503
        assert "cannot be read or saved" in visitor.text
        other.execute("alter table gone rename to answer")
        visitor.get().send(fluent="7", kind="2")
        assert "Thank you" in visitor.text
