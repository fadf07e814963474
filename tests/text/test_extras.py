"""Modules of extras that are installed but cannot be loaded count as not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import forked_process

BROKEN = ("lingua", "rjieba", "fugashi", "pythainlp")
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from convogen.cli.main import main; main()"
)
LINES = {"zh": "你今天去不去图书馆？", "ja": "駅まで歩きます。", "th": "วันนี้ไปไหนมา"}


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    for name in BROKEN:
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "__init__.py").write_text("raise ImportError('libm.so.9')")
    return tmp_path / "broken"


@pytest.mark.parametrize("language", LINES)
def test_a_segmenter_that_does_not_load_leaves_a_dash(
    language: str, broken: Path, tmp_path: Path
) -> None:
    (tmp_path / "said.txt").write_text(f"A: {LINES[language]}\nB: {LINES[language]}\n", "utf-8")
    told = forked_process(PROGRAM, broken, "stats", tmp_path / "said.txt")
    assert told.status == 0, told.err
    assert f"convogen[{language}]" in told.out


def test_a_detector_that_does_not_load_is_named(broken: Path) -> None:
    asked = ("run", "GPIS-s", "--model", "scripted", "--language", "de", "--out", "run")
    told = forked_process(PROGRAM, broken, *asked)
    assert told.status == 2
    assert "pip install 'convogen[lingua]'" in told.complaint
