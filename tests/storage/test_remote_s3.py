"""Run folders on an S3 server: killed, read on another machine, and scored, without leaking
keys."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Ended, convogen
from killable import run_program
from object_stores import PRIVATE, moto_server

from convogen.storage.remote.mirrors import local_copy

PROGRAM = Path(__file__).parents[1] / "programs" / "stored_run.py"
LOCAL = PROGRAM.with_name("scripted_run.py")
DATASET = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl", "calls.jsonl")
N = 6


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(autouse=True)
def _environment(endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", PRIVATE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))


def objects(place: str) -> dict[str, bytes]:
    import s3fs

    files: Any = s3fs.S3FileSystem(skip_instance_cache=True)
    return {name: files.cat_file(name) for name in files.find(place)}


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], int]:
    """Return the data set of a local run, and the number of lines that its calls wrote."""
    folder = tmp_path_factory.mktemp("local")
    assert run_program(LOCAL, folder / "run", N, 8, folder / "asked") == 0
    return dataset(folder / "run"), len((folder / "asked").read_text().splitlines())


@pytest.mark.parametrize("other_machine", [True, False], ids=["another machine", "same machine"])
def test_killed_and_run_again(
    endpoint: str,
    expected: tuple[dict[str, bytes], int],
    tmp_path: Path,
    other_machine: bool,
) -> None:
    url = f"s3://bucket/killed/{other_machine}"
    data, lines = expected
    asked = tmp_path / "asked"
    for count, kill_after in enumerate((lines // 3, lines // 3, None)):
        cache = tmp_path / (f"machine-{count}" if other_machine else "machine")
        extra = [] if kill_after is None else [kill_after]
        status = run_program(PROGRAM, endpoint, PRIVATE, cache, url, N, 8, asked, *extra)
        assert status == (0 if kill_after is None else -signal.SIGKILL)
    assert dataset(local_copy(url)) == data
    stored = objects(url.removeprefix("s3://"))
    assert {name: stored[f"{url[5:]}/{name}"] for name in DATASET} == data
    answers = [line for line in asked.read_text().splitlines() if line.startswith("answer ")]
    if not other_machine:
        assert max(Counter(answers).values()) == 1
    assert len(answers) < 2 * len(set(answers))


def say(*args: object) -> Ended:
    ended = convogen(*args)
    assert ended.status == 0, ended.err
    return ended


def test_a_run_is_made_measured_scored_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "s3://bucket/runs/first"
    model = ("--model", "scripted")
    shown = [
        say("run", "GPIS-s", *model, "--n", 2, "--set", "max_turns=3", "--out", url),
        say("evaluate", url, "--judge", "geval", *model, "--json"),
    ]
    assert str(tmp_path) not in shown[1].out
    assert f'"source": "{url}"' in shown[1].out
    stored = objects("bucket/runs/first")
    scores = stored["bucket/runs/first/scores/geval.jsonl"]
    assert scores
    assert f'"{url}"'.encode() in stored["bucket/runs/first/scores/statistics.json"]

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert (local_copy(url) / "scores" / "geval.jsonl").read_bytes() == scores
    shown += [
        say("show", url),
        say("stats", url),
        say("export", url, "--to", "jsonl", "--with", "scores", "--out", tmp_path / "export"),
        say("replay", url),
    ]
    assert shown[-1].out.startswith(f"{url}: identical")
    again = objects("bucket/runs/first")
    assert again == stored, "reading must not write"
    everything = [ended.out + ended.err for ended in shown]
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > 20
    everything += [path.read_text() for path in kept]
    everything += [content.decode() for content in again.values()]
    assert not any(PRIVATE in text for text in everything)


def test_what_cannot_be_opened_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    run = ("run", "GPIS-s", "--model", "scripted", "--n", 1, "--out")
    absent = convogen(*run, "s3://nobucket/run")
    assert absent.status == 2
    assert "s3://nobucket/run" in absent.complaint
    assert "bucket does not exist" in absent.complaint
    key = convogen(*run, f"s3://key:{PRIVATE}@bucket/run")
    assert key.status == 2
    assert "contains credentials" in key.complaint
    assert PRIVATE not in key.err
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = convogen("show", "s3://bucket/run")
    assert away.status == 2
    assert PRIVATE not in away.complaint
