"""Exported data can be read with the same numbers, and CSV files are safe to open in a
spreadsheet."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import datasets
import pytest
from command_line import convogen
from export_runs import NAMES, RISKY, dialogues, played, texts, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.corpora.cells import protected, restored
from convogen.exports import ExportPlan, export_run, open_exporter
from convogen.records import Turn
from convogen.storage.run_folder import load_run

LISTED = [Turn(speaker=NAMES[at % len(NAMES)], text=text) for at, text in enumerate(RISKY)]
FORMULA = tuple("=+-@＝＠\t\r\n")
MEASURES = ("conversations", "turns", "words_per_conversation", "words_per_turn", "mtld_mean")


@given(texts)
def test_every_text_comes_back_and_none_is_a_formula(text: str) -> None:
    assert restored(protected(text)) == text
    assert protected(text)[:1] not in FORMULA
    if text[:1] not in (*FORMULA, "'", "＋", "－"):
        assert protected(text) == text


@pytest.mark.parametrize("to", ["jsonl", "parquet", "csv", "hf"])
def test_the_numbers_are_those_of_the_run(to: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [played(task, LISTED, **{"=odd": "+1"}) for task in range(3)])
    assert convogen("export", run, "--to", to, "--out", tmp_path / "out").status == 0
    if to == "hf":
        path = tmp_path / "rows.jsonl"
        found: Any = datasets.load_from_disk(str(tmp_path / "out"))
        rows = [json.dumps(row) + "\n" for row in found["train"]]
        path.write_text("".join(rows))
    else:
        (path,) = (tmp_path / "out" / "data").iterdir()
    ours = json.loads(convogen("stats", run, "--json").out)
    back = json.loads(convogen("stats", path, "--json").out)
    assert {key: back[key] for key in MEASURES} == {key: ours[key] for key in MEASURES}
    assert back["bad_rows"]["count"] == 0
    (first, *_) = open_corpus(path, strict=True)
    assert [(one.speaker, one.text) for one in first.turns] == [
        (one.speaker, one.text) for one in LISTED
    ]
    assert first.context["=odd"] == "+1"


def spoken(turns: list[Turn]) -> list[Turn]:
    """Return the turns with text, since readers omit empty turns at the end of a conversation."""
    return [turn for turn in turns if turn.text.strip()]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(dialogues().map(spoken).filter(bool), min_size=1, max_size=3),
    st.sampled_from(["jsonl", "parquet", "csv", "csv unsafe"]),
)
def test_turns_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, said: list[list[Turn]], to: str
) -> None:
    folder = tmp_path_factory.mktemp("back")
    run = write_run(folder / "run", [played(task, turns) for task, turns in enumerate(said)])
    name, _, unsafe = to.partition(" ")
    exporter = open_exporter(name, {"csv_safe": False} if unsafe else {})
    export_run(load_run(run), folder / "out", ExportPlan(exporter))
    (path,) = (folder / "out" / "data").iterdir()
    found = [
        [(one.speaker, one.text) for one in each.turns] for each in open_corpus(path, strict=True)
    ]
    assert found == [[(one.speaker, one.text) for one in turns] for turns in said]


def test_no_cell_of_csv_is_a_formula_not_even_the_header(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [played(0, LISTED, **{"@label": "-x"})])
    assert convogen("export", run, "--to", "csv", "--out", tmp_path / "out").status == 0
    with (tmp_path / "out" / "data" / "train.csv").open(encoding="utf-8", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert "'@label" in cells
    assert "''=1" in cells
    assert not [cell for cell in cells if cell[:1] in FORMULA]
    found: Any = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert found["train"][0]["csv_safe"] is True
    assert "preceded by an apostrophe" in (tmp_path / "out" / "README.md").read_text("utf-8")


def test_cells_as_they_are_are_asked_for_and_said_in_the_card(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [played(0, LISTED)])
    args = ("--to", "csv", "--no-csv-safe", "--out", tmp_path / "out")
    assert convogen("export", run, *args).status == 0
    with (tmp_path / "out" / "data" / "train.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["text"] for row in rows] == [turn.text for turn in LISTED]
    assert "csv_safe" not in rows[0]
    assert "A spreadsheet evaluates" in (tmp_path / "out" / "README.md").read_text("utf-8")
    ended = convogen("export", run, "--to", "jsonl", "--no-csv-safe", "--out", tmp_path / "other")
    assert ended.status == 2
    assert "unknown key 'csv_safe'; allowed: none" in ended.complaint


def test_apostrophes_of_a_foreign_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "foreign.csv"
    path.write_text("id,turn,speaker,text\na,1,Bo,'=1\na,2,Cy,'-'\n")
    (found,) = open_corpus(path, strict=True)
    assert [turn.text for turn in found.turns] == ["'=1", "'-'"]
