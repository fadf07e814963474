"""The log of a run is complete and bounded, and never disturbs the run."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, run
from convogen.errors import EndpointDown
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import ModelReply, Request
from convogen.telemetry.log import run_log, verbose

TRAFFIC = logging.getLogger("convogen.traffic")


def play(folder: Path, model: ScriptedModel | None = None, **overrides: object) -> None:
    small = {"n": 3, "models": "scripted", "max_turns": 3, "reasks": 0}
    experiment = Experiment.load("GPFS-s", small | overrides)
    run(experiment, folder, open_model=lambda _: model or ScriptedModel())


def events(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_bytes().splitlines()]


def test_it_says_what_happened(tmp_path: Path) -> None:
    def clumsy(request: Request) -> str:
        spoiled = int(request.hash, 16) % 3 == 0
        return "nobody" if spoiled and request.role != "agent" else improvise(request)

    play(tmp_path, ScriptedModel(clumsy), n=6, participants=3)
    found = events(tmp_path)
    assert [row["event"] for row in found if row["event"] in ("start", "end")] == [
        "start",
        "end",
    ]
    assert found[0]["packages"]["convogen"]
    assert found[0]["run"]["n"] == 6
    failures = [json.loads(x) for x in (tmp_path / "failures.jsonl").read_bytes().splitlines()]
    assert failures
    logged = [row for row in found if row["event"] == "failure"]
    assert [(r["task"], r["kind"]) for r in logged] == [(f["task"], f["kind"]) for f in failures]
    assert "longest_silent" in str([row for row in found if row["event"] == "repairs"])
    assert not [row for row in found if row["level"] == "DEBUG"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", row["at"]) for row in found)


def test_a_run_that_stops_says_why_and_goes_on_in_the_same_log(tmp_path: Path) -> None:
    class Gone(ScriptedModel):
        async def complete(self, request: Request) -> ModelReply:
            raise EndpointDown("endpoint gone")

    with pytest.raises(EndpointDown):
        play(tmp_path, Gone())
    with (tmp_path / "log.jsonl").open("ab") as torn:
        torn.write(b'{"at": "2')
    play(tmp_path)
    names = [row["event"] for row in events(tmp_path)]
    assert [name for name in names if name != "repairs"] == [
        "start",
        "endpoint given up",
        "stopped",
        "start",
        "end",
    ]
    assert events(tmp_path)[2]["detail"] == "endpoint gone"


def test_facts_of_any_kind_are_one_line_of_json(tmp_path: Path) -> None:
    facts = {
        "retry_after_s": float("nan"),
        "kind": "bell \x07 and \ud800",
        "deep": {"a": [1, (2.5, None, {3: {"x": {"y": 1}}})]},
        "path": tmp_path,
        "long": "x" * 10_000,
    }
    path = tmp_path / "log.jsonl"
    with run_log(path):
        TRAFFIC.info("retry %d", 2, extra=facts)
        try:
            raise ValueError("at http://user:s3cret@host/v1?key=s3cret")
        except ValueError:
            TRAFFIC.exception("fault")
    first, second = events(tmp_path)
    assert first["event"] == "retry 2"
    assert first["retry_after_s"] == "nan"
    assert first["path"] == str(tmp_path)
    assert first["deep"]["a"][:1] == [1]
    assert len(first["long"]) == 2000
    assert (second["error"], second["level"]) == ("ValueError", "ERROR")
    assert second["detail"] == "at http://***@host/v1?***"


def test_it_is_bounded(tmp_path: Path) -> None:
    with run_log(tmp_path / "log.jsonl", max_bytes=20_000):
        for nth in range(500):
            TRAFFIC.info("retry", extra={"nth": nth, "detail": "x" * 200})
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert set(sizes) == {"log.jsonl", "log.jsonl.1"}
    assert all(0 < size <= 20_000 for size in sizes.values())
    assert events(tmp_path)[-1]["nth"] == 499


@pytest.mark.parametrize("kind", ["full disk", "folder", "fifo-free dangling link"])
def test_where_it_cannot_be_written_the_run_goes_on(tmp_path: Path, kind: str) -> None:
    log = tmp_path / "run" / "log.jsonl"
    log.parent.mkdir()
    if kind == "folder":
        log.mkdir()
    else:
        log.symlink_to("/dev/full" if kind == "full disk" else "/nowhere/at/all")
    play(log.parent)
    assert (log.parent / "conversations.jsonl").read_bytes().count(b"\n") == 3


def test_two_runs_do_not_mix_and_nothing_is_left_behind(tmp_path: Path) -> None:
    root = logging.getLogger("convogen")
    before = list(root.handlers)
    with run_log(tmp_path / "outer.jsonl"):
        TRAFFIC.info("outer")
        with run_log(tmp_path / "inner.jsonl"):
            TRAFFIC.info("inner")
        TRAFFIC.info("outer again")
    said = {
        p.name: [json.loads(x)["event"] for x in p.read_text().splitlines()]
        for p in tmp_path.iterdir()
    }
    assert said == {"outer.jsonl": ["outer", "outer again"], "inner.jsonl": ["inner"]}
    with verbose(2):
        assert root.isEnabledFor(logging.DEBUG)
    assert root.level == logging.NOTSET
    assert root.handlers == before


def test_verbose_prints_it_and_twice_prints_all(tmp_path: Path) -> None:
    arguments = ["--n", 2, "--set", "max_turns=2", "--model", "scripted", "--out"]
    quiet = convogen("run", "GPFS-s", *arguments, tmp_path / "hush")
    once = convogen("--verbose", "run", "GPFS-s", *arguments, tmp_path / "once")
    twice = convogen("run", "GPFS-s", *arguments, tmp_path / "twice", "-vv")
    assert "INFO" not in quiet.err
    assert "INFO run: start" in once.err
    assert "DEBUG" not in once.err
    assert twice.err.count("DEBUG run: commit") == 2
    assert once.out.replace("once", "hush") == quiet.out
    assert [row for row in events(tmp_path / "twice") if row["level"] == "DEBUG"]
