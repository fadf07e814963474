"""The wheel, installed into a clean environment away from the checkout, works the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def call(*command: str | Path, cwd: Path) -> str:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "OPENAI_API_KEY")}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


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
    listing = call(convogen, "list", cwd=tmp_path)
    assert "16 example experiences" in listing
    assert "everyday" in listing
    call(convogen, "run", "GPIS-s", "--n", "2", "--model", "scripted", cwd=tmp_path)
    from_wheel = (tmp_path / "runs" / "GPIS-s" / "conversations.jsonl").read_bytes()
    here = tmp_path / "here"
    cli = [sys.executable, "-m", "convogen", "run", "GPIS-s", "--n", "2", "--model", "scripted"]
    call(*cli, "--out", here, cwd=ROOT)
    assert from_wheel == (here / "conversations.jsonl").read_bytes()
