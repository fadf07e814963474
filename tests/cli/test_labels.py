"""The round trip of labelling: export, import of people's labels, and comparison with judges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, convogen
from labelling_tools import Answers, argilla_flat, argilla_nested, label_studio, label_studio_min

from convogen import Experiment, run
from convogen.records import Score
from convogen.storage.run_folder import load_run

KRIPPENDORFF = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Ratings of twelve units by four observers (Krippendorff, 2011); the ordinal alpha is 0.815."""

JUDGED = "NNNNNNNNYYYY"
NATURAL = "NNNNNNYYYYYN"
"""Verdicts per conversation: whether the judge and whether people detected a machine.

The judge passes 8 of 12 conversations. It passes 6 of the 7 that people pass, and detects 3 of the
5 that people do not pass. The rate of Rogan and Gladen is therefore (8/12 + 3/5 - 1) / (6/7 + 3/5 -
1) = 7/12.
"""

SHAPES: dict[str, tuple[str, Callable[[Answers], list[dict[str, Any]]]]] = {
    "JSON": ("label-studio", label_studio),
    "JSON-MIN": ("label-studio", label_studio_min),
    "to_json": ("argilla", argilla_nested),
    "flat": ("argilla", argilla_flat),
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run of twelve conversations for which a judge's verdicts are known."""
    folder = tmp_path_factory.mktemp("labelled") / "run"
    settings = {"n": 12, "models": "scripted", "max_turns": 3}
    run(Experiment.load("GPFS-s", settings), folder)
    beside = folder / "scores" / "unieval"
    beside.mkdir(parents=True)
    by = {"fingerprint": "f", "judged_by": {"judge": "unieval", "model": "a-judge"}}
    (beside / "manifest.json").write_text(json.dumps(by))
    rows = [
        Score(
            conversation=conversation,
            judge="unieval",
            aspect="human_like",
            value=float(said == "N"),
            choice="No" if said == "N" else "Yes",
        )
        for conversation, said in zip(ids(folder), JUDGED, strict=True)
    ]
    beside.with_suffix(".jsonl").write_bytes(b"".join(row.to_line() for row in rows))
    return folder


def ids(folder: Path) -> list[str]:
    return [one.id for one in load_run(folder).conversations()]


def answers(folder: Path) -> Answers:
    """Return published ratings by four annotators, three of whom also judge artificiality.

    The third annotator always contradicts the other two and is outvoted.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for annotator, row in enumerate(KRIPPENDORFF, 1):
        for conversation, cell in zip(ids(folder), row.split(), strict=True):
            found[conversation, f"{annotator}"] = {"topic": int(cell)} if cell != "." else {}
    opposite = {"Yes": "No", "No": "Yes"}
    for conversation, said in zip(ids(folder), NATURAL, strict=True):
        truth = "No" if said == "N" else "Yes"
        for annotator in ("1", "2", "3"):
            choice = opposite[truth] if annotator == "3" else truth
            found[conversation, annotator]["artificial"] = choice
    return found


def round_trip(generated: Path, folder: Path, shape: str) -> Path:
    """Return the labels after a round trip through a tool with this export format."""
    tool, export = SHAPES[shape]
    out, labels = folder / "out", folder / "LABELS.jsonl"
    assert convogen("export", generated, "--to", tool, "--out", out).status == 0
    sent = {"argilla": "records.json", "label-studio": "tasks.json"}[tool]
    known = json.loads((out / sent).read_text())
    assert [one.get("id") or one["data"]["conversation"] for one in known] == ids(generated)
    (folder / "answers.json").write_text(json.dumps(export(answers(generated))))
    args = ("--from", tool, "--out", labels, "--export", out)
    ended = convogen("labels", "import", folder / "answers.json", *args)
    assert ended.status == 0, ended.err
    return labels


def agreement(*args: object) -> Ended:
    ended = convogen("agreement", *args)
    assert ended.status == 0, ended.err
    return ended


@pytest.mark.parametrize("shape", SHAPES)
def test_answers_find_their_way_back_and_the_numbers_are_right(
    shape: str, generated: Path, tmp_path: Path
) -> None:
    labels = round_trip(generated, tmp_path, shape)
    found = json.loads(agreement(labels, "--protocol", "scores", "--json").out)
    [group] = found["agreement"]
    assert group["judges"] == [f"annotator {code}" for code in "1234"]
    [topic] = group["aspects"]
    assert (topic["aspect"], topic["level"], topic["n"]) == ("topic", "ordinal", 11)
    assert topic["krippendorff_alpha"]["value"] == pytest.approx(0.815, abs=5e-4)

    judge = generated / "scores/unieval.jsonl"
    args = (judge, "--protocol", "unieval", "--human", labels)
    [calibrated] = json.loads(agreement(*args, "--json").out)["calibration"]
    assert (calibrated["n"], calibrated["labels"], calibrated["tied"]) == (12, 12, 0)
    assert calibrated["rate"]["value"] == pytest.approx(100 * 8 / 12)
    assert calibrated["agreed"] == pytest.approx(9 / 12)
    assert calibrated["rogan_gladen"]["value"] == pytest.approx(100 * 7 / 12)
    assert "58.33" in agreement(*args).out


def test_people_are_compared_with_a_judge_as_judges(generated: Path, tmp_path: Path) -> None:
    labels = round_trip(generated, tmp_path, "JSON")
    judge = generated / "scores/unieval.jsonl"
    args = (judge, f"people={labels}", "--protocol", "unieval", "--json")
    [group] = json.loads(agreement(*args).out)["agreement"]
    assert (group["dialogues"], group["n"]) == ("run", 12)
    assert group["judges"] == ["a-judge", "people 1", "people 2", "people 3"]
    shares = {tuple(pair["judges"]): pair["share"]["value"] for pair in group["pairs"]}
    assert shares["people 1", "people 2"] == 1
    assert shares["people 2", "people 3"] == 0
    assert shares["a-judge", "people 1"] == pytest.approx(9 / 12)


def test_ratings_of_people_and_of_a_judge_of_the_same_aspects_are_compared(
    generated: Path, tmp_path: Path
) -> None:
    labels = round_trip(generated, tmp_path, "JSON")
    geval = tmp_path / "geval.jsonl"
    rows = [
        Score(conversation=conversation, judge="geval", aspect="topic", value=float(cell))
        for conversation, cell in zip(ids(generated), KRIPPENDORFF[3].split()[:11], strict=False)
        if cell != "."
    ]
    geval.write_bytes(b"".join(row.to_line() for row in rows))
    args = (f"model,run={geval}", labels, "--protocol", "scores", "--json")
    [group] = json.loads(agreement(*args).out)["agreement"]
    assert group["dialogues"] == "run"
    assert group["judges"] == ["model", *(f"annotator {code}" for code in "1234")]


def labelled(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def choice(conversation: str, annotator: str, said: str, **more: Any) -> dict[str, Any]:
    row = {"conversation": conversation, "annotator": annotator, "aspect": "artificial"}
    return {**row, "protocol": "unieval", "choice": said, **more}


def test_a_tie_is_no_label_and_is_counted(generated: Path, tmp_path: Path) -> None:
    first, second = ids(generated)[:2]
    labels = labelled(
        tmp_path / "L.jsonl",
        choice(first, "1", "Yes"),
        choice(first, "2", "No"),
        choice(second, "1", "No"),
    )
    judge = generated / "scores/unieval.jsonl"
    args = (judge, "--protocol", "unieval", "--human", labels)
    [calibrated] = json.loads(agreement(*args, "--json").out)["calibration"]
    assert (calibrated["labels"], calibrated["tied"]) == (1, 1)
    assert "1 tied" in " ".join(agreement(*args).out.split())


def test_labels_join_the_set_of_the_judges_only_if_it_is_one(tmp_path: Path) -> None:
    labels = labelled(tmp_path / "L.jsonl", choice("c", "1", "No"), choice("c", "2", "No"))
    verdict = {"conversation": "c", "judge": "unieval", "choice": "No"}
    judged = [labelled(tmp_path / f"{name}.jsonl", verdict) for name in "ab"]
    sources = [f"judge-{path.stem},{path.stem}={path}" for path in judged]
    for chosen, sets in ((sources[:1], {"a": 3}), (sources, {"": 2})):
        found = json.loads(agreement(*chosen, labels, "--protocol", "unieval", "--json").out)
        groups = {group["dialogues"]: len(group["judges"]) for group in found["agreement"]}
        assert groups == sets
    named = f"people,b={labels}"
    found = json.loads(agreement(*sources, named, "--protocol", "unieval", "--json").out)
    assert [group["dialogues"] for group in found["agreement"]] == ["b"]


@pytest.mark.parametrize(
    ("row", "protocol", "said"),
    [
        (choice("c", "1", "No"), "scores", "contains no ratings"),
        (choice("c", "1", "No"), "gteval", "contains no choices for the gteval protocol"),
        (choice("c", "1", "No", surprise=1), "scores", "a human label: surprise: is not a known"),
        (choice("c", "1", "Perhaps"), "unieval", "the unieval protocol must be one of Yes, No"),
        (choice("c", "1", "No", value=3), "unieval", "must have exactly one of value"),
    ],
)
def test_labels_that_do_not_fit_are_told_in_one_line(
    row: dict[str, Any], protocol: str, said: str, generated: Path, tmp_path: Path
) -> None:
    labels = labelled(tmp_path / "L.jsonl", row)
    assert said in convogen("agreement", labels, "--protocol", protocol).complaint


def test_contradicting_labels_of_one_person_are_refused(tmp_path: Path) -> None:
    labels = labelled(tmp_path / "L.jsonl", choice("c", "1", "No"), choice("c", "1", "Yes"))
    ended = convogen("agreement", labels, "--protocol", "unieval")
    assert "line 2: contradicts an earlier label for 'c' by annotator '1'" in ended.complaint
    judge = labelled(tmp_path / "v.jsonl", {"choice": "No"})
    ended = convogen("agreement", judge, "--protocol", "unieval", "--human", labels)
    assert "contradicts an earlier label" in ended.complaint
