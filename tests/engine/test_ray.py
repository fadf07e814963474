"""A real Ray cluster of two nodes on this machine: `convogen run --ray`, with processes killed."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from command_line import convogen, python_process
from endpoint_server import Answer, Asked, EndpointServer, converse, say, serving

from convogen import Experiment, load_run, run
from convogen.inputs.yaml12 import dump_yaml

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed"),
]

CLUSTER = Path(__file__).parents[1] / "programs" / "ray_cluster.py"
PROGRAM = "from convogen.cli.main import main; main()"
DATASET = (
    "experiences.jsonl",
    "conversations.jsonl",
    "failures.jsonl",
    "rejected.jsonl",
    "calls.jsonl",
)
KEY = "sk-a-key-that-nobody-may-see"
IN_FLIGHT = 16
N = 60


@dataclass(frozen=True)
class Cluster:
    """A running cluster: its address, and the environment of those who may use it."""

    address: str
    environment: dict[str, str]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_prestart_worker_first_driver": "0",  # four processes for each driver, unused
        "WORKERS_KEY": KEY,
    }
    process = subprocess.Popen(
        [sys.executable, CLUSTER, "2"],
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:  # which ends as its input does
        assert process.stdout is not None
        yield Cluster(process.stdout.readline().strip(), environment)


@pytest.fixture(scope="module")
def server() -> Iterator[EndpointServer]:
    with serving() as running:
        yield running


class Endpoint:
    """The endpoint of one test: counts what it answers, and does something at one of the calls."""

    def __init__(self, server: EndpointServer, at: int, do: Callable[[], None]) -> None:
        self.answered: Counter[str] = Counter()
        self._at = at
        self._do = do
        server.script = self._answer

    def _answer(self, asked: Asked) -> Answer:
        if self.answered.total() == self._at:
            self._do()
        self.answered[json.dumps(asked.body)] += 1
        spoiled = asked.json_mode != "text" and asked.body["seed"] % 7 == 0
        return say("no object") if spoiled else converse(asked)


def settings(server: EndpointServer) -> dict[str, object]:
    models = {"name": "m", "base_url": server.base_url, "api_key_env": "WORKERS_KEY"}
    own = {"reasks": 0, "lanes": 4, "per_round": 3, "max_turns": 3}
    return {"models": models, "concurrency": IN_FLIGHT, **own}


def command(folder: Path, server: EndpointServer, n: int, *more: object) -> list[str]:
    """The arguments of `python` for a run of n conversations with these settings."""
    path = folder.parent / "own.yaml"
    path.write_text(dump_yaml(settings(server)))
    args = ["run", path, "--n", n, "--out", folder, *more]
    return ["-c", PROGRAM, *map(str, args)]


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(row) for row in (folder / "log.jsonl").read_text().splitlines()]


def worker_pids(folder: Path) -> list[int]:
    """The processes of the workers that have started, as the run's log has them."""
    return [row["pid"] for row in logged(folder) if row["event"] == "worker"]


@pytest.fixture(scope="module")
def expected(
    server: EndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, bytes], set[str]]:
    """The data set of the run in one process, and its requests."""
    endpoint = Endpoint(server, -1, lambda: None)
    folder = tmp_path_factory.mktemp("one") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKERS_KEY", KEY)
        run(Experiment({"name": "own", "n": N, **settings(server)}), folder)
    assert endpoint.answered.total() == len(endpoint.answered)
    assert (folder / "failures.jsonl").read_bytes()
    return dataset(folder), set(endpoint.answered)


def test_a_killed_worker_changes_nothing(
    cluster: Cluster,
    server: EndpointServer,
    expected: tuple[dict[str, bytes], set[str]],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    endpoint = Endpoint(
        server, len(expected[1]) // 2, lambda: os.kill(worker_pids(folder)[1], signal.SIGKILL)
    )
    on = ("--ray", cluster.address, "--workers", 6)
    ended = python_process(*command(folder, server, N, *on), **cluster.environment)
    assert ended.status == 0, ended.err
    too_many, died = ended.err.splitlines()
    assert "starts 4 of 6 workers" in too_many
    assert "died; its" in died
    assert len(worker_pids(folder)) == 5
    assert dataset(folder) == expected[0]
    assert load_run(folder).manifest["complete"] is True
    assert set(endpoint.answered) == expected[1]
    assert endpoint.answered.total() - len(expected[1]) <= IN_FLIGHT
    log = logged(folder)
    assert any(row["logger"] == "convogen.traffic" or "worker" in row for row in log)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_a_run_on_a_store_is_written_by_the_driver(
    cluster: Cluster,
    server: EndpointServer,
    expected: tuple[dict[str, bytes], set[str]],
    tmp_path: Path,
) -> None:
    Endpoint(server, -1, lambda: None)
    args = command(tmp_path / "run", server, 4, "--ray", cluster.address, "--workers", 2)
    args[args.index(str(tmp_path / "run"))] = f"file://{tmp_path}/store/run"
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = python_process(*args, **cluster.environment, **cache)
    assert ended.status == 0, ended.err
    stored = dataset(tmp_path / "store" / "run")
    assert stored["conversations.jsonl"].count(b"\n") == 4
    for name, data in stored.items():
        assert expected[0][name].startswith(data)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_a_killed_driver_is_gone_on_with_by_the_same_command(
    cluster: Cluster,
    server: EndpointServer,
    expected: tuple[dict[str, bytes], set[str]],
    tmp_path: Path,
) -> None:
    """The run is shorter: its data set is the beginning of the longer one's."""
    folder, started = tmp_path / "run", list[subprocess.Popen[bytes]]()
    endpoint = Endpoint(server, 60, lambda: started[0].kill())
    args = command(folder, server, N // 3, "--ray", cluster.address, "--workers", 2)
    environment = {**os.environ, **cluster.environment}
    quiet = subprocess.DEVNULL
    started.append(
        subprocess.Popen([sys.executable, *args], env=environment, stdout=quiet, stderr=quiet)
    )
    assert started[0].wait(120) == -signal.SIGKILL
    ended = python_process(*args, **cluster.environment)
    assert ended.status == 0, ended.err
    for name, content in dataset(folder).items():
        assert expected[0][name].startswith(content)
    assert (folder / "conversations.jsonl").read_bytes().count(b"\n") == N // 3
    assert set(endpoint.answered) <= expected[1]
    assert endpoint.answered.total() - len(endpoint.answered) <= IN_FLIGHT


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("10.0.0.1", "must be local, auto, or HOST:PORT"),
        ("ray://127.0.0.1:10001", "must be local, auto, or HOST:PORT"),
        ("127.0.0.1:1", "nothing listens there"),
    ],
)
def test_an_address_without_a_cluster_is_told_at_once(
    tmp_path: Path, address: str, complaint: str
) -> None:
    ended = convogen("run", "demo", "--model", "scripted", "--out", tmp_path, "--ray", address)
    assert ended.status == 2
    assert complaint in ended.complaint


def test_a_url_with_a_secret_is_refused(tmp_path: Path) -> None:
    url = "http://someone:s3cret-word@127.0.0.1:9/v1"
    args = ("--model", "m", "--base-url", url, "--ray", "local", "--out", tmp_path / "run")
    ended = convogen("run", "GPIS-s", *args)
    assert ended.status == 2
    assert "holds a secret" in ended.complaint
    assert "s3cret" not in ended.err
    assert not (tmp_path / "run").exists()


def test_workers_are_for_a_cluster(tmp_path: Path) -> None:
    ended = convogen("run", "demo", "--model", "scripted", "--out", tmp_path, "--workers", 2)
    assert ended.status == 2
    assert "--ray local" in ended.complaint
