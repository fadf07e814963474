"""The judge and the dialogues to which the verdicts in a file refer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convogen.errors import SourceError
from convogen.reports.agreement import read_judgement


def verdicts(path: Path, choices: str = "+-", **row: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"choice": "No" if mark == "+" else "Yes", **row} for mark in choices]
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


def scored(folder: Path, **manifest: Any) -> Path:
    """Write a folder of scores: `scores/unieval.jsonl` and the manifest next to it."""
    path = folder / "scores" / "unieval.jsonl"
    verdicts(path)
    (folder / "scores" / "unieval").mkdir()
    told = {"fingerprint": "f", "judged_by": {"model": "big"}, **manifest}
    (folder / "scores" / "unieval" / "manifest.json").write_text(json.dumps(told))
    return path


def named(text: object) -> tuple[str, str]:
    found = read_judgement(str(text), "unieval")
    return found.judge, found.dialogues


def test_scores_say_who_judged_and_what(tmp_path: Path) -> None:
    assert named(scored(tmp_path / "mine")) == ("big", "mine")
    assert named(scored(tmp_path / "other", source="/data/tea.jsonl")) == ("big", "tea.jsonl")
    assert named(tmp_path / "mine") == ("big", "mine")  # the folder is sufficient


def test_a_path_says_it_where_nothing_else_does(tmp_path: Path) -> None:
    assert named(verdicts(tmp_path / "claude/uni_eval/oasst.jsonl")) == ("claude", "oasst")
    assert named(verdicts(tmp_path / "claude/unieval/oasst.jsonl")) == ("claude", "oasst")
    assert named(verdicts(tmp_path / "claude/mine/oasst.jsonl")) == ("oasst", "")


def test_what_is_told_before_the_sign_goes_first(tmp_path: Path) -> None:
    path = verdicts(tmp_path / "claude/uni_eval/oasst.jsonl")
    assert named(f"gpt={path}") == ("gpt", "oasst")
    assert named(f"gpt, mine ={path}") == ("gpt", "mine")
    assert named(f",mine={path}") == ("claude", "mine")
    with pytest.raises(SourceError, match="use the form JUDGE,DIALOGUES=FILE"):
        named(f"a,b,c={path}")
    odd = verdicts(tmp_path / "a=b.jsonl")
    assert named(odd) == ("a=b", "")  # this refers to a file of that name


def test_units_are_ids_where_all_have_one(tmp_path: Path) -> None:
    ours = {"conversation": "c1", "judge": "unieval", "aspect": "human_like"}
    ids = read_judgement(str(verdicts(tmp_path / "a.jsonl", "+", **ours)), "unieval")
    places = read_judgement(str(verdicts(tmp_path / "b.jsonl", "+-")), "unieval")
    assert (ids.units, ids.passes()) == (["c1"], {"c1": True})
    assert (places.units, places.passes()) == (["1", "2"], {"1": True, "2": False})
    assert places.choices().to_dict() == {"1": "No", "2": "Yes"}
