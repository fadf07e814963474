"""Import of answers from labelling tools: every export format, and errors in some of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, convogen
from export_runs import played, spoken, write_run
from hypothesis import given, settings
from hypothesis import strategies as st
from labelling_tools import (
    Answers,
    argilla_flat,
    argilla_nested,
    label_studio,
    label_studio_min,
)

from convogen.errors import SourceError
from convogen.labels import import_labels, read_labels

SHAPES: dict[str, tuple[str, Callable[[Answers], list[dict[str, Any]]]]] = {
    "label-studio JSON": ("label-studio", label_studio),
    "label-studio JSON-MIN": ("label-studio", label_studio_min),
    "argilla to_json": ("argilla", argilla_nested),
    "argilla flat": ("argilla", argilla_flat),
}

ANSWERS: Answers = {
    ("c-0", "7"): {"topic": 5, "artificial": "Yes", "comment": ["Odd.", "And <b>bold</b> \u2028"]},
    ("c-0", "8"): {"topic": 1, "artificial": "No"},
    ("c-1", "8"): {"overall": 3},
}


def exported(tmp_path: Path, tool: str, *options: object) -> Path:
    """Export three conversations, and return the folder."""
    run = tmp_path / "run"
    if not run.exists():
        write_run(run, [played(task, spoken("Ahi", "Bho")) for task in range(3)])
    out = tmp_path / f"out-{tool}"
    assert convogen("export", run, "--to", tool, "--out", out, *options).status == 0
    return out


def written(path: Path, data: object) -> Path:
    path.write_text(json.dumps(data), "utf-8")
    return path


def imported(tmp_path: Path, tool: str, data: object, *options: object) -> Ended:
    path = written(tmp_path / "answers.json", data)
    out = tmp_path / "labels.jsonl"
    return convogen("labels", "import", path, "--from", tool, "--out", out, *options)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_gives_the_same_labels(shape: str, tmp_path: Path) -> None:
    tool, export = SHAPES[shape]
    ended = imported(tmp_path, tool, export(ANSWERS), "--export", exported(tmp_path, tool))
    assert ended.status == 0, ended.err
    assert "6 labels by 2 annotators for 2 conversations" in ended.out
    labels = {
        (one.conversation, one.annotator, one.aspect): one.value or one.choice or one.comment
        for one in read_labels(tmp_path / "labels.jsonl")
    }
    assert labels == {
        ("c-0", "7", "topic"): 5.0,
        ("c-0", "7", "artificial"): "Yes",
        ("c-0", "7", "comment"): "Odd.\nAnd <b>bold</b>",
        ("c-0", "8", "topic"): 1.0,
        ("c-0", "8", "artificial"): "No",
        ("c-1", "8", "overall"): 3.0,
    }


def test_what_people_read_of_an_option_is_taken_for_it(tmp_path: Path) -> None:
    answers: Answers = {("c-0", "7"): {"artificial": "natural"}}
    found = import_labels(written(tmp_path / "a.json", label_studio_min(answers)), "label-studio")
    assert [(one.choice, one.protocol) for one in found.labels] == [("No", "unieval")]


def test_skipped_and_discarded_answers_are_left_out_and_counted(tmp_path: Path) -> None:
    skipped = label_studio(ANSWERS, cancelled="9")
    ended = imported(tmp_path, "label-studio", skipped, "--json")
    counts = json.loads(ended.out)
    assert (counts["labels"], counts["annotators"]) == (6, 2)
    assert counts["left_out"] == {"annotations skipped or cancelled": 2}
    discarded = argilla_flat(ANSWERS, discarded="7")
    counts = json.loads(imported(tmp_path, "argilla", discarded, "--json").out)
    assert (counts["labels"], counts["annotators"]) == (3, 1)
    assert counts["left_out"] == {"answers discarded or not submitted": 3}


def test_answers_that_may_have_been_discarded_are_told(tmp_path: Path) -> None:
    assert (
        "were discarded (6 answers affected)"
        in imported(tmp_path, "argilla", argilla_nested(ANSWERS)).err
    )
    for tool, data in (("argilla", argilla_flat(ANSWERS)), ("label-studio", label_studio(ANSWERS))):
        assert "discarded" not in imported(tmp_path, tool, data).err


def test_the_folder_of_to_disk_will_do(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    written(folder / "records.json", argilla_nested(ANSWERS))
    assert len(import_labels(folder, "argilla").labels) == 6


def test_scales_of_ones_own_are_read_from_the_export(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("questions: [{name: warmth, kind: rating, title: T, scale: [0, 3]}]")
    folder = exported(tmp_path, "label-studio", "--questions", own)
    answers = label_studio({("c-0", "7"): {"warmth": "0"}})  # there, a scale from 0 is a choice
    found = import_labels(written(tmp_path / "a.json", answers), "label-studio", folder)
    assert [one.value for one in found.labels] == [0.0]
    ended = imported(tmp_path, "label-studio", answers)
    assert "'warmth' is not one of the questions" in ended.complaint
    assert "--export FOLDER" in ended.complaint


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ({("c-9", "7"): {"topic": 5}}, "task 1: conversation 'c-9' was not exported"),
        ({("c-0", "7"): {"topic": 6}}, "task 1: topic: 6 by annotator '7' is not on the scale"),
        ({("c-0", "7"): {"topic": 0}}, "is not on the scale from 1 to 5"),
        ({("c-0", "7"): {"topic": "5.5"}}, "'5.5' by annotator '7' is not on the scale"),
        ({("c-0", "7"): {"artificial": "Maybe"}}, "is not an option; allowed: artificial, natural"),
        ({("c-0", "7"): {"artificial": 3}}, "artificial: 3 by annotator '7' is not an option"),
        ({("c-0", "7"): {"comment": 3}}, "comment: must be text"),
        ({("c-0", "7"): {"colour": 3}}, "'colour' is not one of the questions (topic, situation"),
    ],
)
def test_answers_that_are_none_are_told_in_one_line(
    answers: Answers, said: str, tmp_path: Path
) -> None:
    folder = exported(tmp_path, "label-studio")
    ended = imported(tmp_path, "label-studio", label_studio(answers), "--export", folder)
    assert ended.status == 2
    assert said in ended.complaint
    assert not (tmp_path / "labels.jsonl").exists()


def test_a_second_different_answer_of_one_person_is_refused(tmp_path: Path) -> None:
    one = label_studio({("c-0", "7"): {"topic": 5}})
    other = label_studio({("c-0", "7"): {"topic": 4}})
    assert "gave two different answers" in imported(tmp_path, "label-studio", one + other).complaint
    assert imported(tmp_path, "label-studio", one + one).status == 0


@pytest.mark.parametrize(
    ("tool", "data", "said"),
    [
        ("argilla", label_studio(ANSWERS), "record 1: not an Argilla record"),
        ("label-studio", argilla_nested(ANSWERS), "task 1: not an annotated Label Studio task"),
        ("label-studio", argilla_flat(ANSWERS), "task 1: not an annotated Label Studio task"),
        ("label-studio", {"tasks": []}, "must contain a list"),
        ("argilla", [], "contains no usable answers"),
        ("argilla", [1, "a", None], "record 1: not an Argilla record"),
        ("label-studio", [{"data": {}, "annotations": []}], "has no `conversation`"),
        ("argilla", [{"id": None, "fields": {}, "responses": {}}], "has no `id`"),
        (
            "argilla",
            [{"id": "c", "fields": {}, "responses": {"topic": [{"value": 3}]}}],
            "an answer has no `user_id`",
        ),
    ],
)
def test_a_file_of_another_kind_is_told_in_one_line(
    tool: str, data: object, said: str, tmp_path: Path
) -> None:
    ended = imported(tmp_path, tool, data)
    assert ended.status == 2
    assert said in ended.complaint


@pytest.mark.parametrize("content", [b"", b"[{", b"\xff\xfe[", b"[" * 100_000, b"PK\x03\x04"])
def test_a_broken_file_is_told_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "answers.json"
    path.write_bytes(content)
    out = tmp_path / "labels.jsonl"
    ended = convogen("labels", "import", path, "--from", "label-studio", "--out", out)
    assert ended.status == 2
    assert "is not JSON or is incomplete" in ended.complaint


def test_a_folder_of_another_tool_is_no_export_of_this_one(tmp_path: Path) -> None:
    folder = exported(tmp_path, "argilla")
    ended = imported(tmp_path, "label-studio", label_studio(ANSWERS), "--export", folder)
    assert "written by `convogen export --to label-studio`" in ended.complaint


def test_labels_replace_labels_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    out.write_text("mine\n")
    assert (
        "was not written by this command"
        in imported(tmp_path, "label-studio", label_studio(ANSWERS)).complaint
    )
    assert out.read_text() == "mine\n"
    out.unlink()
    for _ in range(2):
        assert imported(tmp_path, "label-studio", label_studio(ANSWERS)).status == 0


KEYS = (
    *("id", "data", "annotations", "completed_by", "result", "type", "value", "from_name"),
    *("conversation", "annotator", "annotation_id", "was_cancelled", "rating", "choices", "text"),
    *("fields", "responses", "user_id", "status", "_server_id"),
    *("topic", "topic.responses", "topic.responses.users"),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inside: (
        st.lists(inside, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inside, max_size=5)
    ),
    max_leaves=25,
)


@settings(max_examples=150, deadline=None)
@given(data=st.lists(json_values, max_size=3), tool=st.sampled_from(["argilla", "label-studio"]))
def test_any_json_is_read_or_refused(
    data: list[Any], tool: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("any") / "a.json", data)
    said, labels = "", []
    try:
        labels = import_labels(path, tool).labels
    except SourceError as error:
        said = str(error)
    assert "\n" not in said
    assert all(one.annotator and one.conversation for one in labels)
