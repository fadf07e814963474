"""`convogen evaluate --judge unieval`, `agreement` and `arena` from a user's point of view."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen

from convogen import Experiment, run

JUDGED = Path(__file__).parents[3] / "shared/data/dialogueforge/judgements"
REAL = "oasst1_en_min_6_turns_summary.jsonl"


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judges")
    for name in ("GPFS-s", "GPIS-s"):
        chosen = Experiment.load(name, {"n": 3, "models": "scripted", "max_turns": 4})
        run(chosen, folder / name)
    return folder


@pytest.fixture
def folder(generated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(generated, tmp_path / "runs"))


def verdicts(path: Path, marks: str) -> Path:
    """Write verdicts: `+` is a pass, and a blank is a missing verdict."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for at, mark in enumerate(marks):
        row = {"conversation": f"c{at}", "judge": "unieval", "aspect": "human_like"}
        rows.append(row | ({} if mark == " " else {"choice": "No" if mark == "+" else "Yes"}))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_run_and_a_corpus_are_judged(folder: Path, tmp_path: Path) -> None:
    source = folder / "GPFS-s"
    evaluated = ("evaluate", source, "--model", "scripted", "--judge")
    assert convogen(*evaluated, "unieval").status == 0
    real = ("--real", folder / "GPFS-s/conversations.jsonl")
    ended = convogen(*evaluated, "gteval", *real, "--set", "order=fixed")
    assert ended.status == 0, ended.err
    assert "unieval: dialogues judged as human, %" in ended.out
    assert "gteval: dialogues not identified" in ended.out
    ended = convogen(*evaluated, "unieval", "--out", tmp_path / "out", "--json")
    [report] = json.loads(ended.out)["runs"]
    found = report["verdicts"]["unieval"]
    assert (found["n"], found["model"], found["missing"]) == (3, "scripted", 0)
    assert found["rate"] == pytest.approx(100 * found["counts"]["No"] / 3)
    rows = [(tmp_path / "out/GPFS-s/scores/unieval.jsonl"), source / "scores/unieval.jsonl"]
    assert [path.read_text().count('"choice"') for path in rows] == [3, 3]
    counted = convogen("verdicts", source, "--protocol", "gteval", "--json")
    assert [row["n"] for row in json.loads(counted.out)] == [3]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--judge", "gteval"), "give a corpus of real dialogues with --real"),
        (("--judge", "gteval", "--real", "nowhere.jsonl"), "no such file"),
        (("--judge", "gteval", "--set", "order=random"), "judge gteval: order: "),
        (("--judge", "unieval", "--set", "surprise=1"), "surprise: is not a known key"),
        (("--set", "reasks=1"), "require --judge"),
    ],
)
def test_mistakes(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = convogen("evaluate", folder / "GPFS-s", "--model", "scripted", *arguments)
    assert ended.status == 2
    assert said in ended.err
    assert not (folder / "GPFS-s" / "scores").exists()


@pytest.mark.skipif(not JUDGED.exists(), reason="the DialogueForge verdicts are missing")
def test_two_judges_of_the_real_dialogues(tmp_path: Path) -> None:
    """The expected values were computed with scikit-learn."""
    human = tmp_path / "human.jsonl"
    human.write_text("".join(f'{{"row": {at}, "choice": "No"}}\n' for at in range(5, 45)))
    ended = convogen(
        "agreement",
        *(JUDGED / judge / "uni_eval" / REAL for judge in ("claude", "gpt-4o")),
        *("--protocol", "unieval", "--human", human, "--json"),
    )
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    [group] = found["agreement"]
    [pair] = group["pairs"]
    assert (group["n"], pair["judges"]) == (413, ["claude", "gpt-4o"])
    assert pair["share"]["value"] == pytest.approx(0.8595641646489)
    kappa = pair["cohen_kappa"]
    assert kappa["value"] == pytest.approx(0.3308938547)
    assert kappa["low"] < 0.33 < kappa["high"]
    assert group["krippendorff_alpha"]["value"] < kappa["value"]
    assert {one["judge"]: one["labels"] for one in found["calibration"]} == {
        "claude": 40,
        "gpt-4o": 40,
    }


def test_two_judges_by_hand(tmp_path: Path) -> None:
    """Of 40 dialogues, 20 pass both judges, 10 fail both, and each judge alone passes 5 more.

    The judges agree on 0.75. Chance agreement is (25 × 25 + 15 × 15)/40² = 0.53125, so kappa is
    (0.75 - 0.53125)/(1 - 0.53125) = 7/15. Of the 80 verdicts, 50 are passes, so for alpha the
    expected agreement is (50 × 49 + 30 × 29)/(80 × 79), and alpha is 1 - 0.25/(1 - 3320/6320) =
    0.47333.
    """
    first = verdicts(tmp_path / "one" / "unieval" / "d.jsonl", "+" * 25 + "-" * 15)
    other = verdicts(
        tmp_path / "two" / "unieval" / "d.jsonl", "+" * 20 + "-" * 5 + "+" * 5 + "-" * 10
    )
    human = tmp_path / "human.jsonl"
    human.write_text("".join(f'{{"row": {at}, "choice": "No"}}\n' for at in range(1, 31)))
    ended = convogen("agreement", first, other, "--protocol", "unieval", "--human", human, "--json")
    assert ended.status == 0, ended.err
    found = json.loads(ended.out)
    [group] = found["agreement"]
    [pair] = group["pairs"]
    assert (group["n"], group["dialogues"], pair["judges"]) == (40, "d", ["one", "two"])
    assert pair["share"]["value"] == 0.75
    kappa = pair["cohen_kappa"]
    assert kappa["value"] == pytest.approx(7 / 15)
    assert kappa["low"] < 7 / 15 < kappa["high"]
    assert group["krippendorff_alpha"]["value"] == pytest.approx(1 - 0.25 / (1 - 3320 / 6320))
    told = {one["judge"]: (one["labels"], one["agreed"]) for one in found["calibration"]}
    assert told == {"one": (30, 25 / 30), "two": (30, 25 / 30)}
    assert [one["rate"]["value"] for one in found["calibration"]] == [62.5, 62.5]


def test_a_judge_that_favours_its_own(tmp_path: Path) -> None:
    """A lenient judge and a good model do not count as a preference; only the excess over both
    does."""
    marks = {
        ("biased", "own"): "+" * 20,
        ("biased", "other"): "+" * 10 + "-" * 10,
        ("fair", "own"): "+" * 10 + "-" * 10,
        ("fair", "other"): "+" * 10 + "-" * 10,
        ("harsh", "own"): "+" * 4 + "-" * 16,
        ("harsh", "other"): "+" * 4 + "-" * 16,
    }
    files = [
        verdicts(tmp_path / judge / "unieval" / f"{data}.jsonl", text)
        for (judge, data), text in marks.items()
    ]
    own = ("--own", "biased=own", "--own", "harsh=own")
    ended = convogen("agreement", *files, "--protocol", "unieval", *own, "--json")
    biased, harsh = json.loads(ended.out)["self_preference"]
    assert biased["compared_with"] == ["fair", "harsh"]
    assert biased["points"]["value"] == pytest.approx(50)
    assert 0 < biased["points"]["low"] < 50 < biased["points"]["high"]
    assert harsh["points"]["value"] == pytest.approx(-25)
    assert "Self-preference" in convogen("agreement", *files, "--protocol", "unieval", *own).out
    ended = convogen("agreement", files[0], "--protocol", "unieval", "--own", "biased=own")
    assert "verdicts on own and on another set" in ended.complaint


def test_a_dialogue_without_a_verdict_is_left_out_of_agreement(tmp_path: Path) -> None:
    files = [verdicts(tmp_path / "a.jsonl", "++--+ "), verdicts(tmp_path / "b.jsonl", "++--  ")]
    named = [f"{path.stem},d={path}" for path in files]
    [group] = json.loads(convogen("agreement", *named, "--protocol", "unieval", "--json").out)[
        "agreement"
    ]
    assert (group["judges"], group["n"]) == (["a", "b"], 6)
    assert group["pairs"][0]["cohen_kappa"]["value"] == pytest.approx(1)


def test_files_that_cannot_be_compared(tmp_path: Path) -> None:
    for name, n in (("a", 3), ("b", 4)):
        (tmp_path / f"{name}.jsonl").write_text('{"choice": "No"}\n' * n)
    files = sorted(tmp_path.iterdir())
    ended = convogen("agreement", *files, "--protocol", "unieval")
    assert "different numbers of verdicts ([3, 4])" in ended.complaint
    assert "nothing to compare" in convogen("agreement", files[0], "--protocol", "unieval").err
    labels = tmp_path / "labels.jsonl"
    for text, said in (
        ("No", "line 1: not a label"),
        ('{"row": 9, "choice": "No"}', "label for the dialogue 9"),
    ):
        labels.write_text(text)
        ended = convogen("agreement", files[0], "--protocol", "unieval", "--human", labels)
        assert said in ended.complaint


def test_labels_are_of_one_set_of_dialogues_that_is_there(tmp_path: Path) -> None:
    files = [verdicts(tmp_path / "a" / "unieval" / f"{name}.jsonl", "++-") for name in "xy"]
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"row": 1, "choice": "No"}')
    agreement = ("agreement", *files, "--protocol", "unieval", "--json", "--human")
    ended = convogen(*agreement, f"nosuch={labels}")
    assert ended.status == 2
    assert "no verdicts on 'nosuch'; choose another set (found: x, y)" in ended.complaint
    assert "specify the set with --human DIALOGUES=FILE" in convogen(*agreement, labels).complaint
    found = json.loads(convogen(*agreement, f"y={labels}").out)
    assert [one["dialogues"] for one in found["calibration"]] == ["y"]


def test_a_judge_has_dialogues_of_its_own_once(tmp_path: Path) -> None:
    files = [verdicts(tmp_path / "a" / "unieval" / f"{name}.jsonl", "++-") for name in "xy"]
    own = ("--own", "a=x", "--own", "a=y")
    ended = convogen("agreement", *files, "--protocol", "unieval", *own)
    assert ended.status == 2
    assert "the dialogues of a are already set to x" in ended.err


def test_a_corpus_has_no_real_dialogues_of_its_own(tmp_path: Path) -> None:
    source = tmp_path / "corpus.jsonl"
    source.write_text(json.dumps({"turns": [{"speaker": "a", "text": "Hello"}]}) + "\n")
    judge = ("--judge", "gteval", "--model", "scripted", "--out", tmp_path / "jj")
    ended = convogen("evaluate", source, *judge)
    assert ended.status == 2
    assert "give a corpus of real dialogues with --real" in ended.complaint


def test_the_arena_goes_on_and_pays_for_nothing_twice(folder: Path, tmp_path: Path) -> None:
    runs = (folder / "GPFS-s", folder / "GPIS-s")
    arena = ("--model", "scripted", "--out", tmp_path / "arena")
    first = json.loads(convogen("arena", *runs, *arena, "--n", 2, "--json").out)
    assert sum(first["matches"][0][key] for key in ("wins", "losses", "ties")) == 2
    [pair] = (tmp_path / "arena").iterdir()
    calls = (pair / "scores/arena/calls.jsonl").read_bytes()
    ended = convogen("arena", *reversed(runs), *arena)
    assert ended.status == 0, ended.err
    for text in ("Ranking", "GPFS-s", "GPIS-s"):
        assert text in ended.out
    more = (pair / "scores/arena/calls.jsonl").read_bytes()
    assert more.startswith(calls)
    assert more.count(b"\n") == 3
    source = tmp_path / "third.jsonl"
    source.write_text(json.dumps({"turns": [{"speaker": "a", "text": "Hello"}]}) + "\n")
    found = json.loads(convogen("arena", *runs, source, *arena, "--json").out)
    assert [len(found[key]) for key in ("ratings", "matches")] == [3, 3]
    assert (pair / "scores/arena/calls.jsonl").read_bytes() == more
    assert "two or more sources" in convogen("arena", runs[0], *arena).err
    copy = Path(shutil.copytree(runs[0], tmp_path / "copy"))
    assert "the same dialogues" in convogen("arena", runs[0], copy, *arena).complaint
