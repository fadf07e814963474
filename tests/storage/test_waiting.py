"""Finished tasks behind an unfinished task can be read with `show` and `export --partial`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import convogen

from convogen import Experiment, run
from convogen.errors import EndpointDown, RunFolderError
from convogen.models.backends.scripted import ScriptedModel
from convogen.models.base import ModelReply, Request
from convogen.storage.run_folder import load_run
from convogen.storage.waiting import PartialRun, waiting

N = 6
ROWS = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl")


class HeldUp(ScriptedModel):
    """A model that answers all other tasks first, and then becomes unreachable."""

    def __init__(self, through: Callable[[], bool]) -> None:
        super().__init__()
        self._through = through
        self._held = ""

    async def complete(self, request: Request) -> ModelReply:
        self._held = self._held or request.dialogue
        if request.dialogue != self._held:
            return await super().complete(request)
        for _ in range(100_000):
            await asyncio.sleep(0)
            if self._through():
                break
        raise EndpointDown("gone")


def experiment() -> Experiment:
    return Experiment.load("GPFS-s", {"n": N, "models": "scripted", "max_turns": 3})


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    folder = tmp_path / "run"

    def through() -> bool:
        return len(list((folder / "journal").glob("*.done"))) == N - 1

    with pytest.raises(EndpointDown):
        run(experiment(), folder, open_model=lambda _: HeldUp(through))
    return folder


def test_what_waits_is_shown_and_exported_and_committed_in_order(
    stopped: Path, tmp_path: Path
) -> None:
    assert list(load_run(stopped).conversations()) == []
    shown = convogen("show", stopped)
    assert "5 conversations finished, but an earlier task is unfinished" in " ".join(
        shown.out.split()
    )
    assert json.loads(convogen("show", stopped, "--json").out)["waiting"] == N - 1
    partial = list(PartialRun(stopped).conversations())
    assert [one.task for one in partial] == [1, 2, 3, 4, 5]
    assert partial[2].id in convogen("show", stopped, "--conversation", partial[2].id).out

    ended = convogen("export", stopped, "--to", "jsonl", "--out", tmp_path / "data", "--partial")
    assert ended.status == 0, ended.err
    text = (tmp_path / "data" / "data" / "train.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["id"] for row in rows] == [one.id for one in partial]

    run(experiment(), stopped)
    run(experiment(), tmp_path / "whole")
    assert all((stopped / n).read_bytes() == (tmp_path / "whole" / n).read_bytes() for n in ROWS)
    assert [one.id for one in load_run(stopped).conversations()][1:] == [one.id for one in partial]
    assert list(waiting(stopped)) == []
    assert not list((stopped / "journal").iterdir())
    assert "waiting" not in convogen("show", stopped).out


@pytest.mark.parametrize("text", ["[]", '{"conversation": 3}', '{"no": {}}', "{", "null"])
def test_a_file_that_was_changed_is_named(stopped: Path, text: str) -> None:
    path = stopped / "journal" / "00000003.done"
    path.write_text(f"{text}\n")
    with pytest.raises(RunFolderError, match=r"00000003\.done: is not a task's outcome"):
        list(waiting(stopped))
    ended = convogen("show", stopped)
    assert ended.status == 2
    path.write_text("half a li")
    assert len(list(waiting(stopped))) == N - 2, "half-written rows must be ignored"
