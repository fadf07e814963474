"""The wheel, installed into a clean environment away from the checkout, works the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAID = [{"role": "user", "content": "Is it raining?"}, {"role": "assistant", "content": "Yes."}]
WITHOUT = {
    "run demo --n 1 --out demo": "embedded",
    "train chats.jsonl --held-out other.jsonl --base here": "train",
    "evaluate runs/GPIS-s --judge fed --model transformers:here": "train",
}
"""Commands that need more than the base install, and the extra they name."""


def call(*command: str | Path, cwd: Path, status: int = 0, **more: str) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OPENAI_API_KEY")}
    home = {"XDG_DATA_HOME": str(cwd / "home"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        command, cwd=cwd, env=clean | home | more, capture_output=True, text=True, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status or more else done.stdout


@pytest.mark.slow
def test_the_wheel_carries_all_it_needs(tmp_path: Path) -> None:
    call(
        sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path / "dist", ROOT, cwd=tmp_path
    )
    wheel = next((tmp_path / "dist").glob("*.whl"))
    call(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    call(python, "-m", "pip", "install", "-q", "-c", constraints, wheel, cwd=tmp_path)
    convogen = tmp_path / "venv" / "bin" / "convogen"

    where = call(python, "-c", "import convogen; print(convogen.__file__)", cwd=tmp_path)
    assert where.startswith(str(tmp_path))
    assert Path(where.strip()).with_name("py.typed").is_file()
    listing = call(convogen, "list", cwd=tmp_path)
    assert "19 example experiences" in listing
    assert "everyday" in listing
    call(convogen, "run", "GPIS-s", "--n", "2", "--model", "scripted", cwd=tmp_path)
    from_wheel = (tmp_path / "runs" / "GPIS-s" / "conversations.jsonl").read_bytes()
    here = tmp_path / "here"
    cli = [sys.executable, "-m", "convogen", "run", "GPIS-s", "--n", "2", "--model", "scripted"]
    call(*cli, "--out", here, cwd=ROOT)
    assert from_wheel == (here / "conversations.jsonl").read_bytes()

    run = "runs/GPIS-s"
    assert "2 of 2" in call(convogen, "show", run, cwd=tmp_path)
    assert "MTLD" in call(convogen, "stats", run, cwd=tmp_path)
    call(convogen, "report", run, "--out", "page", cwd=tmp_path)
    assert any((tmp_path / "page").glob("*.html"))
    for form in ("jsonl", "parquet", "csv", "hf", "messages", "sharegpt"):
        call(convogen, "export", run, "--to", form, "--out", form, cwd=tmp_path)
        assert (tmp_path / form / "README.md").is_file()

    for name in ("chats.jsonl", "other.jsonl"):
        (tmp_path / name).write_text(json.dumps({"messages": SAID, "topic": "rain"}) + "\n")
    for command, extra in WITHOUT.items():
        told = call(convogen, *command.split(), cwd=tmp_path, status=2).splitlines()[-1]
        assert told.startswith("convogen: "), told
        assert f"pip install 'convogen[{extra}]'" in told, told
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert "convogen[otel]" in call(convogen, "list", cwd=tmp_path, **collector)
