"""A real Ray cluster of two nodes on this machine: commands with `--ray`, and killed processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from multiprocessing import active_children
from pathlib import Path

import pytest
from command_line import convogen, convogen_process, forked_file
from endpoint_server import Answer, Asked, EndpointServer, converse, say, serving
from export_runs import played, spoken, write_run
from ray_clusters import KEY, Cluster, logged, worker_pids

from convogen import Experiment, judge_run, load_run, run
from convogen.inputs.yaml12 import dump_yaml
from convogen.judges.geval import GEval
from convogen.models.spec import ModelSpec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed"),
]

PROGRAMS = Path(__file__).parents[1] / "programs"
DATASET = (
    "experiences.jsonl",
    "conversations.jsonl",
    "failures.jsonl",
    "rejected.jsonl",
    "calls.jsonl",
)
IN_FLIGHT = 16
LANES = 4
N = 200


@pytest.fixture(scope="module")
def server() -> Iterator[EndpointServer]:
    with serving() as running:
        yield running


class Endpoint:
    """The endpoint of one test, which counts its answers and runs an action at one of the calls."""

    def __init__(self, server: EndpointServer, at: int, do: Callable[[], None]) -> None:
        self.answered: Counter[str] = Counter()
        self._at = at
        self._do = do
        server.script = self._answer

    def _answer(self, asked: Asked) -> Answer:
        if self.answered.total() == self._at:
            self._do()
        self.answered[json.dumps(asked.body)] += 1
        if "score" in asked.body["messages"][-1]["content"] and asked.body["max_tokens"] < 20:
            return say(f"{1 + asked.body['seed'] % 5}")
        spoiled = asked.json_mode != "text" and asked.body["seed"] % 7 == 0
        return say("no object") if spoiled else converse(asked)


def settings(server: EndpointServer) -> dict[str, object]:
    models = {"name": "m", "base_url": server.base_url, "api_key_env": "WORKERS_KEY"}
    own = {"reasks": 0, "lanes": LANES, "per_round": 10, "participants": 2, "max_turns": 2}
    return {"models": models, "concurrency": IN_FLIGHT, **own}


def command(folder: Path, server: EndpointServer, n: int, *more: object) -> list[str]:
    """Return the arguments of `python` for a run of n conversations with these settings."""
    path = folder.parent / "own.yaml"
    path.write_text(dump_yaml(settings(server)))
    args = ["run", path, "--n", n, "--out", folder, *more]
    return [*map(str, args)]


def dataset(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DATASET}


def judge_files(folder: Path) -> dict[str, bytes]:
    names = ("geval.jsonl", "geval/calls.jsonl", "geval/manifest.json")
    return {name: (folder / "scores" / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def expected(
    server: EndpointServer, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, bytes], set[str]]:
    """Return the data set of the run in one process, and its requests."""
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
    """Calls of the worker that were in flight are repeated, and each counts as lost."""
    folder = tmp_path / "run"
    endpoint = Endpoint(
        server, len(expected[1]) // 2, lambda: os.kill(worker_pids(folder)[1], signal.SIGKILL)
    )
    on = ("--ray", cluster.address, "--workers", LANES + 2)
    ended = convogen_process(*command(folder, server, N, *on), **cluster.environment)
    assert ended.status == 0, ended.err
    too_many, died = ended.err.splitlines()
    assert f"starting {LANES} of {LANES + 2} workers" in too_many
    assert "died; another" in died
    assert len(worker_pids(folder)) == LANES + 1
    assert dataset(folder) == expected[0]
    assert load_run(folder).manifest["complete"] is True
    assert set(endpoint.answered) == expected[1]
    again = endpoint.answered.total() - len(expected[1])
    lost = [row for row in load_run(folder).ledger() if row.get("lost_attempts")]
    method = Experiment({"name": "own", "n": N, **settings(server)}).method
    assert again <= sum(row["lost_attempts"] for row in lost) <= IN_FLIGHT
    assert len({method.lineage(row["task"]) for row in lost}) <= 1
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
    args = command(tmp_path / "run", server, 4, "--ray", cluster.address, "--workers", 1)
    args[args.index(str(tmp_path / "run"))] = f"file://{tmp_path}/store/run"
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    ended = convogen_process(*args, **cluster.environment, **cache)
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
    """The run is shorter, so its data set is the beginning of the longer run's data set."""
    folder, n = tmp_path / "run", N // 10
    endpoint = Endpoint(server, n, lambda: active_children()[0].kill())
    args = command(folder, server, n, "--ray", cluster.address, "--workers", 1)
    assert convogen_process(*args, **cluster.environment).status == -signal.SIGKILL
    ended = convogen_process(*args, **cluster.environment)
    assert ended.status == 0, ended.err
    for name, content in dataset(folder).items():
        assert expected[0][name].startswith(content)
    assert (folder / "conversations.jsonl").read_bytes().count(b"\n") == n
    assert set(endpoint.answered) <= expected[1]
    assert endpoint.answered.total() - len(endpoint.answered) <= IN_FLIGHT


def test_a_killed_worker_changes_no_score(
    cluster: Cluster, server: EndpointServer, tmp_path: Path
) -> None:
    ours, one = tmp_path / "ours", tmp_path / "one"
    run(Experiment.load("GPIS-s", {"n": 6, "models": "scripted", "max_turns": 3}), one)
    shutil.copytree(one, ours)
    endpoint = Endpoint(server, -1, lambda: None)
    judge_run(one, GEval(samples=1), ModelSpec(name="m", base_url=server.base_url))
    asked = endpoint.answered
    assert asked.total() == len(asked) == 6 * 9 * 2

    def kill() -> None:
        os.kill(worker_pids(ours / "scores" / "geval")[1], signal.SIGKILL)

    endpoint = Endpoint(server, len(asked) // 2, kill)
    judge = ("--judge", "geval", "--set", "samples=1", "--concurrency", f"{IN_FLIGHT}")
    model = ("--model", "m", "--base-url", server.base_url)
    on = ("--ray", cluster.address, "--workers", "2")
    args = ("evaluate", ours, *judge, *model, *on)
    ended = convogen_process(*args, **cluster.environment)
    assert ended.status == 0, ended.err
    assert "died; another" in ended.err
    assert "judged by m" in ended.out
    assert judge_files(ours) == judge_files(one)
    assert set(endpoint.answered) == set(asked)
    assert endpoint.answered.total() - len(asked) <= IN_FLIGHT


def test_a_batch_whose_process_is_killed_is_measured_again(
    cluster: Cluster, tmp_path: Path
) -> None:
    args = (PROGRAMS / "ray_spread.py", cluster.address, tmp_path / "killed")
    ended = forked_file(*args, **cluster.environment)
    assert ended.status == 0, ended.err
    squares, held = json.loads(ended.out)
    assert squares == [n * n for n in range(1, 13)]
    assert (tmp_path / "killed").exists()
    assert held <= 4


def test_statistics_and_exports_are_those_of_one_process(cluster: Cluster, tmp_path: Path) -> None:
    """The run has more than a thousand conversations, because smaller runs are measured locally."""
    texts = (spoken(f"AHello, number {n}!", f"BAnd {n * n} is {n} times {n}.") for n in range(1100))
    records = [played(n, turns) for n, turns in enumerate(texts)]
    folder = write_run(tmp_path / "run", records, n=1100)
    on = ("--ray", cluster.address, "--workers", "1")
    here = convogen("stats", folder, "--workers", "1", "--json")
    there = convogen_process("stats", folder, "--json", *on, **cluster.environment)
    assert there.status == 0, there.err
    assert there.out == here.out
    exported = [tmp_path / "one", tmp_path / "cluster"]
    convogen("export", folder, "--to", "messages", "--out", exported[0])
    args = ("export", folder, "--to", "messages", "--out", exported[1])
    ended = convogen_process(*args, *on, **cluster.environment)
    assert ended.status == 0, ended.err
    contents = [
        {p.relative_to(one): p.read_bytes() for p in one.rglob("*") if p.is_file()}
        for one in exported
    ]
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("address", "complaint"),
    [
        ("10.0.0.1", "must be local, auto, or the HOST:PORT"),
        ("ray://127.0.0.1:10001", "must be local, auto, or the HOST:PORT"),
        ("127.0.0.1:1", "nothing is listening at this address"),
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
    assert "contains a secret" in ended.complaint
    assert "s3cret" not in ended.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "args",
    [
        ("run", "demo", "--model", "scripted"),
        ("evaluate", "runs/any"),
        ("export", "runs/any", "--to", "jsonl"),
    ],
)
def test_workers_are_for_a_cluster(tmp_path: Path, args: tuple[str, ...]) -> None:
    ended = convogen(*args, "--out", tmp_path, "--workers", 2)
    assert ended.status == 2
    assert "--ray local" in ended.complaint


@pytest.mark.parametrize("command", ["run", "evaluate", "stats"])
def test_an_empty_address_is_told(command: str) -> None:
    ended = convogen(command, "demo", "--ray", " ")
    assert ended.status == 2
    assert "--ray is empty" in ended.complaint
