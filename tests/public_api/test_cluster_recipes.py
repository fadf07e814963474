"""The recipes in examples/cluster are valid, and the recipe for a single machine is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from documentation import ROOT
from endpoint_server import Asked, Bytes, EndpointServer

from benchmarks.endpoint import reply_to
from benchmarks.scale_arithmetic import outlook
from convogen import Experiment, load_run, run
from convogen.cli.main import cli

CLUSTER = ROOT / "examples" / "cluster"
SCRIPTS = sorted([*CLUSTER.glob("*.sh"), *CLUSTER.glob("*.sbatch")])
PAGE = (ROOT / "docs" / "how-to" / "scale.md").read_text("utf-8")
SERVER = ROOT / "tests" / "programs" / "served_endpoint.py"
DATASET = ("experiences", "conversations", "failures", "rejected", "calls")


def manifests(name: str) -> dict[str, dict[str, Any]]:
    """Return the objects in a file by kind."""
    return {one["kind"]: one for one in yaml.safe_load_all((CLUSTER / name).read_text("utf-8"))}


def values_of(key: str, tree: Any) -> Iterator[Any]:
    """Yield all values of a key in a tree."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            if name == key:
                yield value
            yield from values_of(key, value)
    elif isinstance(tree, list):
        for value in tree:
            yield from values_of(key, value)


def test_the_page_names_every_recipe() -> None:
    for path in CLUSTER.iterdir():
        assert f"`examples/cluster/{path.name}`" in PAGE, path.name


def test_the_table_of_the_page_is_made_from_the_measured_constants() -> None:
    constants = json.loads((ROOT / "benchmarks" / "scale_arithmetic.json").read_text())
    assert "\n".join(outlook(constants["large"])) in PAGE


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound(path: Path) -> None:
    shellcheck = shutil.which(
        "shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    subprocess.run(["bash", "-n", path], check=True)
    assert path.suffix != ".sh" or os.access(path, os.X_OK)


def test_the_experiment_plays(tmp_path: Path) -> None:
    overrides = {"n": 2, "models": "scripted"}
    made = run(Experiment.load(CLUSTER / "chats.yaml", overrides=overrides), out=tmp_path / "run")
    assert len(list(made.conversations())) == 2


def free_ports(n: int) -> int:
    """Return the first of several consecutive free ports."""
    for first in range(20_000, 30_000, n):
        try:
            with ExitStack() as stack:
                for port in range(first, first + n):
                    one = stack.enter_context(socket.socket())
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise AssertionError("no ports are free")


@pytest.mark.skipif(sys.platform == "win32", reason="the recipe is a bash script")
def test_a_run_on_one_machine_survives_a_server(endpoint: EndpointServer, tmp_path: Path) -> None:
    """Three test endpoints represent servers of a model, and one dies at its twentieth call."""
    settings = {"n": 12, "lanes": 2, "max_turns": 4}

    def script(asked: Asked) -> Bytes:
        return Bytes(json.dumps(reply_to(asked.body)[0]).encode())

    endpoint.script = script
    models = {"default": {"name": "chat-model", "base_url": endpoint.base_url}}
    one = tmp_path / "one"
    run(Experiment.load(CLUSTER / "chats.yaml", overrides={**settings, "models": models}), out=one)

    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "convogen").write_text(f'#!/bin/sh\nexec {sys.executable} -m convogen "$@"\n')
    (commands / "convogen").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SERVER": f"{sys.executable} {SERVER} --dies 1=20",
        "GPUS": "0 1 2",
        "PORT": str(first := free_ports(3)),
    }
    words = [f"--set={key}={value}" for key, value in settings.items()]
    script_words = [CLUSTER / "one-machine.sh", CLUSTER / "chats.yaml", *words, "--out", "three"]
    done = subprocess.run(
        script_words, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    three = tmp_path / "three"
    for name in DATASET:
        assert (three / f"{name}.jsonl").read_bytes() == (one / f"{name}.jsonl").read_bytes(), name
    answered = [
        (tmp_path / "logs" / f"server-{first + at}.log").read_text().count("POST")
        for at in range(3)
    ]
    assert answered[1] == 19
    assert min(answered[0], answered[2]) > answered[1]
    calls = len(list(load_run(one).ledger()))
    assert sum(answered) == calls
    with socket.socket() as port:  # the servers have ended
        assert port.connect_ex(("127.0.0.1", first)) != 0


@pytest.mark.skipif(sys.platform == "win32", reason="the recipe is a bash script")
def test_a_server_that_does_not_start_ends_the_script(tmp_path: Path) -> None:
    environment = {**os.environ, "SERVER": "false", "GPUS": "0", "PORT": str(free_ports(1))}
    done = subprocess.run(
        [CLUSTER / "one-machine.sh", CLUSTER / "chats.yaml"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "a server ended before it was ready: see logs/server-" in done.stderr


def test_the_job_asks_the_servers_that_there_are() -> None:
    servers, job = manifests("vllm.yaml"), manifests("kuberay.yaml")["RayJob"]
    named, service = servers["StatefulSet"], servers["Service"]
    program, command, *words = shlex.split(job["spec"]["entrypoint"])
    assert (program, command) == ("convogen", "run")
    run_command = cli.get_command(click.Context(cli), command)
    assert run_command is not None
    context = run_command.make_context(command, words)
    base, port = named["metadata"]["name"], service["spec"]["ports"][0]["port"]
    assert context.params["base_urls"] == tuple(
        f"http://{base}-{at}.{named['spec']['serviceName']}:{port}/v1"
        for at in range(named["spec"]["replicas"])
    )
    assert named["spec"]["serviceName"] == service["metadata"]["name"]
    labels = named["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == named["spec"]["selector"]["matchLabels"] == labels
    (workers,) = job["spec"]["rayClusterSpec"]["workerGroupSpecs"]
    (container,) = workers["template"]["spec"]["containers"]
    cpus = workers["replicas"] * container["resources"]["limits"]["cpu"]
    assert context.params["workers"] == cpus
    experiment = Experiment.load(CLUSTER / "chats.yaml")
    model = f"--served-model-name={experiment.model('agent').name}"
    assert model in next(values_of("args", named))
    assert cpus <= experiment.method.lineages()


def test_keys_are_in_secrets_alone() -> None:
    for name in ("vllm.yaml", "kuberay.yaml"):
        text = (CLUSTER / name).read_text("utf-8")
        found = list(yaml.safe_load_all(text))
        for variables in values_of("env", found):
            plain = {one["name"] for one in variables if set(one) != {"name", "valueFrom"}}
            assert plain <= {"HF_HOME"}
        used = {ref["name"] for ref in values_of("secretKeyRef", found)}
        assert used == {"model-key"}
    assert manifests("kuberay.yaml")["RayJob"]["spec"]["rayClusterSpec"]["authOptions"] == {
        "mode": "token"
    }


def test_volumes_are_mounted_by_their_names() -> None:
    for name in ("vllm.yaml", "kuberay.yaml"):
        for pod in values_of("template", list(manifests(name).values())):
            spec = pod["spec"]
            mounted = {one["name"] for at in values_of("volumeMounts", spec) for one in at}
            there = {one["name"] for one in spec.get("volumes", [])}
            assert mounted - there <= {"weights"}
            assert there <= mounted


def test_the_image_has_the_ray_of_the_cluster() -> None:
    (image,) = re.findall(r"^FROM rayproject/ray:(\S+)-py311$", _text("Dockerfile"), re.MULTILINE)
    (pinned,) = re.findall(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    job = manifests("kuberay.yaml")["RayJob"]
    assert job["spec"]["rayClusterSpec"]["rayVersion"] == image == pinned


def test_ray_serve_serves_the_model_of_the_experiment() -> None:
    (served,) = yaml.safe_load(_text("ray-serve.yaml"))["applications"]
    (model,) = served["args"]["llm_configs"]
    name = Experiment.load(CLUSTER / "chats.yaml").model("agent").name
    assert model["model_loading_config"]["model_id"] == name


def _text(name: str) -> str:
    return (CLUSTER / name).read_text("utf-8")
