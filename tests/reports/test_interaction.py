"""Interaction in a report: the numbers of `stats --interaction`, next to those of people."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, run

ROUGH = [
    ("Ana", "Shall we take the train on Sunday?"),
    ("Ben", "No, I disagree, the bus is cheaper."),
    ("Cy", "Um, what do you mean, Ben?"),
    ("Ben", "Why do you ask?"),
]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("people") / "people.jsonl"
    rows = [
        {"id": f"p{nth}", "turns": [{"speaker": who, "text": text} for who, text in ROUGH]}
        for nth in range(30)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    keys = {"n": 4, "models": "scripted", "max_turns": 5, "language": "en", "gates": []}
    run(Experiment.load("GPFS-s", keys), folder)
    return folder


@pytest.fixture(scope="module")
def report(played: Path, people: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "report"
    ended = convogen("report", played, "--against", people, "--out", out)
    assert ended.status == 0, ended.err
    return out


def test_the_numbers_are_those_of_stats(report: Path, played: Path, people: Path) -> None:
    numbers = json.loads((report / "report.json").read_text("utf-8"))
    shown = convogen("stats", played, "--interaction", "--against", people, "--json")
    stats = json.loads(shown.out)
    assert numbers["runs"]["mine"]["text"]["interaction"] == stats["interaction"]
    theirs = numbers["against"]["people.jsonl"]["text"]["interaction"]
    assert theirs == stats["against"]["interaction"]
    assert theirs["measures"]["counter_questions"]["value"] == 0.25
    assert theirs["friction"]["shares"]["disagreement"]["value"] == 0.25
    assert theirs["friction"]["histograms"]["disagreement"] == [0, 1, 0, 0, 0]
    assert theirs["friction"]["told_by"] == "rules"


def test_a_reader_sees_the_difference_and_how_far_to_trust_it(report: Path) -> None:
    page = (report / "report.md").read_text("utf-8")
    section = page[page.index("## Interaction") : page.index("## Groundedness")]
    row = next(line for line in section.splitlines() if line.startswith("| Disagreement"))
    assert row.startswith(r"| Disagreement | 0.0%\* (")
    assert "| 25.0% (" in row
    assert "| Labelled by | rules, 20 turns | rules, 120 turns |" in section
    assert "It addresses somebody by name" in section
    assert "On 115 turns labelled by hand, the addressee was correct in 87%" in section


def test_both_figures_are_drawn(report: Path) -> None:
    page = (report / "report.html").read_text("utf-8")
    section = page[page.index("<h2>Interaction</h2>") : page.index("<h2>Over the course")]
    assert section.count("<svg") == 2
    for label in ("% of turns, with 95% intervals", "% of conversations", "4+", "repair request"):
        assert label in section


def test_without_rules_for_the_language_there_is_no_friction(played: Path, tmp_path: Path) -> None:
    german = tmp_path / "leute.jsonl"
    turns = [("Ana", "Wollen wir am Sonntag in die Stadt?"), ("Ben", "Ja, das ist eine gute Idee.")]
    rows = [
        {"id": f"p{nth}", "turns": [{"speaker": who, "text": text} for who, text in turns]}
        for nth in range(3)
    ]
    german.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    shown = convogen("stats", german, "--interaction", "--json")
    assert json.loads(shown.out)["interaction"]["friction"] is None
    assert "Friction" not in convogen("stats", german, "--interaction").out


def test_labels_of_a_run_and_a_corpus_by_one_judge_take_the_place_of_rules(
    played: Path, people: Path, tmp_path: Path
) -> None:
    mine = Path(shutil.copytree(played, tmp_path / "mine"))
    judge = ("--judge", "friction", "--model", "scripted")
    assert convogen("evaluate", mine, *judge).status == 0
    ended = convogen("evaluate", people, *judge, "--out", tmp_path / "judged")
    assert ended.status == 0, ended.err
    assert "judge scripted, 120 turns" in " ".join(ended.out.split())
    labels = tmp_path / "judged" / "people"
    asked = ("report", mine, "--against", people, "--out", tmp_path / "report")
    assert convogen(*asked, "--judged", labels).status == 0
    page = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "| Labelled by | judge scripted, 20 turns | judge scripted, 120 turns |" in page
    assert "Rules and judge compared: people.jsonl" in page
    assert "| Sarcasm |" in page
    assert "## Other judges" not in page
    assert convogen(*asked).status == 0
    page = (tmp_path / "report" / "report.md").read_text("utf-8")
    assert "| Behaviour | mine (rules) | mine (judge scripted) | people.jsonl (rules) |" in (
        page.replace("\\", "")
    )
