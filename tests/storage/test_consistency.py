"""A run with changed files is refused and left unchanged; the remains of a crash are repaired."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import convogen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convogen import Experiment, load_run, run
from convogen.costs.ledger_costs import spending
from convogen.errors import RunFolderError
from convogen.models.backends.scripted import ScriptedModel, improvise
from convogen.models.base import Request

ROWS = ("experiences", "conversations", "failures", "rejected", "calls", "ledger")
N = 4


def clumsy(request: Request) -> str:
    """Return a reply that sometimes is no experience, or is empty, so that some tasks fail."""
    if int(request.hash, 16) % (2 if request.role == "generator" else 4) == 0:
        return "" if request.role == "agent" else "nobody"
    return improvise(request)


def experiment(n: int = N) -> Experiment:
    own = {"seed": 5, "reasks": 0, "max_turns": 4, "per_round": 2, "lanes": 2, "broken": "keep"}
    more = {"gates": [{"gate": "min_turns", "turns": 4}], "max_failures": 99}
    return Experiment.load("GPIS-s", {"n": n, "models": "scripted", **own, **more})


def play(folder: Path, n: int = N) -> list[str]:
    """Start or resume a run, and return the hashes of the requests to the model."""
    asked: list[str] = []

    def script(request: Request) -> str:
        asked.append(request.hash)
        return clumsy(request)

    run(experiment(n), folder, open_model=lambda _: ScriptedModel(script))
    return asked


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    play(folder)
    found = load_run(folder)
    assert min(len(list(rows)) for rows in (found.failures(), found.rejected())) > 1
    return folder


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(finished, tmp_path / "run"))


def content(folder: Path) -> dict[str, bytes]:
    """Return the content of every file in a folder, except the lock and the log."""
    found = (path for path in folder.rglob("*") if path.is_file())
    told = {str(path.relative_to(folder)): path.read_bytes() for path in found}
    return {name: text for name, text in told.items() if name not in (".lock", "log.jsonl")}


def data_set(folder: Path) -> dict[str, bytes]:
    return {name: (folder / f"{name}.jsonl").read_bytes() for name in ROWS[:5]}


def tokens(folder: Path) -> int:
    """Return all tokens that were paid for or may have been."""
    rows = spending(load_run(folder))
    own = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    return own + sum(row.lost_prompt_tokens + row.lost_completion_tokens for row in rows)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def dropped(lines: list[bytes], at: int) -> list[bytes]:
    return lines[:at] + lines[at + 1 :]


def doubled(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[: at + 1], *lines[at:]]


def swapped(lines: list[bytes], at: int) -> list[bytes]:
    other = (at + 1) % len(lines)
    changed = list(lines)
    changed[at], changed[other] = lines[other], lines[at]
    return changed


def truncated(lines: list[bytes], at: int) -> list[bytes]:
    return lines[:at]


def torn(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], lines[at][: len(lines[at]) // 2]]


def unended(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], lines[at].rstrip(b"\n"), *lines[at + 1 :]]


def moved(lines: list[bytes], at: int) -> list[bytes]:
    return [*dropped(lines, at), lines[at]]


CHANGES: tuple[Callable[[list[bytes], int], list[bytes]], ...] = (
    dropped,
    doubled,
    swapped,
    truncated,
    torn,
    unended,
    moved,
)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(ROWS),
    change=st.sampled_from(CHANGES),
    where=st.integers(0, 10_000),
    last=st.booleans(),
)
def test_changed_rows_are_refused_or_the_repair_of_one_task(
    finished: Path,
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    change: Callable[[list[bytes], int], list[bytes]],
    where: int,
    last: bool,
) -> None:
    """Whatever changes in the rows of a file, nothing is lost, and at most one task is paid for
    again."""
    folder = Path(shutil.copytree(finished, tmp_path_factory.mktemp("changed") / "run"))
    path = folder / f"{name}.jsonl"
    lines = lines_of(path)
    path.write_bytes(b"".join(change(lines, len(lines) - 1 if last else where % len(lines))))
    before, paid = content(folder), tokens(finished)
    final = max(json.loads(line)["task"] for line in lines_of(finished / "calls.jsonl"))
    own = {
        json.loads(line)["key"].split(".")[0]
        for line in lines_of(finished / "calls.jsonl")
        if json.loads(line)["task"] == final
    }
    try:
        load_run(folder)
    except RunFolderError as refused:
        with pytest.raises(RunFolderError) as again:
            play(folder)
        for told in (str(refused), str(again.value)):
            assert f"{name}.jsonl" in told
            assert " line " in told
            assert "\n" not in told
        assert content(folder) == before
        return
    asked = play(folder)
    assert set(asked) <= own
    assert len(asked) <= (1 if change is torn and name == "calls" else 0)
    reordered = sorted(lines_of(path)) == sorted(lines) and name in ("calls", "ledger")
    assert reordered or data_set(folder) == data_set(
        finished
    )  # within a task, the order does not matter
    assert tokens(folder) >= paid
    assert not list((folder / "journal").iterdir())


@pytest.mark.parametrize("name", ROWS)
def test_a_file_that_is_missing_or_emptied_is_named(copied: Path, name: str) -> None:
    path = copied / f"{name}.jsonl"
    emptied = not path.stat().st_size
    path.unlink()
    for command in (("show", copied), ("report", copied), ("evaluate", copied), ("stats", copied)):
        ended = convogen(*command)
        assert ended.status == 2
        assert f"{name}.jsonl" in ended.complaint
    with pytest.raises(RunFolderError, match=rf"{name}.jsonl: is missing; nothing was changed"):
        play(copied)
    path.touch()
    if not emptied:
        before = content(copied)
        with pytest.raises(RunFolderError, match=rf"{name}.jsonl"):
            play(copied)
        assert content(copied) == before


def test_a_line_taken_out_is_named_with_its_place(copied: Path) -> None:
    path = copied / "conversations.jsonl"
    lines = lines_of(path)
    missing = json.loads(lines[1])["task"]
    path.write_bytes(b"".join(dropped(lines, 1)))
    ended = convogen("show", copied)
    assert ended.status == 2
    for said in (
        f"{path} line 2 or failures.jsonl line",
        f"row of task {missing}",
        "missing",
        "restore the files",
    ):
        assert said in ended.complaint


def test_the_same_task_in_two_files_is_refused(copied: Path) -> None:
    failed = json.loads(lines_of(copied / "failures.jsonl")[0])
    talks = [json.loads(line) for line in lines_of(copied / "conversations.jsonl")]
    talks.insert(0, {**talks[0], "task": failed["task"]})
    talks.sort(key=lambda one: one["task"])
    text = "".join(json.dumps(one) + "\n" for one in talks)
    (copied / "conversations.jsonl").write_text(text)
    with pytest.raises(
        RunFolderError, match=f"contains task {failed['task']}, which is also in .*"
    ):
        load_run(copied)


@pytest.mark.parametrize("name", ["conversations", "experiences", "calls", "ledger"])
def test_a_newline_that_an_editor_took_is_given_back(copied: Path, name: str) -> None:
    path = copied / f"{name}.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert len(list(load_run(copied).conversations())) == N
    assert play(copied) == []
    assert path.read_bytes() == whole


def test_a_longer_run_goes_on_where_it_was(finished: Path, copied: Path, tmp_path: Path) -> None:
    path = copied / "ledger.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    play(copied, N + 2)
    play(tmp_path / "whole", N + 2)
    assert data_set(copied) == data_set(tmp_path / "whole")


def test_rows_in_windows_newlines_are_rows(copied: Path) -> None:
    path = copied / "failures.jsonl"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert play(copied) == []


def test_answers_of_a_task_that_is_taken_back_are_kept_in_its_journal(copied: Path) -> None:
    """The conversation is missing, as if a crash had occurred before it; no call is repeated."""
    path = copied / "conversations.jsonl"
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    assert play(copied) == []
    assert not list((copied / "journal").iterdir())


def test_scores_are_held_against_each_other_too(copied: Path) -> None:
    judge = ("evaluate", copied, "--judge", "geval", "--model", "scripted")
    assert convogen(*judge).status == 0
    scores, ledger = copied / "scores/geval.jsonl", copied / "scores/geval/ledger.jsonl"
    for path, lines in ((scores, lines_of(scores)[:-3]), (ledger, lines_of(ledger)[1:])):
        kept = path.read_bytes()
        path.write_bytes(b"".join(lines))
        before = content(copied)
        ended = convogen(*judge)
        assert ended.status == 2
        assert str(path.parent.parent) in ended.err
        assert {k: v for k, v in content(copied).items() if "statistics" not in k} == {
            k: v for k, v in before.items() if "statistics" not in k
        }
        path.write_bytes(kept)
    assert convogen(*judge).status == 0
