"""The wheel works in a clean environment, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from command_line import convogen_process
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SAID = [{"role": "user", "content": "Is it raining?"}, {"role": "assistant", "content": "Yes."}]
WITHOUT = {
    "run demo --n 1 --out demo": "embedded",
    "train chats.jsonl --held-out other.jsonl --base here": "train",
    "evaluate runs/GPIS-s --judge fed --model transformers:here": "train",
}
"""Commands that need more than the base installation, with the extra that they should name."""

FORMS = ("jsonl", "parquet", "csv", "hf", "messages", "sharegpt")

SEVERAL = """
import sys
from convogen.cli.main import main
status, *commands = sys.argv[1:]
for command in commands:
    try:
        main(command.split())
    except SystemExit as ended:
        assert ended.code == int(status), command
"""
"""A program that runs several commands in one process, because each imports many modules."""


def call(*command: str | Path, cwd: Path, stderr: bool = False, **more: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OPENAI_API_KEY")}
    home = {"XDG_DATA_HOME": str(cwd / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=clean | home | more, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr if stderr else done.stdout


def base_packages() -> dict[str, Distribution]:
    """Return the installed distributions on which the base installation depends, recursively."""
    found: dict[str, Distribution] = {}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    left = [Requirement(text) for text in project["dependencies"]]
    seen = set[tuple[str, str]]()
    while left:
        wanted = left.pop()
        for extra in ("", *wanted.extras):
            name = canonicalize_name(wanted.name)
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found[name] = distribution(name)
            for text in found[name].requires or []:
                needed = Requirement(text)
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    left.append(needed)
    return found


def link(packages: Iterable[Distribution], site: Path) -> None:
    """Install distributions into an environment with links to their files instead of pip's
    copies."""
    for package in packages:
        for file in package.files or []:
            if ".." in file.parts:
                continue  # a script
            place = site / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            place.symlink_to(file.locate())


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with only the wheel and the dependencies of the base installation.

    The versions are those that `make install` installed according to the constraints.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = (sys.executable, "-m", "build", "--wheel", "--no-isolation")
    call(*build, "--outdir", folder / "dist", ROOT, cwd=folder)
    venv.create(folder / "venv", symlinks=True)
    python = folder / "venv" / "bin" / "python"
    (site,) = folder.glob("venv/lib/python*/site-packages")
    link(base_packages().values(), site)
    wheels = (folder / "dist").glob("*.whl")
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-index")
    call(*pip, "--disable-pip-version-check", *wheels, cwd=folder)
    return folder / "venv" / "bin"


@pytest.mark.slow
def test_the_wheel_carries_all_it_needs(environment: Path, tmp_path: Path) -> None:
    python, convogen = environment / "python", environment / "convogen"
    where = call(python, "-c", "import convogen; print(convogen.__file__)", cwd=tmp_path)
    assert where.startswith(str(environment.parent))
    assert Path(where.strip()).with_name("py.typed").is_file()
    call(convogen, "run", "GPIS-s", "--n", "2", "--model", "scripted", cwd=tmp_path)
    from_wheel = (tmp_path / "runs" / "GPIS-s" / "conversations.jsonl").read_bytes()
    here = tmp_path / "here"
    convogen_process("run", "GPIS-s", "--n", "2", "--model", "scripted", "--out", here)
    assert from_wheel == (here / "conversations.jsonl").read_bytes()

    run = "runs/GPIS-s"
    exports = [f"export {run} --to {form} --out {form}" for form in FORMS]
    commands = ["list", f"show {run}", f"stats {run}", f"report {run} --out page", *exports]
    printed = call(python, "-c", SEVERAL, "0", *commands, cwd=tmp_path)
    for expected in ("19 example experiences", "everyday", "2 of 2", "MTLD"):
        assert expected in printed
    assert any((tmp_path / "page").glob("*.html"))
    for form in FORMS:
        assert (tmp_path / form / "README.md").is_file()

    for name in ("chats.jsonl", "other.jsonl"):
        (tmp_path / name).write_text(json.dumps({"messages": SAID, "topic": "rain"}) + "\n")
    told = call(python, "-c", SEVERAL, "2", *WITHOUT, cwd=tmp_path, stderr=True)
    complaints = [line for line in told.splitlines() if line.startswith("convogen: ")]
    for complaint, extra in zip(complaints, WITHOUT.values(), strict=True):
        assert f"pip install 'convogen[{extra}]'" in complaint
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert "convogen[otel]" in call(convogen, "list", cwd=tmp_path, stderr=True, **collector)
