"""Chat exports from a trainer's point of view: alternating roles, names, masks and counts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from export_runs import dialogues, played, spoken, strict_tokenizer, write_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.exports import Item, open_exporter
from convogen.exports.viewpoints import seen_by
from convogen.records import Conversation, Turn

SHORT = ("Dhello", "Ahi", "Bwell", "Bnow", "Aso", "Cyes", "Abye", "Bbye")


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return strict_tokenizer()


def llama_factory_takes(row: dict[str, Any]) -> bool:
    """Return whether LLaMA-Factory would accept a row in its `sharegpt` format (its
    data/README.md).

    After a `system` message, people and observations are in odd positions, and the model and its
    calls are in even positions. The numbers of odd and even messages must be equal.
    """
    chat = row["conversations"]
    if chat and chat[0]["from"] == "system":
        chat = chat[1:]
    places = ({"human", "observation"}, {"gpt", "function_call"})
    fits = all(one["from"] in places[at % 2] for at, one in enumerate(chat))
    return bool(chat) and len(chat) % 2 == 0 and fits


def rows_of(
    name: str, turns: Sequence[Turn], counts: Counter[str] | None = None, **options: Any
) -> list[dict[str, Any]]:
    exporter = open_exporter(name, options)
    return list(exporter.rows(Item(*played(0, turns)), Counter() if counts is None else counts))


def spoken_of(rows: Sequence[dict[str, Any]], key: str, role: str) -> Iterator[dict[str, Any]]:
    """Return the messages of rows, except system messages."""
    return (one for row in rows for one in row[key] if one[role] != "system")


def test_a_group_chat_as_each_of_its_people_sees_it() -> None:
    counts: Counter[str] = Counter()
    rows = rows_of("messages", spoken(*SHORT), counts)
    assert [row["perspective"] for row in rows] == ["A", "B", "C"]
    assert [(one["role"], one["content"]) for one in rows[1]["messages"][1:]] == [
        ("user", "D: hello\nA: hi"),
        ("assistant", "well\nnow"),
        ("user", "A: so\nC: yes\nA: bye"),
        ("assistant", "bye"),
    ]
    assert counts == {
        "perspectives_left_out": 1,
        "turns_merged": 1 + 4 + 4,
        "turns_dropped": 1 + 0 + 2,
        "turns_moved_to_system": 0,
    }


def test_what_the_viewer_says_first_is_in_the_system_message_or_dropped() -> None:
    turns = spoken("Aone", "Atwo", "Bthree", "Afour")
    (first, *chat) = rows_of("messages", turns, perspective="A")[0]["messages"]
    assert first["role"] == "system"
    assert first["content"].startswith("You are A, in a conversation with B.")
    assert first["content"].endswith("You have begun the conversation by saying: one\ntwo")
    assert [one["content"] for one in chat] == ["B: three", "four"]
    counts: Counter[str] = Counter()
    (row,) = rows_of("messages", turns, counts, perspective="A", system=False)
    assert [one["content"] for one in row["messages"]] == ["B: three", "four"]
    assert (counts["turns_dropped"], counts["turns_moved_to_system"]) == (2, 0)


def test_a_person_and_a_chatbot_are_a_chat_already() -> None:
    turns = [Turn(speaker=who, text=text) for who, text in (("user", "a"), ("assistant", "b"))]
    rows = rows_of("messages", turns, perspective="assistant")
    assert [row["messages"] for row in rows] == [
        [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    ]
    counts: Counter[str] = Counter()
    assert len(rows_of("messages", turns, counts)) == 1
    assert counts["perspectives_left_out"] == 1


def test_plain_sharegpt_has_the_roles_of_trainers(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [played(task, spoken(*SHORT)) for task in range(5)])
    ended = convogen("export", run, "--to", "sharegpt", "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    lines = (tmp_path / "out" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 15
    assert all(map(llama_factory_takes, rows))
    described = json.loads((tmp_path / "out" / "export.json").read_text())
    assert described["counts"] == {
        "perspectives_left_out": 5,
        "turns_dropped": 15,
        "turns_merged": 45,
    }
    assert "turns merged: 45" in ended.out
    assert "| turns merged | 45 |" in (tmp_path / "out" / "README.md").read_text("utf-8")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(turns=dialogues(), system=st.booleans())
def test_every_row_is_taken_by_templates_and_trainers(
    turns: list[Turn], system: bool, tokenizer: Any
) -> None:
    data_utils: Any = pytest.importorskip("trl.data_utils", reason="TRL is not installed")
    for row in rows_of("messages", turns, system=system):
        assert data_utils.is_conversational(row)
        text = data_utils.apply_chat_template(row, tokenizer)["text"]
        messages = row["messages"]
        assert text.endswith(f" {messages[-1]['content']}</s>")
        assert messages[-1]["role"] == "assistant"
        names = [one["name"] for one in messages if "name" in one]
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", name) for name in names)
    assert all(map(llama_factory_takes, rows_of("sharegpt", turns, system=system)))


@settings(max_examples=150)
@given(turns=dialogues(), system=st.booleans())
def test_every_turn_is_in_the_rows_or_counted(turns: list[Turn], system: bool) -> None:
    counts: Counter[str] = Counter()
    rows = rows_of("messages", turns, counts, system=system)
    people = len({turn.speaker for turn in turns})
    assert len(rows) + counts["perspectives_left_out"] == people
    held = sum(1 for _ in spoken_of(rows, "messages", "role"))
    moved = counts["turns_moved_to_system"]
    assert held + counts["turns_merged"] + counts["turns_dropped"] + moved == len(rows) * len(turns)
    if people > 1:
        assert rows, "the second speaker answers somebody"
    for row in rows:
        said = [one["content"] for one in row["messages"] if one["role"] == "assistant"]
        own = [turn.text for turn in turns if turn.speaker == row["perspective"]]
        assert "\n".join(own).endswith("\n".join(said))


@settings(max_examples=60)
@given(turns=dialogues())
def test_people_have_identifiers_of_their_own(turns: list[Turn]) -> None:
    chat = Conversation(id="c", turns=turns)
    viewer = turns[0].speaker
    messages = seen_by(viewer, Item(chat), merge=False, system=False)
    names = {(turn.speaker, one.name) for turn, one in zip(turns, messages, strict=True)}
    if {turn.speaker for turn in turns} != {"user", "assistant"}:
        assert len({name for _, name in names}) == len({speaker for speaker, _ in names})


@pytest.mark.parametrize("to", ["messages", "sharegpt"])
def test_chats_read_back_what_they_hold(to: str, tmp_path: Path) -> None:
    turns = spoken(*SHORT)
    run = write_run(tmp_path / "run", [played(task, turns) for task in range(3)])
    assert convogen("export", run, "--to", to, "--out", tmp_path / "out").status == 0
    path = tmp_path / "out" / "data" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    found = list(open_corpus(path, strict=True))
    assert len(found) == len(rows) == 9
    counts = json.loads((tmp_path / "out" / "export.json").read_text())["counts"]
    held = sum(len(one.turns) for one in found)
    assert held + counts["turns_merged"] + counts["turns_dropped"] == 9 * len(turns)
    back = json.loads(convogen("stats", path, "--json").out)
    assert (back["turns"], back["bad_rows"]["count"]) == (held, 0)


def test_a_mask_leaves_out_turns_taken_in_spite_of_a_fault() -> None:
    turns = spoken("Aa", "Bb", "Ac", "Bd", "Ae", "Bf")
    turns[3] = turns[3].model_copy(update={"lapse": "echo"})
    counts: Counter[str] = Counter()
    options = {"perspective": "B", "system": False}
    (row,) = rows_of("messages", turns, counts, loss_mask="weight", **options)
    assert [one.get("weight") for one in row["messages"]] == [None, 1, None, 0, None, 1]
    assert counts["messages_masked"] == 1
    (row,) = rows_of("sharegpt", turns, loss_mask="train", **options)
    assert [one["train"] for one in row["conversations"]] == [
        False,
        True,
        False,
        False,
        False,
        True,
    ]
    assert "weight" not in str(rows_of("messages", turns, **options))


def test_a_chat_of_which_nothing_is_learned_is_left_out() -> None:
    turns = spoken("Aa", "Bb")
    turns[1] = turns[1].model_copy(update={"lapse": "echo"})
    counts: Counter[str] = Counter()
    assert rows_of("messages", turns, counts, loss_mask="weight") == []
    assert counts["perspectives_left_out"] == 2
    assert len(rows_of("messages", turns)) == 1


@pytest.mark.parametrize("mask", ["weight", "train"])
@pytest.mark.parametrize("to", ["messages", "sharegpt"])
def test_masks_load_as_typed_columns(to: str, mask: str, tmp_path: Path) -> None:
    datasets: Any = pytest.importorskip("datasets")
    run = write_run(tmp_path / "run", [played(0, spoken(*SHORT))])
    args = ("--to", to, "--loss-mask", mask, "--out", tmp_path / "out")
    assert convogen("export", run, *args).status == 0
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    (first, *_) = found["train"]
    chat = first["messages" if to == "messages" else "conversations"]
    assert {type(one[mask]) for one in chat} <= {bool, int, type(None)}
    assert chat[-1][mask]


def test_a_mask_of_another_name_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [played(0, spoken(*SHORT))])
    args = ("--to", "messages", "--loss-mask", "loss", "--out", tmp_path / "out")
    ended = convogen("export", run, *args)
    assert ended.status == 2
    assert "'weight' or 'train'" in ended.complaint
