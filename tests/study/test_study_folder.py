"""The folder of a study: its file, its plan and its creation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen
from hypothesis import given
from hypothesis import strategies as st
from studies import made, pairs_data, ratings_data

from convogen.errors import SourceError
from convogen.inputs.yaml12 import dump_yaml, parse_yaml
from convogen.records import Turn
from convogen.study.codes import digest, new_codes
from convogen.study.dialogues import exchanges
from convogen.study.plan import draw_ratings, plan_study
from convogen.study.store import Store
from convogen.study.study_file import KINDS
from convogen.study.study_yaml import commented, load_design


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_reads_as_it_was_written(kind: str) -> None:
    text = commented(KINDS[kind]())
    assert KINDS[kind].model_validate(parse_yaml(text)) == KINDS[kind]()
    silent = KINDS[kind](experience=None)
    assert KINDS[kind].model_validate(parse_yaml(commented(silent))) == silent


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n"), min_size=1))
def test_any_text_survives(text: str) -> None:
    assert parse_yaml(dump_yaml({"text": text}, blocks=True)) == {"text": text}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("kind: quiz", "kind: must be one of collect, pairs, ratings"),
        ("kind: pairs\npairs_each: 0", "pairs_each: must be at least 1"),
        ("kind: pairs\npair_each: 2", "unknown key 'pair_each'"),
        ("kind: ratings\nscales: [{id: a b, question: x, points: 5}]", "scales.0.id"),
        ("kind: ratings\nscales: [{id: a, question: x, points: 5, labels: [b]}]", "must have 2 en"),
        ("kind: ratings\nscales: [{id: page, question: x, points: 5}]", "'page' is the name of"),
        ("kind: ratings\nscales: [{id: comment, question: x, points: 5}]", "'comment' is the name"),
        ("kind: collect\nfeatures: {age: [old]}", "features.age: must have 2 or more"),
        ("kind: collect\nfeatures: {native_english: [oui, non]}", "'non' is not an option"),
        ("kind: collect\ngoals: [{name: a, goal: abc}, {name: a, goal: abc}]", "the same name"),
        ("kind: collect\nmodel: {name: x, api_key: y}", "unknown key"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, lines: str, said: str) -> None:
    (tmp_path / "study.yaml").write_text(lines)
    complaint = convogen("study", "serve", tmp_path, "--port", 0).complaint
    assert said in complaint
    assert "study.yaml" in complaint


def test_what_is_asked_may_change_until_somebody_answers(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made(folder, "ratings", {"dialogues_each": 2}, **ratings_data(tmp_path))
    path, store = folder / "study.yaml", Store(folder / "study.db")

    def served(old: str, new: str) -> None:
        path.write_text(path.read_text().replace(old, new))
        plan_study(load_design(folder), store, path)

    served("dialogues_each: 2", "dialogues_each: 3")
    assert len(store.items("r02")) == 3
    store.answer("r01", "consent", {})
    served("title: Rate dialogues", "title: Read dialogues")
    with pytest.raises(SourceError, match="dialogues_each: cannot be changed"):
        served("dialogues_each: 3", "dialogues_each: 2")
    assert len(store.items("r02")) == 3


def test_participants_are_those_with_codes(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made(folder, "ratings", {"dialogues_each": 2}, **ratings_data(tmp_path))
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("participants: 2", "participants: 3"))
    assert (
        "must be 2, the number of codes"
        in convogen("study", "serve", folder, "--port", 0).complaint
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "pairs"), "requires both --natural DATA and --simulated DATA"),
        (("--kind", "ratings"), "requires --dialogues DATA"),
        (("--kind", "collect", "--dialogues", "x"), "--dialogues applies only to --kind ratings"),
        (
            ("--kind", "ratings", "--dialogues", "x", "--model", "y"),
            "--model applies only to --kind collect",
        ),
        (("--kind", "collect", "--each", "3"), "--each and --attention-checks"),
        (("--kind", "collect", "--model", "a-model", "--budget-usd", "1"), "needs the price"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    ended = convogen("study", "new", tmp_path / "study", *options)
    assert ended.status == 2
    assert said in ended.complaint
    assert not (tmp_path / "study").exists()


def test_a_study_that_cannot_be_planned_leaves_nothing(tmp_path: Path) -> None:
    (data,) = ratings_data(tmp_path)["dialogues"]
    new = ("--kind", "ratings", "--dialogues", data, "--each", 99)
    assert (
        "must be at most the number of dialogues, 4"
        in convogen("study", "new", tmp_path / "study", *new).complaint
    )
    assert not (tmp_path / "study").exists()
    (tmp_path / "own").mkdir()
    assert convogen("study", "new", tmp_path / "own", *new).status == 2
    assert list((tmp_path / "own").iterdir()) == []


def test_a_model_that_cannot_be_used_is_said_before_anybody_comes(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    made(folder, "collect", {"model": "gpt-4o-mini"})
    assert "OPENAI_API_KEY" in convogen("study", "serve", folder, "--port", 0).complaint


def test_a_folder_is_never_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    new = ("study", "new", folder, "--kind", "collect", "--participants", 2)
    ended = convogen(*new)
    assert ended.status == 0, ended.err
    codes = (folder / "codes.csv").read_text()
    assert [line.split(",")[1] in ended.out for line in codes.splitlines()[1:]] == [True, True]
    assert "already exists" in convogen(*new).complaint
    assert (folder / "codes.csv").read_text() == codes


@pytest.mark.parametrize("kind", ["pairs", "ratings"])
def test_too_few_dialogues_leave_nothing_behind(tmp_path: Path, kind: str) -> None:
    data: dict[str, Any]
    if kind == "pairs":
        data, keys = pairs_data(tmp_path), {"pairs_each": 40}
    else:
        data, keys = ratings_data(tmp_path), {"dialogues_each": 40}
    with pytest.raises(SourceError):
        made(tmp_path / "study", kind, keys, **data)
    assert list((tmp_path / "study").glob("*")) == []
    made(tmp_path / "study", kind, dict.fromkeys(keys, 2), **data)


def test_adaptive_pairs_take_a_judges_probabilities(tmp_path: Path) -> None:
    data = pairs_data(tmp_path)
    folder = tmp_path / "study"
    made(folder, "pairs", {"pairs_each": 2}, **data)
    known = Store(folder / "study.db").meta("candidates")
    verdicts = tmp_path / "verdicts.jsonl"
    rows = [
        {"pair": one["id"], "condition": one["condition"], "undetected": 0.1 + 0.07 * at}
        for at, one in enumerate(known)
    ]
    verdicts.write_text("\n".join(map(json.dumps, rows)))
    made(
        tmp_path / "adaptive",
        "pairs",
        {"pairs_each": 2, "assignment": "adaptive"},
        **data,
        verdicts=[verdicts],
    )
    items = Store(tmp_path / "adaptive" / "study.db").items("r01")
    assert len({item["probability"] for item in items}) == 2
    verdicts.write_text("\n".join(map(json.dumps, rows[1:])))
    adaptive = {"pairs_each": 2, "assignment": "adaptive"}
    with pytest.raises(SourceError, match="1 of the pairs in condition"):
        made(tmp_path / "other", "pairs", adaptive, **data, verdicts=[verdicts])


@given(
    dialogues=st.integers(1, 30),
    participants=st.integers(1, 12),
    each=st.integers(1, 30),
    checks=st.integers(0, 3),
    seed=st.integers(0, 5),
)
def test_ratings_are_drawn_evenly(
    dialogues: int, participants: int, each: int, checks: int, seed: int
) -> None:
    ids = [f"d{at}" for at in range(dialogues)]
    people = [f"p{at}" for at in range(participants)]
    if each + checks > dialogues:
        with pytest.raises(SourceError):
            draw_ratings(ids, people, each, seed=seed, attention_checks=checks)
        return
    drawn = draw_ratings(ids, people, each, seed=seed, attention_checks=checks)
    assert drawn == draw_ratings(ids, people, each, seed=seed, attention_checks=checks)
    times = dict.fromkeys(ids, 0)
    for own in drawn.values():
        assert len({item["dialogue"] for item in own}) == each + checks
        assert sum("expected" in item for item in own) == checks
        for item in own:
            times[item["dialogue"]] += "expected" not in item
    assert max(times.values()) - min(times.values()) <= 1


def test_codes_are_told_apart_by_letters_alone() -> None:
    codes = new_codes(200)
    assert len(set(codes.values())) == 200
    assert next(iter(codes)) == "p001"
    assert all(len(code) == 14 and not set(code) & set("01IO") for code in codes.values())
    code = codes["p001"]
    assert digest(code) == digest(f" {code.lower().replace('-', '')} ") != digest(codes["p002"])
    for dash in ("\u2013", "\u2011", "\u2212", "\u00a0", "\u200b", "_"):
        assert digest(code.replace("-", dash)) == digest(code)
    wide = "".join(chr(ord(one) + 0xFEE0) for one in code)  # as some East Asian keyboards type it
    assert digest(wide) == digest(code)


@pytest.mark.parametrize(
    ("speakers", "numbers"),
    [
        (["user", "assistant", "user", "assistant"], [(1, 1), (1, 1)]),
        (["assistant", "user", "assistant"], [(0, 1), (1, 1)]),
        (["Ann", "Bob", "Ann"], [(1, 1), (1, 0)]),
        (["Ann", "Ann", "Bob", "Cem"], [(2, 2)]),
        (["bot", "bot"], [(0, 2)]),
        ([], []),
    ],
)
def test_exchanges_begin_with_prompts(speakers: list[str], numbers: list[tuple[int, int]]) -> None:
    turns = [Turn(speaker=speaker, text="x") for speaker in speakers]
    found = [(len(one.prompts), len(one.replies)) for one in exchanges(turns)]
    assert found == numbers
