"""Run folders on an object store: a crash between any two writes, two writers, and damage."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from object_stores import Died, FragileStore

from convogen import Experiment, load_run
from convogen.engine.runner import run
from convogen.errors import RunFolderError
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request
from convogen.storage.remote.mirror import Mirror, Superseded
from convogen.storage.remote.mirrors import local_copy, mirrored

URL = "fragile://bucket/runs/one"
ROOT = "/bucket/runs/one/"
PARTS = f"{ROOT}.convogen/parts/"
DATASET = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "calls.jsonl")
KEYS = {"n": 3, "models": "scripted", "max_turns": 3, "per_round": 2, "concurrency": 2}


class Machines:
    """A succession of machines, each with its own cache."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._patch = folder, patch
        self._count = 0

    def another(self) -> None:
        """Continue on a machine that knows nothing of the run."""
        self._count += 1
        self._patch.setenv("XDG_CACHE_HOME", str(self._folder / f"machine-{self._count}"))


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    FragileStore.clear()
    made = Machines(tmp_path, monkeypatch)
    made.another()
    yield made
    FragileStore.clear()


class Asked:
    """A script that counts its requests and calls a function for each of them."""

    def __init__(self, then: Callable[[int], None] = lambda count: None) -> None:
        self.count = 0
        self._then = then

    def __call__(self, request: Request) -> str:
        self.count += 1
        self._then(self.count)
        return improvise(request)


class UnhurriedModel(ScriptedModel):
    async def complete(self, request: Request):
        for _ in range(3):
            await asyncio.sleep(0)
        return await super().complete(request)


def play(folder: str | Path, n: int = 3, then: Callable[[int], None] = lambda count: None) -> int:
    """Start or resume a run, and return the number of requests to the model."""
    asked = Asked(then)
    experiment = Experiment.load("GPIS-s", {**KEYS, "n": n})
    run(experiment, folder, open_model=lambda _: UnhurriedModel(asked))
    return asked.count


def play_remotely(then: Callable[[int], None] = lambda count: None, n: int = 3) -> int:
    with mirrored(URL, "run", every_s=0) as folder:
        return play(folder, n, then)


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """Return the data set of a local run, and the number of its calls."""
    folder = tmp_path_factory.mktemp("local") / "run"
    calls = play(folder)
    return dataset(folder), calls


def answers_in(folder: Path) -> int:
    """Return the number of answers in a run folder, committed or not."""
    files = [folder / "calls.jsonl", *(folder / "journal").glob("*.jsonl")]
    lines = [line for file in files if file.exists() for line in file.read_bytes().splitlines()]
    rows = [json.loads(line) for line in lines]
    return len({row["key"] for row in rows if {"text", "fault"} & row.keys()})


def test_a_run_is_the_local_one_and_can_be_read_without_its_parts(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    folder = run(Experiment.load("GPIS-s", KEYS), URL).folder
    assert dataset(folder) == local[0]
    objects = FragileStore.objects()
    assert {name: objects[ROOT + name] for name in DATASET} == local[0]
    for name in objects:
        if name.startswith(PARTS):
            FragileStore.store.pop(name)
    machines.another()
    assert dataset(load_run(URL).folder) == local[0]


def test_a_crash_between_any_two_writes_costs_what_was_not_written(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    expected, n_calls = local
    again: list[int] = []
    while True:
        FragileStore.clear()
        machines.another()
        FragileStore.reset(dies_at=len(again) + 1)
        try:
            play_remotely()
        except Died:
            pass
        else:
            break
        FragileStore.reset()
        machines.another()
        kept = answers_in(local_copy(URL))
        machines.another()
        again.append(play_remotely())
        assert again[-1] == n_calls - kept, f"died at write {len(again)}"
        machines.another()
        assert dataset(local_copy(URL)) == expected, f"died at write {len(again)}"
    assert len(again) > 10
    assert again[0] == n_calls
    assert again[-1] == 0
    assert any(0 < count < n_calls for count in again)


def test_on_the_same_machine_a_crash_costs_nothing(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    for dies_at in (3, 5):
        FragileStore.clear()
        machines.another()
        FragileStore.reset(dies_at=dies_at)
        asked = Asked()
        with pytest.raises(Died), mirrored(URL, "run", every_s=0) as folder:
            run(
                Experiment.load("GPIS-s", KEYS),
                folder,
                open_model=lambda _, asked=asked: UnhurriedModel(asked),
            )
        kept = answers_in(folder)
        FragileStore.reset()
        assert play_remotely() == local[1] - kept
        machines.another()
        assert dataset(local_copy(URL)) == local[0]


def test_a_write_whose_answer_is_lost_is_not_another_writers(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    said: list[str] = []
    FragileStore.reset(loses=3, away=1)
    with mirrored(URL, "run", 0, said.append) as folder:
        assert play(folder) == local[1]
    assert FragileStore.writes > 4
    assert len(said) <= 2, "an outage and its end must each be reported once"
    assert "TimeoutError: no answer; trying again" in said[0]
    assert said[1:] in ([], [f"{URL}: can be written to again"])
    machines.another()
    assert dataset(local_copy(URL)) == local[0]


def test_a_longer_run_goes_on_where_the_shorter_one_ended(machines: Machines) -> None:
    first = play_remotely()
    machines.another()
    assert 0 < play_remotely(n=5) < 3 * first
    machines.another()
    assert len(list(load_run(URL).conversations())) == 5
    assert FragileStore.objects()[f"{ROOT}conversations.jsonl"].count(b"\n") == 5


def test_the_older_of_two_writers_stops(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    others: list[Mirror] = []

    def take_over(count: int) -> None:
        if count == 10:
            machines.another()
            others.append(Mirror(URL, "run"))

    with pytest.raises(Superseded, match=r"process \d+ on .* has taken over this folder"):
        play_remotely(take_over)
    others[0].close()
    machines.another()
    play_remotely()
    machines.another()
    assert dataset(local_copy(URL)) == local[0]


def test_a_second_writer_on_the_same_machine_is_refused(machines: Machines) -> None:
    with (
        mirrored(URL, "run"),
        pytest.raises(RunFolderError, match="another process on this machine is writing to it"),
    ):
        Mirror(URL, "scores")


def test_scores_are_not_written_while_a_run_is_alive(machines: Machines) -> None:
    with mirrored(URL, "run"):
        machines.another()
        with pytest.raises(RunFolderError, match="is writing this run; wait"):
            Mirror(URL, "scores")
    Mirror(URL, "scores").close()


def test_a_reader_sees_a_run_in_progress(machines: Machines) -> None:
    with mirrored(URL, "run", every_s=0) as folder:
        play(folder)
        assert local_copy(URL) == folder
        machines.another()
        assert answers_in(local_copy(URL)) > 0


def test_a_store_that_ignores_conditions_is_refused(machines: Machines) -> None:
    FragileStore.reset(unconditional=True)
    with pytest.raises(RunFolderError, match="ignores conditional writes"):
        Mirror(URL, "run")


def test_objects_of_others_are_left_alone(machines: Machines) -> None:
    FragileStore().pipe_file(f"{ROOT}thesis.tex", b"mine")
    with pytest.raises(RunFolderError, match=r"contains 'thesis\.tex' but no manifest"):
        Mirror(URL, "run")
    assert list(FragileStore.store) == [f"{ROOT}thesis.tex"]


def test_an_uploaded_run_is_gone_on_with(
    local: tuple[dict[str, bytes], int], machines: Machines, tmp_path: Path
) -> None:
    play(tmp_path / "run")
    for file in (path for path in (tmp_path / "run").rglob("*") if path.is_file()):
        name = file.relative_to(tmp_path / "run").as_posix()
        FragileStore().pipe_file(ROOT + name, file.read_bytes())
    assert dataset(load_run(URL).folder) == local[0]
    assert play_remotely() == 0
    assert play_remotely(n=4) > 0


def test_changed_objects_of_a_complete_run_do_not_count(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    play_remotely()
    FragileStore().pipe_file(f"{ROOT}conversations.jsonl", b"{}\n")
    machines.another()
    assert dataset(local_copy(URL)) == local[0]


def parts() -> list[str]:
    return sorted(name for name in FragileStore.store if name.startswith(PARTS))


def test_damage_is_named(machines: Machines) -> None:
    with mirrored(URL, "run", every_s=0) as folder:
        play(folder)
        kept = {name: FragileStore.objects()[name] for name in parts()}
        assert len(kept) > 3
        for name, content in kept.items():
            for damaged in (
                content[:-1],
                content[:-2] + b"\x00}",
                b"",
                content.replace(b"1", b"2"),
            ):
                FragileStore().pipe_file(name, damaged)
                machines.another()
                with pytest.raises(RunFolderError, match=re.escape(name[1:])):
                    local_copy(URL)
            FragileStore().pipe_file(name, content)
        _, second, third, *_ = kept
        FragileStore.store.pop(second)
        with pytest.raises(RunFolderError, match=rf"{re.escape(second[1:])}: is missing"):
            local_copy(URL)
        FragileStore().pipe_file(second, kept[third])
        with pytest.raises(RunFolderError, match=rf"{re.escape(second[1:])}: is damaged"):
            local_copy(URL)
        FragileStore().pipe_file(second, kept[second])
        local_copy(URL)


def test_from_a_damaged_part_on_the_chain_can_be_cut(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    play_remotely()
    for name in parts()[2:]:
        FragileStore.store.pop(name)
    assert play_remotely() > 0
    machines.another()
    assert dataset(local_copy(URL)) == local[0]


def test_a_damaged_local_copy_is_restored(
    local: tuple[dict[str, bytes], int], machines: Machines
) -> None:
    play_remotely()
    folder = local_copy(URL)
    (folder / "failures.jsonl").unlink()
    assert dataset(local_copy(URL)) == local[0]
    shutil.rmtree(folder)
    assert dataset(local_copy(URL)) == local[0]
    for name in ("state.json", "sending.json"):
        (folder.parent / name).write_text("{")
    (folder / "calls.jsonl").write_text("")
    assert dataset(local_copy(URL)) == local[0]
