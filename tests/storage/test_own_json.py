"""JSON files of convogen that were edited, or copied from another run, are reported in one line."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, convogen

from convogen import Experiment, run
from convogen.corpora.seeds import seed_dialogues
from convogen.errors import SourceError
from convogen.storage.run_folder import Run

SMALL = ("--set", "max_turns=2", "--set", "participants=2", "--model", "scripted")
JUDGE = ("--judge", "unieval", "--model", "scripted")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def finished() -> Iterator[Path]:
    """Make two runs of two conversations each, both judged."""
    folder = Path(tempfile.mkdtemp())
    for seed in (1, 2):
        small = {"n": 2, "seed": seed, "max_turns": 2, "participants": 2, "models": "scripted"}
        run(Experiment.load("demo", small), folder / f"run{seed}")
        assert convogen("evaluate", folder / f"run{seed}", *JUDGE).status == 0
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def copied(finished: Path) -> Path:
    shutil.copytree(finished / "run2", "other")
    return Path(shutil.copytree(finished / "run1", "run"))


def refused(ended: Ended, *words: object) -> None:
    assert ended.status == 2, ended.out
    for word in words:
        assert str(word) in ended.complaint


def change(path: Path, at: int = 0, drop: str | None = None, **update: Any) -> None:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    rows[at] |= update
    rows[at] = {key: value for key, value in rows[at].items() if key != drop}
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def test_json_of_ours_is_checked_for_what_is_in_it(copied: Path) -> None:
    manifest = json.loads((copied / "manifest.json").read_text())
    changes = (
        ("models", []),
        ("models", {"agent": "gpt"}),
        ("packages", 3),
        ("packages", None),
        ("experiment", "GPIS"),
        ("experiment", {**manifest["experiment"], "sources": None}),
        ("experiment", {**manifest["experiment"], "format": "three"}),
        ("fingerprint", None),
        ("replay_of", "x"),
        ("n", "many"),
    )
    commands = (("show", copied), ("report", copied), ("evaluate", copied), ("stats", copied))
    for key, value in changes:
        (copied / "manifest.json").write_text(json.dumps({**manifest, key: value}))
        for command in (*commands, ("run", "demo", *SMALL, "--out", copied)):
            refused(convogen(*command), "manifest.json", key)


@pytest.mark.parametrize(
    ("key", "value"),
    [("fingerprint", None), ("judged_by", []), ("judged_by", {"model": 3}), ("price", "free")],
)
def test_a_manifest_of_scores_is_checked_for_what_is_in_it(
    copied: Path, key: str, value: Any
) -> None:
    path = copied / "scores/unieval/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    for command in (("show", copied), ("report", copied), ("evaluate", copied, *JUDGE)):
        ended = convogen(*command)
        assert ended.status == 2
        assert f"scores/unieval/manifest.json: was not written by convogen: {key}" in ended.err
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("drop", ["role", "model"])
def test_a_row_of_the_ledger_without_a_key_is_named(copied: Path, drop: str) -> None:
    change(copied / "ledger.jsonl", 1, drop=drop)
    refused(convogen("show", copied), "ledger.jsonl", drop)


@pytest.mark.parametrize(
    "update", [{"prompt_tokens": "9"}, {"completion_tokens": -1}, {"seconds": None}, {"role": 5}]
)
def test_a_row_of_the_ledger_of_another_type_is_named(copied: Path, update: Any) -> None:
    change(copied / "scores/unieval/ledger.jsonl", **update)
    refused(convogen("report", copied), "ledger.jsonl", *update)


@pytest.mark.parametrize(
    "row",
    [
        {"key": "k.1", "text": "Hi"},
        {"key": "k.1", "text": "Hi", "call": {}},
        {"key": "k.1", "text": 5, "call": {"role": "agent", "model": "m"}},
        {"key": "k.1", "fault": "none", "call": {"role": "agent", "model": "m"}},
        {"key": "k.1", "call": {"role": "agent", "model": "m", "lost_attempts": "two"}},
    ],
)
def test_a_row_of_a_journal_is_checked_for_what_is_in_it(copied: Path, row: Any) -> None:
    (copied / "journal/00000002.jsonl").write_text(json.dumps(row) + "\n")
    kept = (copied / "conversations.jsonl").read_bytes()
    ended = convogen("run", "demo", *SMALL, "--set", "seed=1", "--n", "3", "--out", copied)
    refused(ended, "00000002.jsonl", "damaged")
    assert (copied / "conversations.jsonl").read_bytes() == kept


def test_an_experiment_without_its_methods_keys_is_told(copied: Path) -> None:
    (copied / "experiment.yaml").write_text("seeds: seeds.jsonl\n")
    with pytest.raises(SourceError, match="min_utterances must be a number"):
        seed_dialogues(Run(copied))


def test_scores_of_another_run_are_not_shown_as_its_own(copied: Path) -> None:
    """This holds for every command that reads scores."""
    theirs = "other/scores/unieval.jsonl"
    shutil.copy(theirs, copied / "scores")
    verdicts = ("verdicts", "--protocol", "unieval")
    for command in (
        ("evaluate", copied),
        ("evaluate", copied, *JUDGE),
        (*verdicts, copied),
        (*verdicts, copied / "scores/unieval.jsonl"),
        ("agreement", "--protocol", "unieval", copied, "other"),
    ):
        ended = convogen(*command)
        assert ended.status == 2, command
        assert "the conversation is not in this run" in ended.err
    assert convogen(*verdicts, theirs).status == 0
    (copied / "scores/unieval.jsonl").unlink()
    shutil.copy(theirs, "alone.jsonl")
    assert convogen(*verdicts, "alone.jsonl").status == 0


def test_grades_of_another_run_are_not_shown_as_its_own(copied: Path) -> None:
    graded = ("evaluate", "other", "--judge", "geval", "--model", "scripted")
    assert convogen(*graded).status == 0
    shutil.copytree("other/scores/geval", copied / "scores/geval")
    shutil.copy("other/scores/geval.jsonl", copied / "scores")
    for command in ("evaluate", "report"):
        refused(convogen(command, copied), "the conversation is not in this run")


def test_labels_by_people_that_contradict_each_other_are_refused(copied: Path) -> None:
    rows = [{"row": 1, "choice": "Yes"}, {"row": 2, "choice": "No"}, {"row": 1, "choice": "No"}]
    name = json.loads((copied / "scores/unieval.jsonl").read_text().splitlines()[0])["conversation"]
    human = Path("human.jsonl")
    compare = ("agreement", "--protocol", "unieval", copied, "--human", human)
    for last in (rows[2], {"conversation": name, "choice": "No"}):
        human.write_text("".join(json.dumps(row) + "\n" for row in (*rows[:2], last)))
        refused(convogen(*compare), "human.jsonl line 3", "contradicts")
    human.write_text("".join(json.dumps(row) + "\n" for row in (*rows[:2], rows[0])))
    assert convogen(*compare).status == 0
    for empty in ("", "\n\n", '{"row": 1}\n'):
        human.write_text(empty)
        refused(convogen(*compare), "human.jsonl: contains no labels")


def test_verdicts_that_contradict_each_other_are_refused() -> None:
    row = {"conversation": "c-1", "judge": "unieval", "aspect": "human_like"}
    rows = [{**row, "choice": "Yes"}, {**row, "choice": "No"}]
    Path("v.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    refused(convogen("verdicts", "v.jsonl", "--protocol", "unieval"), "'c-1'", "contradict")


def test_a_damaged_row_is_refused_by_every_command_that_reads_a_run(copied: Path) -> None:
    path = copied / "conversations.jsonl"
    first, last = path.read_text("utf-8").splitlines()
    path.write_text(f"{first}\n{last.replace('turns', 'talk')}\n", "utf-8")
    for command in ("show", "report", "evaluate", "stats"):
        ended = convogen(command, copied)
        assert ended.status == 2, command
        assert "run:2:" in ended.complaint or "conversations.jsonl line 2" in ended.complaint
    refused(convogen("stats", "other", "--against", copied), "run:2:")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--field", "topic=nope"), ["no usable topic label in nope", "data: topic, summary"]),
        (("--field", "intent=topic", "--label", "topic"), ["--label intent"]),
        (("--field", "emotion=topic"), ["no usable emotion label in topic"]),
    ],
)
def test_a_field_that_augment_cannot_use_is_refused(
    options: tuple[str, ...], words: list[str]
) -> None:
    talk = [{"speaker": "ab"[at % 2], "text": f"That is {at}."} for at in range(4)]
    labels = ({"topic": topic, "summary": "x"} for topic in ("tea", "snow", "tea"))
    rows = [{"turns": talk, "context": one} for one in labels]
    Path("own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    ended = convogen("augment", "own.jsonl", "--model", "scripted", "--n", "1", *options)
    refused(ended, *words)
    assert not Path("runs").exists()
