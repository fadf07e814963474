"""Exports from a user's point of view: equal content, splits, perspectives, cards, and
atomicity."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml
from command_line import convogen, forked_process, python_process
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.errors import SourceError
from convogen.exports import Item, parse_splits
from convogen.exports.licences import Licences
from convogen.exports.splits import split_of
from convogen.records import Conversation, Experience, Failure, Label, Persona, Score, Starter, Turn

HOSTILE = [
    "=1+1",
    "None",
    "NA",
    "2024-01-01",
    '"quoted", and\nin\r\ntwo lines',
    "| # **bold** <script>alert(1)</script> | `x` --- \n---\n",
    "{{ 7 * 7 }} {% raw %}",
    "\u2028 \u00a0 \U0001f40d \x1b[31m",
    "http://someone:s3cret-word@example.org/?key=s3cret-key",
    "",
]
PERSON = {"Ada Bo": ("hf:some/hub", "CC-BY-NC-SA-4.0"), "|Eve|": ("mine.jsonl", None)}


def conversation(task: int) -> Conversation:
    turns = [Turn(speaker=list(PERSON)[at % 2], text=text) for at, text in enumerate(HOSTILE)]
    context = {"topic": HOSTILE[5], "situation": f"place {task}", "turns": 3, "odd": {"a": [task]}}
    return Conversation(
        id=f"c-{task}",
        task=task,
        method="convogen",
        experience=f"e-{task}",
        participants=[*PERSON, "Silent"],
        context=context,
        turns=turns,
        ended="max_turns",
    )


def experience(task: int, situation: str | None = None) -> Experience:
    personas = [
        Persona(name=name, text=f"{name} bakes.", source=source, licence=licence)
        for name, (source, licence) in PERSON.items()
    ]
    return Experience(
        id=f"e-{task}",
        task=task,
        personas=personas,
        relations="friends",
        situation=situation or f"place {task}",
        topic=HOSTILE[5],
        starter=Starter(speaker="Ada Bo", text=HOSTILE[0]),
    )


def write_run(folder: Path, n: int = 6) -> Path:
    (folder / "scores").mkdir(parents=True)
    manifest = {
        "name": "hostile",
        "fingerprint": "0123456789abcdef",
        "complete": True,
        "models": {
            "agent": {
                "name": "/srv/models/llama.gguf",
                "kind": "endpoint",
                "base_url": "http://in.house.example:8000/v1",
            }
        },
        "experiment": {"method": "convogen", "prompts": {"agent": "e72de8db98c16da9"}, "seed": 0},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    failure = Failure(id="f-9", task=n, stage="experience", kind="no_json", message="no")
    scores = [Score(conversation="c-0", judge="geval", aspect="topic", value=4.5)]
    rows = {
        "conversations": [conversation(task) for task in range(n)],
        "experiences": [experience(task) for task in range(n)],
        "failures": [failure],
        "scores/geval": scores,
    }
    for name, records in rows.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(record.to_line() for record in records))
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("hostile") / "run")


def export(run: Path, out: Path, to: str, *more: str) -> None:
    ended = convogen("export", run, "--to", to, "--out", out, *more)
    assert ended.status == 0, ended.err


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


@pytest.mark.parametrize("to", ["jsonl", "parquet", "hf"])
def test_content_is_equal_whatever_it_is(to: str, hostile: Path, tmp_path: Path) -> None:
    export(hostile, tmp_path / "out", to, "--with", "personas,scores")
    found: Any = (
        datasets.load_from_disk(str(tmp_path / "out"))
        if to == "hf"
        else datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    )
    rows = list(found["train"])
    assert len(rows) == 6
    for task, row in enumerate(rows):
        original = conversation(task)
        assert [Turn(**turn) for turn in row["turns"]] == original.turns
        assert row["participants"] == original.participants
        assert row["topic"] == HOSTILE[5]
        assert row["context_turns"] == "3"
        assert json.loads(row["odd"]) == {"a": [task]}
        assert row["personas"][0]["licence"] == "CC-BY-NC-SA-4.0"
    assert [score["value"] for score in rows[0]["scores"]] == [4.5]
    assert rows[1]["scores"] == []


def test_csv_is_a_turn_a_row_and_loads_back_equal(hostile: Path, tmp_path: Path) -> None:
    export(hostile, tmp_path / "out", "csv", "--with", "personas")
    path = tmp_path / "out" / "data" / "train.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    safe = ["'=1+1", *HOSTILE[1:]]
    assert [row["text"] for row in rows] == safe * 6
    assert json.loads(rows[0]["personas"])[0]["name"] == "Ada Bo"
    loaded: Any = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert [row["turn"] for row in loaded["train"]] == [*range(1, 11)] * 6
    assert [row["text"] for row in loaded["train"]] == safe * 6
    (first, *_) = open_corpus(path, strict=True)
    assert [(turn.speaker, turn.text) for turn in first.turns] == [
        (turn.speaker, turn.text) for turn in conversation(0).turns
    ]
    assert first.participants == conversation(0).participants


@pytest.mark.parametrize("to", ["jsonl", "parquet", "csv"])
def test_labels_that_a_model_gave_are_columns(to: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", n=2)
    emotions = [f"mood {at}" for at in range(len(HOSTILE))]
    labelled = {
        "topic": Label(value="found", planned=HOSTILE[5], check="chosen"),
        "emotion": Label(value=emotions, check="one a turn"),
    }
    first = conversation(0).model_copy(update={"labelled": labelled})
    lines = first.to_line() + conversation(1).to_line()
    (run / "conversations.jsonl").write_bytes(lines)
    export(run, tmp_path / "out", to)
    loaded: Any = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    rows = list(loaded["train"])
    assert (rows[0]["topic"], rows[0]["label_topic"]) == (HOSTILE[5], "found")
    assert not rows[-1]["label_topic"], "the last conversation has no label"
    if to == "csv":
        assert [row["label_emotion"] for row in rows[: len(HOSTILE)]] == emotions
    else:
        assert [row["label_emotion"] for row in rows] == [emotions, None]
    assert "label_topic" in (tmp_path / "out" / "README.md").read_text().replace("\\", "")


def test_one_perspective_and_nobody_of_that_name(hostile: Path, tmp_path: Path) -> None:
    export(hostile, tmp_path / "out", "messages", "--perspective", "|Eve|")
    rows = rows_of(tmp_path / "out" / "data" / "train.jsonl")
    assert {row["perspective"] for row in rows} == {"|Eve|"}
    first = rows[0]["messages"]
    assert [message["role"] for message in first[:3]] == ["system", "user", "assistant"]
    assert "|Eve| bakes." in first[0]["content"]
    assert first[1] == {"role": "user", "content": "Ada Bo: =1+1", "name": "Ada_Bo"}
    assert first[2]["content"] == "None"
    args = ("--to", "messages", "--perspective", "Nobody", "--out", tmp_path / "other")
    ended = convogen("export", hostile, *args)
    assert ended.status == 2
    assert "'Nobody'" in ended.complaint
    assert "'Ada Bo'" in ended.complaint
    assert not (tmp_path / "other").exists()


def test_each_perspective_without_merging_reads_back_as_it_was(
    hostile: Path, tmp_path: Path
) -> None:
    export(hostile, tmp_path / "out", "messages", "--no-merge", "--no-system")
    found = list(open_corpus(tmp_path / "out" / "data" / "train.jsonl", strict=True))
    assert len(found) == 12
    for one in found:
        assert [turn.text for turn in one.turns] == HOSTILE


def test_trl_takes_the_messages(hostile: Path, tmp_path: Path) -> None:
    data_utils: Any = pytest.importorskip("trl.data_utils", reason="TRL is not installed")
    export(hostile, tmp_path / "out", "messages")
    found: Any = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert len(found["train"]) == 12
    assert all(data_utils.is_conversational(row) for row in found["train"])


@settings(max_examples=50)
@given(st.text(min_size=1), st.integers(0, 1000), st.integers(0, 5))
def test_a_split_depends_on_the_experience_alone(text: str, task: int, seed: int) -> None:
    shares = parse_splits("train=0.8,validation=0.1,test=0.1")
    one = Item(conversation(task), experience(task, f"x {text}"))
    other = Item(conversation(task + 1), experience(task + 1, f"X  {text}".upper().lower()))
    assert split_of(one, shares, seed) in shares
    if text.casefold() == text.upper().lower().casefold():
        assert split_of(one, shares, seed) == split_of(other, shares, seed)


def test_the_shares_are_about_kept() -> None:
    shares = parse_splits("train=0.8,validation=0.1,test=0.1")
    found = [split_of(Item(conversation(at), experience(at)), shares, 0) for at in range(2000)]
    assert abs(found.count("train") - 1600) < 80
    assert abs(found.count("test") - 200) < 60


@pytest.mark.parametrize(
    "text", ["", "train", "train=1.1", "train=0.5", "a=0.5,a=0.5", "a/b=1", "a=0,b=1", "a=nan"]
)
def test_malformed_splits_are_refused(text: str) -> None:
    with pytest.raises(SourceError, match=r"train=0\.8"):
        parse_splits(text)


def test_the_card_says_what_it_is_and_escapes_it(hostile: Path, tmp_path: Path) -> None:
    export(hostile, tmp_path / "out", "jsonl", "--splits", "train=0.5,test=0.5")
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    _, matter, body = text.split("---\n", 2)
    front = yaml.safe_load(matter)
    assert front["license"] == "unknown"
    assert front["source_datasets"] == ["some/hub"]
    assert {entry["split"] for entry in front["configs"][0]["data_files"]} == {"train", "test"}
    assert "mine.jsonl are not known" in body.replace("\\", "")
    for condition in ("non-commercial", "share\\-alike", "attribution"):
        assert condition.replace("\\", "") in body.replace("\\", "")
    assert "e72de8db98c16da9" in body
    assert "llama.gguf" in body
    assert "experience: no\\_json | 1" in body
    for leak in ("<script", "/srv/models", "s3cret", "in.house", str(tmp_path), str(hostile)):
        assert leak not in text


@pytest.mark.parametrize(
    ("experiment", "process", "examples"),
    [
        ("GPIS-s", "A model writes an experience", "example experiences"),
        ("roleplay-smollm2", "plays a person with a persona and a goal", None),
        ("diasynth-samsum", "a model lists subtopics and personas", "example dialogues"),
    ],
)
def test_the_card_says_how_the_method_makes_conversations(
    experiment: str, process: str, examples: str | None, tmp_path: Path
) -> None:
    asked = ("run", experiment, "--n", "2", "--model", "scripted", "--out", tmp_path / "run")
    assert convogen(*asked).status == 0
    export(tmp_path / "run", tmp_path / "out", "jsonl")
    card = " ".join((tmp_path / "out" / "README.md").read_text("utf-8").split())
    assert process in card
    assert card.count("The models were shown") == (examples is not None)
    assert f"The models were shown {examples}" in card or examples is None


def test_the_strictest_licence() -> None:
    def found(*known: str | None) -> Licences:
        counted = Licences()
        for at, licence in enumerate(known):
            counted.counts[f"source {at}", licence] += 1
        return counted

    assert found("CC-BY-4.0", "CC-BY-NC-SA-4.0", "MIT").hub_id == "cc-by-nc-sa-4.0"
    assert found("Apache-2.0").hub_id == "apache-2.0"
    assert found("CC-BY-4.0", None).hub_id == "unknown"
    assert found("My own terms").unknown == ["source 0"]
    assert found("CC-BY-SA-4.0", "CC-BY-NC-4.0").hub_id == "other"
    assert found("CC-BY-ND-4.0").conditions[0].startswith("no derivatives")
    assert found().hub_id is None
    assert found("GPL-3.0", "Apache-2.0").hub_id == "gpl-3.0"
    assert found("GPL-3.0-or-later").conditions[0].startswith("share-alike")
    assert found("GPL-3.0", "CC-BY-SA-4.0").hub_id == "other"


@pytest.mark.parametrize("use", ["source", "seeds"])
def test_the_licence_of_dialogues_that_were_used_is_carried_through(
    use: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "run")
    manifest = json.loads((run / "manifest.json").read_text())
    named = {f"{use}_name": "hf:some/chats@all:train", f"{use}_licence": "CC-BY-NC-ND-4.0"}
    manifest["experiment"]["sources"] = named
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "experiences.jsonl").write_bytes(
        b"".join(
            experience(task).model_copy(update={"personas": []}).to_line() for task in range(6)
        )
    )
    ended = convogen("export", run, "--to", "jsonl", "--out", tmp_path / "out")
    assert "CC-BY-NC-ND-4.0 (no derivatives" in ended.err
    assert json.loads((tmp_path / "out" / "export.json").read_text())["licence"] == (
        "cc-by-nc-nd-4.0"
    )
    text = (tmp_path / "out" / "README.md").read_text("utf-8")
    front = yaml.safe_load(text.split("---\n")[1])
    assert (front["license"], front["source_datasets"]) == ("cc-by-nc-nd-4.0", ["some/chats"])
    (row,) = [line for line in text.splitlines() if "| hf:some/chats" in line]
    assert row.replace("\\", "").split(" | ")[1] == "CC-BY-NC-ND-4.0"
    assert "6 conversations" in row
    assert ("were shown to the models" in text.replace("\n", " ")) == (use == "source")


def test_an_export_is_replaced_only_where_that_is_asked_for(hostile: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(hostile, out, "jsonl")
    again = ("export", hostile, "--to", "csv", "--out", out)
    assert "--overwrite" in convogen(*again).complaint
    assert (out / "data" / "train.jsonl").exists()
    assert convogen(*again, "--overwrite").status == 0
    assert [path.name for path in (out / "data").iterdir()] == ["train.csv"]
    shutil.rmtree(out)
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    assert "not an export" in convogen(*again, "--overwrite").complaint
    assert (out / "thesis.tex").read_text() == "mine"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_fails_or_is_killed_leaves_what_was_there(hostile: Path, tmp_path: Path) -> None:
    run, out = Path(shutil.copytree(hostile, tmp_path / "run")), tmp_path / "out"
    export(run, out, "jsonl")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    lines = (run / "experiences.jsonl").read_bytes().splitlines(keepends=True)
    (run / "experiences.jsonl").write_bytes(b"".join(lines[:3]))
    ended = convogen("export", run, "--to", "parquet", "--out", out, "--overwrite")
    assert "experience 'e-3'" in ended.complaint
    killed = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from convogen.exports.folder import staged\n"
        "with staged(Path(sys.argv[1]), overwrite=True) as folder:\n"
        "    (folder / 'half').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert forked_process(killed, out).status < 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    export(hostile, out, "jsonl", "--overwrite")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "run"]


@pytest.mark.parametrize(
    ("args", "complaint"),
    [
        (["--to", "xml"], "allowed: jsonl, parquet, csv"),
        (["--to", "jsonl", "--perspective", "each"], "unknown key 'perspective'; allowed: none"),
        (["--to", "jsonl", "--with", "wings"], "allowed: personas, scores, provenance"),
        (["--to", "jsonl", "--private"], "--push-to-hub"),
        (["--to", "jsonl", "--push-to-hub", "no name"], "not a data set name"),
    ],
)
def test_mistakes_are_told_in_one_line(
    args: list[str], complaint: str, hostile: Path, tmp_path: Path
) -> None:
    ended = convogen("export", hostile, *args, "--out", tmp_path / "out")
    assert ended.status == 2
    assert complaint in ended.complaint
    assert not (tmp_path / "out").exists()


def test_a_hub_that_cannot_be_reached_is_told_and_the_export_kept(
    hostile: Path, tmp_path: Path
) -> None:
    program = "from convogen.cli.main import main; main()"
    args = ("export", hostile, "--to", "jsonl", "--out", tmp_path / "out")
    ended = python_process(
        *("-c", program, *args, "--push-to-hub", "someone/some-data"),
        HF_ENDPOINT="http://127.0.0.1:9",
        HF_HOME=str(tmp_path / "hf"),
        HF_TOKEN="hf_s3cretsecret",  # noqa: S106
    )
    assert ended.status == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith("convogen: ")]
    assert line.startswith("convogen: push to hub: someone/some-data")
    assert "s3cret" not in ended.err + ended.out
    assert (tmp_path / "out" / "data" / "train.jsonl").exists()
