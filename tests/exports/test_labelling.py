"""Conversations for Argilla and Label Studio: what annotators see, and custom questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from command_line import convogen
from export_runs import dialogues, played, spoken, write_run
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.exports import ExportPlan, export_run, open_exporter
from convogen.judges.geval import GEval
from convogen.judges.verdict_files import PROTOCOLS
from convogen.labels import Questions
from convogen.records import Score, Turn

TOOLS = ("argilla", "label-studio")
HOSTILE = "<img src=x onerror=alert(1)> & **b** ]]> \"'\u2028"

OWN = """
guidelines: "Read <b>all</b> of it & think."
questions:
  - {name: warmth, kind: rating, title: "How <warm> & kind?", scale: [0, 3]}
  - {name: verdict, kind: choice, title: Keep it?, options: {keep: "keep \\"it\\" <", drop: drop}}
  - {name: note, kind: text, title: Why?, required: true}
"""


def run_folder(folder: Path) -> Path:
    turns = [Turn(speaker=HOSTILE, text=HOSTILE), Turn(speaker="Bo", text="")]
    scores = [Score(conversation="c-0", judge="geval", aspect="topic", value=5, explanation="No")]
    return write_run(folder, [played(task, turns) for task in range(2)], scores, name="My run/1")


def exported(tool: str, tmp_path: Path, *options: object) -> Path:
    out = tmp_path / tool
    ended = convogen("export", run_folder(tmp_path / "run"), "--to", tool, "--out", out, *options)
    assert ended.status == 0, ended.err
    return out


def load(path: Path) -> Any:
    return json.loads(path.read_text("ascii"))


class TestArgilla:
    def test_records_have_the_id_the_scene_and_the_turns(self, tmp_path: Path) -> None:
        records = load(exported("argilla", tmp_path) / "records.json")
        assert [record["id"] for record in records] == ["c-0", "c-1"]
        assert "Situation: place 1" in records[1]["fields"]["scene"]
        first, second = records[0]["fields"]["dialogue"]
        assert first["content"].startswith("&lt;img src=x onerror=alert(1)&gt; &amp; **b**")
        assert "<" not in first["content"] + records[0]["fields"]["scene"]
        assert (second["role"], second["content"]) == ("Bo", "\N{NO-BREAK SPACE}")

    def test_settings_are_those_of_the_questions(self, tmp_path: Path) -> None:
        out = exported("argilla", tmp_path, "--annotators", 3)
        settings = load(out / ".argilla/settings.json")
        asked = {one["name"]: one["settings"] for one in settings["questions"]}
        assert asked["topic"]["options"] == [{"value": value} for value in range(1, 6)]
        assert asked["artificial"]["options"] == [
            {"value": "Yes", "text": "artificial"},
            {"value": "No", "text": "natural"},
        ]
        assert asked["comment"] == {"type": "text", "use_markdown": False}
        fields = {one["name"]: one["settings"] for one in settings["fields"]}
        assert fields["dialogue"] == {"type": "chat", "use_markdown": False}
        assert settings["distribution"] == {"strategy": "overlap", "min_submitted": 3}
        assert load(out / ".argilla/dataset.json")["name"] == "My-run-1"

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_messages_keep_to_argillas_bounds_and_lose_nothing(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        turns = data.draw(dialogues())
        turns.append(Turn(speaker=turns[0].speaker, text="&" * data.draw(st.integers(0, 9_000))))
        folder = tmp_path_factory.mktemp("bounds")
        run = write_run(folder / "run", [played(0, turns)])
        export_run(run, folder / "out", ExportPlan(open_exporter("argilla", {})))
        [record] = load(folder / "out/records.json")
        messages = record["fields"]["dialogue"]
        assert all(1 <= len(one["role"]) <= 20 for one in messages)
        assert all(1 <= len(one["content"]) <= 20_000 for one in messages)
        assert len({one["role"] for one in messages}) == len({turn.speaker for turn in turns})
        shown = "".join(one["content"] for one in messages).replace("\N{NO-BREAK SPACE}", "")
        said = "".join(turn.text for turn in turns).replace("\N{NO-BREAK SPACE}", "")
        for escaped, plain in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
            shown = shown.replace(escaped, plain)
        assert shown == said

    def test_scales_and_texts_of_ones_own(self, tmp_path: Path) -> None:
        (tmp_path / "own.yaml").write_text(OWN)
        out = exported("argilla", tmp_path, "--questions", tmp_path / "own.yaml")
        questions = load(out / ".argilla/settings.json")["questions"]
        assert [one["name"] for one in questions] == ["warmth", "verdict", "note"]
        assert questions[0]["settings"]["options"] == [{"value": value} for value in range(4)]
        assert [one["required"] for one in questions] == [True, True, True]


class TestLabelStudio:
    def test_tasks_have_the_id_the_scene_and_the_turns_as_plain_text(self, tmp_path: Path) -> None:
        tasks = load(exported("label-studio", tmp_path) / "tasks.json")
        data = tasks[1]["data"]
        assert data["conversation"] == "c-1"
        assert {"speaker": "Situation", "text": "place 1"} in data["scene"]
        assert data["dialogue"][0] == {"speaker": HOSTILE, "text": HOSTILE}

    def test_the_interface_shows_data_by_tags_that_render_no_html(self, tmp_path: Path) -> None:
        view = ET.parse(exported("label-studio", tmp_path) / "config.xml").getroot()  # noqa: S314 - ours
        shown = {one.get("value"): one.tag for one in view if "$" in (one.get("value") or "")}
        assert shown == {"$scene": "Paragraphs", "$dialogue": "Paragraphs"}
        rating = view.find("Rating[@name='topic']")
        assert rating is not None
        assert (rating.get("maxRating"), rating.get("toName")) == ("5", "dialogue")
        choices = view.findall("Choices[@name='artificial']/Choice")
        shown_as = [(one.get("value"), one.get("alias")) for one in choices]
        assert shown_as == [("artificial", "Yes"), ("natural", "No")]
        assert view.find("TextArea[@name='comment']") is not None

    def test_scales_and_texts_of_ones_own_are_escaped(self, tmp_path: Path) -> None:
        (tmp_path / "own.yaml").write_text(OWN)
        out = exported("label-studio", tmp_path, "--questions", tmp_path / "own.yaml")
        text = (out / "config.xml").read_text()
        assert "How &lt;warm&gt; &amp; kind?" in text
        view = ET.fromstring(text)  # noqa: S314 - ours
        values = [one.get("value") for one in view.findall("Choices[@name='warmth']/Choice")]
        assert values == ["0", "1", "2", "3"]
        [keep, _] = view.findall("Choices[@name='verdict']/Choice")
        assert (keep.get("value"), keep.get("alias")) == ('keep "it" <', "keep")


@pytest.mark.parametrize("tool", TOOLS)
class TestBoth:
    def test_scores_of_judges_are_not_shown(self, tool: str, tmp_path: Path) -> None:
        out = exported(tool, tmp_path)
        data = next(out / name for name in ("records.json", "tasks.json") if (out / name).exists())
        assert "geval" not in data.read_text()
        ended = convogen(
            "export", tmp_path / "run", "--to", tool, "--out", tmp_path / "b", "--with", "scores"
        )
        assert "does not support joins" in ended.complaint

    def test_the_scene_can_be_left_out(self, tool: str, tmp_path: Path) -> None:
        out = exported(tool, tmp_path, "--no-scene")
        texts = [path.read_text() for path in out.rglob("*") if path.suffix in (".json", ".xml")]
        assert not any("place 1" in text or '"$scene"' in text for text in texts)

    def test_the_questions_of_an_export_are_a_file_of_questions(
        self, tool: str, tmp_path: Path
    ) -> None:
        out = exported(tool, tmp_path)
        assert Questions.read(out / "questions.yaml") == Questions.default()
        again = ("--to", tool, "--out", tmp_path / "again", "--questions", out / "questions.yaml")
        assert convogen("export", tmp_path / "run", *again).status == 0
        assert (tmp_path / "again/questions.yaml").read_bytes() == (
            out / "questions.yaml"
        ).read_bytes()

    def test_the_card_says_how_to_load_it(self, tool: str, tmp_path: Path) -> None:
        card = (exported(tool, tmp_path) / "README.md").read_text()
        assert "load_dataset" not in card
        assert {"argilla": "rg.Dataset.from_disk", "label-studio": "`config.xml`"}[tool] in card
        assert "data_files" not in card

    def test_a_conversation_without_experience_shows_its_labels(
        self, tool: str, tmp_path: Path
    ) -> None:
        conversation, _ = played(0, spoken("Ahi", "Bho"))
        known = conversation.model_copy(update={"experience": None})
        run = write_run(tmp_path / "run", [])
        (run / "conversations.jsonl").write_bytes(known.to_line())
        assert convogen("export", run, "--to", tool, "--out", tmp_path / "out").status == 0
        data = "".join(path.read_text() for path in (tmp_path / "out").glob("*s.json"))
        assert "place 0" in data


def test_the_default_questions_are_what_the_judges_are_asked() -> None:
    judge, asked = GEval(), Questions.default().questions
    ratings = [one for one in asked if one.kind == "rating"]
    assert {one.name for one in ratings} <= set(judge.all_aspects())
    assert {one.scale for one in ratings} == {judge.scale}
    [choice] = [one for one in asked if one.kind == "choice"]
    assert set(choice.options) == set(PROTOCOLS["unieval"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{name: Warm, kind: rating, title: T}", "must match the pattern"),
        ("{name: conversation, kind: rating, title: T}", "is reserved by the labelling tools"),
        ("{name: a, kind: rating, title: T, scale: [5, 1]}", "the lower one first"),
        ("{name: a, kind: rating, title: T, scale: [1, 11]}", "from 0 to 10"),
        ("{name: a, kind: rating, title: T, scale: [1, true]}", "must not be true or false"),
        ("{name: a, kind: stars, title: T}", "`kind` must be rating, choice or text"),
        ("{name: a, title: T}", "`kind` must be rating, choice or text"),
        ("{name: a, kind: choice, title: T, options: {x: y}}", "2 or more entries"),
        ("{name: a, kind: choice, title: T, options: {x: z, y: z}}", "have the same text"),
        (
            "{name: a, kind: choice, title: T, options: {x: y, y: z}}",
            "is the recorded value of one",
        ),
        (
            "{name: a, kind: choice, title: T, options: {x: x, y: y}, protocol: unieval}",
            "the recorded values must be among Yes, No",
        ),
        ("{name: a, kind: text, title: Costs $x}", "must not contain $"),
        ("{name: a, kind: text, title: T, colour: red}", "questions.0.text.colour"),
        ("[]", "`kind` must be"),
    ],
)
def test_a_wrong_question_is_told_in_one_line(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"questions:\n  - {line}\n")
    run = write_run(tmp_path / "run", [played(0, spoken("Ahi", "Bho"))])
    ended = convogen("export", run, "--to", "argilla", "--out", tmp_path / "o", "--questions", path)
    assert ended.status == 2
    assert said in ended.complaint
    assert str(path) in ended.complaint


def test_two_questions_of_one_name_are_refused(tmp_path: Path) -> None:
    line = "  - {name: a, kind: text, title: T}\n"
    (tmp_path / "own.yaml").write_text(f"questions:\n{line}{line}")
    run = write_run(tmp_path / "run", [played(0, spoken("Ahi", "Bho"))])
    args = ("--to", "argilla", "--out", tmp_path / "o", "--questions", tmp_path / "own.yaml")
    assert "two questions have the name 'a'" in convogen("export", run, *args).complaint
    options = 'kind: choice, title: T, options: {"Yes": y, "No": n}, protocol: unieval}'
    lines = "".join(f"  - {{name: {name}, {options}\n" for name in "ab")
    (tmp_path / "own.yaml").write_text(f"questions:\n{lines}")
    assert "have the same protocol" in convogen("export", run, *args).complaint
