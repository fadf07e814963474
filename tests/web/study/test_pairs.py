"""The task of telling simulated dialogues from natural ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from studies import HOSTILE, Visitor, made, pairs_data, visiting

from convogen.study.answers import PairAnswer
from convogen.study.exporting import export_study
from convogen.study.store import Store


@pytest.fixture
def study(tmp_path: Path) -> Iterator[tuple[TestClient, dict[str, str]]]:
    """Return a client of a study with two pairs and a check, and the codes."""
    data = pairs_data(tmp_path)
    keys = {"pairs_each": 2, "attention_checks": 1}
    codes = made(tmp_path / "study", "pairs", keys, **data)
    with visiting(tmp_path / "study") as client:
        yield client, codes


def answers(tmp_path: Path) -> list[PairAnswer]:
    export_study(tmp_path / "study", tmp_path / "out")
    lines = (tmp_path / "out" / "answers.jsonl").read_text().splitlines()
    return [PairAnswer.model_validate_json(line) for line in lines]


def test_a_participant_judges_all_pairs(
    tmp_path: Path, study: tuple[TestClient, dict[str, str]]
) -> None:
    client, codes = study
    visitor = Visitor(client).enter(codes["r01"]).begin()
    for at in range(3):
        assert f"Dialogue complete {at}/3" in visitor.text
        assert all(label in visitor.text for label in ("1st dialogue", "2nd dialogue", "Not sure"))
        visitor.send(choice="left", confidence="very", utterance="1")
    assert "Thank you" in visitor.text
    rows = answers(tmp_path)
    assert [row.participant for row in rows] == ["r01"] * 3
    assert sum(row.attention_check for row in rows) == 1
    assert len({(row.source_person, row.goal) for row in rows}) == 3
    assert all(row.seconds >= 0 and row.choice == "left" for row in rows)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row.answered_at) for row in rows)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "which dialogue"),
        ({"choice": "left", "confidence": "very"}, "which utterance"),
        ({"choice": "left", "utterance": "1"}, "how confident"),
        ({"choice": "unsure"}, "how confident"),
        ({"choice": "both", "confidence": "very", "utterance": "1"}, "which dialogue"),
        ({"choice": "left", "confidence": "very", "utterance": "99"}, "which utterance"),
        ({"choice": "left", "confidence": "very", "utterance": "-1"}, "which utterance"),
    ],
)
def test_an_answer_has_all_parts(
    study: tuple[TestClient, dict[str, str]], fields: dict[str, str], problem: str
) -> None:
    client, codes = study
    visitor = Visitor(client).enter(codes["r01"]).begin().send(**fields)
    assert visitor.status == 422
    assert problem in visitor.text
    if "confidence" in fields:
        assert re.search(r'value="very" required checked', visitor.text)
    assert "Dialogue complete 0/3" in visitor.get().text


def test_the_utterance_is_one_of_the_chosen_dialogue(tmp_path: Path) -> None:
    data = pairs_data(tmp_path, people=2, goals=1)  # natural dialogues with 1 and 2 exchanges
    codes = made(tmp_path / "study", "pairs", {"pairs_each": 2, "participants": 1}, **data)
    store = Store(tmp_path / "study" / "study.db")
    with visiting(tmp_path / "study") as client:
        visitor = Visitor(client).enter(codes["r01"]).begin()
        for item in store.items("r01"):
            natural = "right" if item["artificial_side"] == "left" else "left"
            short = len(store.dialogue(item["natural"]).turns) == 2
            visitor.send(choice=natural, confidence="very", utterance="2")
            assert ("has no utterance 2" in visitor.text) == short
            if short:
                visitor.send(choice="unsure", confidence="very", utterance="2")
        assert "Thank you" in visitor.text


def test_not_sure_needs_no_utterance(
    tmp_path: Path, study: tuple[TestClient, dict[str, str]]
) -> None:
    client, codes = study
    Visitor(client).enter(codes["r01"]).begin().send(choice="unsure", confidence="somewhat")
    (row,) = answers(tmp_path)
    assert (row.choice, row.utterance, row.detected) == ("unsure", None, False)


def test_a_page_is_answered_once(tmp_path: Path, study: tuple[TestClient, dict[str, str]]) -> None:
    """A repeated answer comes from a double click, or from a page that the back button restored."""
    client, codes = study
    visitor = Visitor(client).enter(codes["r01"]).begin()
    old = visitor.token
    visitor.send(choice="left", confidence="very", utterance="1")
    again = {"page": old, "choice": "right", "confidence": "somewhat", "utterance": "1"}
    for _ in range(2):
        assert "Dialogue complete 1/3" in client.post("/study", data=again).text
    (row,) = answers(tmp_path)
    assert row.choice == "left"


def test_one_goes_on_where_one_was(
    tmp_path: Path, study: tuple[TestClient, dict[str, str]]
) -> None:
    client, codes = study
    visitor = Visitor(client).enter(codes["r01"]).begin()
    visitor.send(choice="left", confidence="very", utterance="1")
    page = visitor.text
    assert visitor.get().text == page
    with visiting(tmp_path / "study") as elsewhere:  # another browser, and a new process
        assert Visitor(elsewhere).enter(codes["r01"]).text == page


def test_a_check_says_what_to_answer(
    tmp_path: Path, study: tuple[TestClient, dict[str, str]]
) -> None:
    client, codes = study
    visitor = Visitor(client).enter(codes["r01"]).begin()
    items = Store(tmp_path / "study" / "study.db").items("r01")
    for item in items:
        assert ("It checks whether the dialogues" in visitor.text) == item["attention_check"]
        first = visitor.text.index("1st dialogue</h2>")
        second = visitor.text.index("2nd dialogue</h2>")
        if item["attention_check"]:
            on_the_left = first < visitor.text.index("whether the dialogues are read") < second
            assert on_the_left == (item["artificial_side"] == "left")
        visitor.send(choice=item["artificial_side"], confidence="very", utterance="1")
    assert "1 of 1" in client.get("/progress").text


def test_nothing_tells_which_is_simulated(
    tmp_path: Path, study: tuple[TestClient, dict[str, str]]
) -> None:
    client, codes = study
    visitor = Visitor(client).enter(codes["r01"]).begin()
    for item in Store(tmp_path / "study" / "study.db").items("r01"):
        assert item["condition"] not in re.sub(r"\(\w+-\d+, \d\)", "", visitor.text)
        assert "artificial_side" not in visitor.text
        visitor.send(choice="unsure", confidence="very")


def test_hostile_texts_are_texts(tmp_path: Path) -> None:
    data = pairs_data(tmp_path, text=HOSTILE)
    codes = made(tmp_path / "study", "pairs", {"pairs_each": 2, "title": HOSTILE[:99]}, **data)
    with visiting(tmp_path / "study") as client:
        visitor = Visitor(client).enter(codes["r01"]).begin()
        assert "<script>alert" not in visitor.text
        assert "<img" not in visitor.text
        assert "&lt;script&gt;alert(1)" in visitor.text
        assert "{{ 7*7 }} \\x1b[31m\\u202e" in visitor.text
        visitor.send(choice=HOSTILE, confidence="<b>", utterance="1e9")
        assert "<b>" not in visitor.text


def test_the_answers_are_parquet_too(
    tmp_path: Path, study: tuple[TestClient, dict[str, str]]
) -> None:
    from pyarrow import parquet

    client, codes = study
    Visitor(client).enter(codes["r01"]).begin().send(choice="unsure", confidence="somewhat")
    rows = [json.loads(row.model_dump_json()) for row in answers(tmp_path)]
    assert parquet.read_table(tmp_path / "out" / "data" / "answers.parquet").to_pylist() == rows
