"""`convogen stats` from a user's point of view."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from command_line import convogen, convogen_process

from convogen.cli.main import cli

KEYS = {
    "conversations",
    "words_per_conversation",
    "turns_per_conversation",
    "words_per_turn",
    "mtld_mean",
    "mtld_std",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    rows = [
        {
            "turns": [
                {"speaker": "Ana", "text": f"Bo, tea number {at}?"},
                {"speaker": "Bo", "text": "Yes"},
            ]
        }
        for at in range(3)
    ]
    path = tmp_path / "[bold]tea.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{broken\n", encoding="utf-8")
    return path


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["stats", *map(str, arguments)])


def test_json_is_one_object_with_the_measures(file: Path) -> None:
    result = invoke(file, "--json", "--workers", "1")
    found = json.loads(result.stdout)
    assert set(found) >= KEYS
    assert found["conversations"] == 3
    assert found["words_per_conversation"] == 5
    assert found["group_chat"]["answered_next_rate"] == 1
    assert found["bad_rows"]["count"] == 1
    assert f"{file}:4" in found["bad_rows"]["first"][0]


def test_checks_that_a_language_lacks_are_named_and_have_no_number(tmp_path: Path) -> None:
    path = tmp_path / "hu.jsonl"
    texts = ["Szia, hogy vagy ma reggel?", "Jól vagyok, de most már mennem kell.", "Viszlát!"]
    turns = [{"speaker": name, "text": text} for name, text in zip("ABA", texts, strict=True)]
    path.write_text(json.dumps({"turns": turns}) + "\n", encoding="utf-8")
    found = json.loads(invoke(path, "--json").stdout)
    assert found["group_chat"]["farewell_loop_rate"] is None
    assert found["group_chat"]["addressed"] is None
    assert any("Not checked in Hungarian: refusals" in line for line in found["warnings"])
    assert "Not checked in Hungarian" in invoke(path).stdout


def test_the_paper_rendering_counts_labels(file: Path) -> None:
    found = json.loads(invoke(file, "--json", "--render", "paper").stdout)
    assert found["words_per_conversation"] == 7
    assert found["words_per_turn"] == 2.5


def test_several_files_and_a_corpus_beside_them(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "plain.jsonl"
    other.write_text('["Hi", "Good evening to you all"]\n', encoding="utf-8")
    found = json.loads(invoke(file, other, "--json", "--against", other).stdout)
    assert [one["conversations"] for one in found["corpora"]] == [3, 1]
    assert found["against"]["conversations"] == 1
    assert found["corpora"][1]["distance"] == {"turn_length": 0, "turn_count": 0}
    assert found["distance"]["turn_length"] > 0


def test_the_tables_set_ours_beside_the_published(file: Path) -> None:
    result = invoke(file, "--render", "paper", "--against", file)
    for expected in (
        "[bold]tea.jsonl",
        "PERSONA-CHAT, published",
        "198.46",
        "7.00",
        "Distance from",
    ):
        assert expected in result.output
    assert "1 bad row left out" in result.stderr
    assert f"{file}:4" in result.stderr


@pytest.mark.parametrize("arguments", [["--strict"], ["--format", "meld"], ["--format", "none"]])
def test_what_the_user_can_mend_is_one_line_and_status_2(file: Path, arguments: list[str]) -> None:
    done = convogen_process("stats", file, *arguments)
    assert done.status == 2
    assert done.err.startswith("convogen: ")
    assert done.err.count("\n") == 1


def test_help_loads_nothing_heavy() -> None:
    heavy = ["numpy", "pandas", "datasets", "scipy", "lexicalrichness", "matplotlib", "pyarrow"]
    code = (
        "import sys; from convogen.cli.main import cli\n"
        "try: cli(['stats', '--help'])\n"
        f"except SystemExit: assert not [name for name in {heavy} if name in sys.modules]"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--against" in done.stdout


def _write_scenes(path: Path, turns: list[tuple[str, str]], n: int) -> Path:
    rows = [
        {"id": f"{at}", "turns": [{"speaker": who, "text": text} for who, text in turns]}
        for at in range(n)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_interaction_is_measured_beside_people_if_asked_for(tmp_path: Path) -> None:
    smooth = [
        ("Ana", "Shall we take the train on Sunday?"),
        ("Ben", "Yes, the train leaves at nine."),
        ("Cy", "I will bring the sandwiches for the train."),
    ]
    rough = [
        ("Ana", "Shall we take the train on Sunday?"),
        ("Ben", "No, I disagree, the bus is cheaper."),
        ("Cy", "Um, what do you mean, Ben?"),
    ]
    ours = _write_scenes(tmp_path / "ours.jsonl", smooth, 40)
    people = _write_scenes(tmp_path / "people.jsonl", rough, 40)
    plain = json.loads(convogen("stats", ours, "--json").out)
    assert "interaction" not in plain
    asked = ("stats", ours, "--against", people, "--interaction")
    found = json.loads(convogen(*asked, "--json").out)
    assert found["interaction"]["conversations"] == 40
    assert found["interaction"]["friction"]["shares"]["disagreement"]["value"] == 0
    assert found["against"]["interaction"]["friction"]["shares"]["disagreement"]["value"] == 1 / 3
    apart = found["friction_differences"]["disagreement"]
    assert apart["low"] < apart["value"] == -1 / 3 < apart["high"] < 0
    named = found["against"]["interaction"]["measures"]["named"]
    assert named["value"] == pytest.approx(1 / 3)
    shown = convogen(*asked).out
    assert "Friction" in shown
    assert re.search(r"Disagreement.*0\.0%\* \(", shown)


def test_a_corpus_without_conversations_of_two_has_no_interaction(tmp_path: Path) -> None:
    alone = _write_scenes(tmp_path / "alone.jsonl", [("Ana", "Hello there.")], 3)
    found = json.loads(convogen("stats", alone, "--json", "--interaction").out)
    assert found["interaction"]["conversations"] == 0
    assert found["interaction"]["friction"] is None
    assert "Friction" not in convogen("stats", alone, "--interaction").out
