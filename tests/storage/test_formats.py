"""Run folders in earlier data formats can be read; all others are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen

from convogen import load_run
from convogen.errors import RunFolderError
from convogen.experiment.experiment import Experiment
from convogen.storage.run_folder import DATA_FORMAT

USAGE = {"prompt_tokens": 60, "completion_tokens": 12, "cached_tokens": 0}
CARD = {
    "age": 61,
    "gender": "female",
    "qualities": ["patient", "blunt", "dry", "fair"],
    "lifestyle": "Retired school cook; grows beans and feeds half of the street with them, all "
    * 2,
    "speech_style": "Short sentences, dry humour, never raises her voice whatever the matter is.",
    "recent_memory": "Found a hedgehog beside the water butt on Tuesday.",
    "long_term_memory": "Her father grew food without poison in a dusty yard.",
}
PERSONAS = [
    {"name": "Rosa Delgado", "card": CARD, "source": "generated"},
    {"name": "Tom Whitlock", "text": "drives a bus", "source": "hub", "licence": "MIT"},
]
SCENE = {"relations": "Neighbours.", "situation": "At the fence.", "topic": "Slugs"}
STARTER = {"speaker": "Rosa Delgado", "text": "Put that box down a minute."}
CALL = {"model": "gpt-4o", "request": "00ff" * 6, "usage": USAGE}
CANDIDATES = {"candidates": ["Tom Whitlock"], "request": "ff00" * 6, "usage": USAGE}
LEDGER = {"role": "agent", "model": "gpt-4o", **USAGE, "attempts": 1, "seconds": 0.5, "at": 1.5}

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def experience(task: int, **more: Any) -> dict[str, Any]:
    made = {"admitted": True, "similarity": 0.4146, "repairs": ["starter.speaker: given to Rosa"]}
    about = {"personas": PERSONAS, **SCENE, "starter": STARTER, "shots": ["allotment"], **made}
    return {"id": f"e-{task}", "task": task, **about, "model": "gpt-4o", "usage": USAGE, **more}


def conversation(task: int, opening: Mapping[str, Any], reply: Mapping[str, Any]) -> dict[str, Any]:
    first = {**STARTER, "origin": "starter", "reasks": [], **opening}
    second = {"speaker": "Tom Whitlock", "text": "It's only pellets.", "origin": "agent", **CALL}
    return {
        "id": f"c-{task}",
        "task": task,
        "method": "convogen",
        "experience": f"e-{task}",
        "participants": ["Rosa Delgado", "Tom Whitlock"],
        "context": SCENE,
        "turns": [first, {**second, "selection": CANDIDATES, "reasks": ["repetition"], **reply}],
        "ended": "max_turns",
        "usage": USAGE,
    }


def failure(task: int, **more: Any) -> dict[str, Any]:
    about = {"stage": "experience", "kind": "experience_invalid", "message": "no object"}
    return {"id": f"f-{task}", "task": task, **about, "evidence": "…", "usage": USAGE, **more}


PLAN = [{"subtopics": ["slugs"], "requests": 1, "near_copies": 0, "unusable": 0}]
LABEL = {"value": "Rosa stops Tom.", "check": "coverage", "reasks": [], "model": "gpt-4o"}
LAPSED = {"target_words": 12, "lapse": "too long"}

FORMATS: dict[int, Rows] = {
    1: {
        "experiences": [experience(0)],
        "conversations": [conversation(0, {}, {})],
        "failures": [failure(1)],
        "ledger": [{"task": 0, **LEDGER}, {"task": 1, **LEDGER}],
    },
    2: {
        "experiences": [experience(0, plan=PLAN), experience(2)],
        "conversations": [
            conversation(0, {"target_words": 9}, LAPSED) | {"labelled": {"summary": LABEL}}
        ],
        "failures": [failure(1, counts={"refusal": 2})],
        "rejected": [
            {
                "id": "c-2",
                "task": 2,
                "gate": "near_duplicate",
                "reason": "similarity 0.950 to c-0",
                "value": 0.95,
                "conversation": conversation(2, {}, {}),
            }
        ],
        "ledger": [{"task": 0, **LEDGER, "lost_attempts": 1}, {"task": 1, **LEDGER}],
        "calls": [{"task": 0, "key": "k.1", "role": "agent", "model": "gpt-4o", "text": "Hi"}],
    },
}
"""Rows of runs in earlier data formats."""


def written(folder: Path, data_format: int, rows: Rows) -> Path:
    folder.mkdir()
    manifest = {
        "name": "GPIS-s",
        "fingerprint": "c71adc869fc586bb",
        "n": 1,
        "complete": True,
        "started_at": "2026-11-21T05:00:00Z",
        "packages": {"convogen": "0.1.0"},
        "models": {"agent": {"name": "gpt-4o", "kind": "openai"}},
        "experiment": {"format": data_format, "method": "convogen", "seed": 0},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (folder / "experiment.yaml").write_text("name: GPIS-s\nmethod: convogen\n", "utf-8")
    for name, records in rows.items():
        lines = "".join(f"{json.dumps(record)}\n" for record in records)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    return folder


def test_the_store_and_the_fingerprint_name_the_same_format() -> None:
    assert Experiment.load("GPIS-s").fingerprint_inputs["format"] == DATA_FORMAT


@pytest.mark.parametrize("data_format", FORMATS)
def test_every_record_of_an_earlier_format_is_read(data_format: int, tmp_path: Path) -> None:
    rows = FORMATS[data_format]
    run = load_run(written(tmp_path / "run", data_format, rows))
    for name in ("experiences", "conversations", "failures", "rejected"):
        found = [json.loads(record.to_line()) for record in getattr(run, name)()]
        assert [one["id"] for one in found] == [one["id"] for one in rows.get(name, [])]


@pytest.mark.parametrize("data_format", FORMATS)
def test_show_report_and_export_read_an_earlier_format(data_format: int, tmp_path: Path) -> None:
    folder = written(tmp_path / "run", data_format, FORMATS[data_format])
    shown = convogen("show", folder, "--json")
    assert shown.status == 0, shown.err
    assert json.loads(shown.out)["conversations"] == 1
    reported = convogen("report", folder, "--json")
    assert reported.status == 0, reported.err
    assert next(iter(json.loads(reported.out)["runs"].values()))["conversations"] == 1
    out = tmp_path / "exported"
    options = ("--to", "jsonl", "--with", "personas,provenance", "--out", out)
    exported = convogen("export", folder, *options)
    assert exported.status == 0, exported.err
    text = "".join(path.read_text("utf-8") for path in out.rglob("*.jsonl"))
    assert "Put that box down a minute." in text


@pytest.mark.parametrize("data_format", FORMATS)
def test_an_earlier_format_is_not_continued(data_format: int, tmp_path: Path) -> None:
    folder = written(tmp_path / "run", data_format, FORMATS[data_format])
    before = {path: path.read_bytes() for path in folder.glob("*.json*")}
    ended = convogen("run", "GPIS-s", "--model", "scripted", "--n", 2, "--out", folder)
    assert ended.status == 2
    assert f"in data format {data_format}, but this version writes {DATA_FORMAT}" in ended.err
    for remedy in ("another folder with --out", "--fresh"):
        assert remedy in ended.complaint
    assert {path: path.read_bytes() for path in folder.glob("*.json*")} == before


@pytest.mark.parametrize("command", [("show",), ("report",), ("export", "--to", "jsonl", "--out")])
def test_a_later_format_is_refused_in_one_line(command: Sequence[str], tmp_path: Path) -> None:
    folder = written(tmp_path / "run", DATA_FORMAT + 1, FORMATS[2])
    out = [tmp_path / "exported"] if "--out" in command else []
    ended = convogen(command[0], folder, *command[1:], *out)
    assert ended.status == 2
    for said in (str(folder), f"format {DATA_FORMAT + 1}", f"1 to {DATA_FORMAT}", "manifest.json"):
        assert said in ended.complaint


@pytest.mark.parametrize("name", ["experiences", "conversations", "failures", "rejected"])
@pytest.mark.parametrize("change", [{"invented_later": 1}, {"id": None}])
def test_a_record_that_cannot_be_read_is_refused_in_one_line(
    name: str, change: Mapping[str, Any], tmp_path: Path
) -> None:
    rows = {**FORMATS[2], name: [{**FORMATS[2][name][0], **change}]}
    folder = written(tmp_path / "run", 2, rows)
    with pytest.raises(RunFolderError) as refused:
        load_run(folder)
    for said in (f"{name}.jsonl line 1", *change, f"1 to {DATA_FORMAT}", "manifest.json"):
        assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value) in convogen("show", folder).complaint
