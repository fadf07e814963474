"""Paths that should be files but are not: pipes, devices and folders. Reading never blocks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from command_line import convogen
from hypothesis import given
from hypothesis import strategies as st

from convogen.errors import SourceError
from convogen.inputs.text_file import LARGEST_BYTES, open_file, read_text

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="named pipes exist only on POSIX systems"
)

SMALL = ("--n", "1", "--set", "max_turns=2", "--set", "participants=2", "--model", "scripted")
RUN = ("run", "demo", *SMALL, "--out", "new")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def no_file(kind: str, path: Path) -> Path:
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    return path


READ = {
    "a prompt": (*RUN, "--set", "prompts.agent=it"),
    "a word list": (*RUN, "--set", "gates=[{gate: safety, words: it}]"),
    "topics": ("run", "diasynth-samsum", "--set", "topics=it", "--model", "scripted"),
    "verdicts": ("verdicts", "--protocol", "unieval", "it"),
    "labels": ("agreement", "--protocol", "unieval", "v.jsonl", "--human", "it"),
    "an experiment": ("run", "it.yaml", *SMALL),
}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("arguments", READ.values(), ids=READ)
def test_what_is_no_file_is_refused_at_once(arguments: tuple[str, ...], kind: str) -> None:
    Path("v.jsonl").write_text('{"choice": "Yes"}\n')
    for name in ("it", "it.yaml"):
        no_file(kind, Path(name))
    ended = convogen(*arguments)
    assert ended.status == 2
    assert "it" in ended.complaint


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    assert convogen("run", "demo", *SMALL, "--out", folder).status == 0
    return folder


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
@pytest.mark.parametrize("name", ["conversations", "experiences", "ledger", "failures"])
def test_a_run_of_which_a_file_is_none_is_refused_at_once(
    name: str, kind: str, finished: Path
) -> None:
    shutil.copytree(finished, "run")
    no_file(kind, Path("run", f"{name}.jsonl"))
    for command in (("show", "run"), ("show", "run", "--sample"), ("replay", "run")):
        ended = convogen(*command)
        assert ended.status == 2, command
        assert f"{name}.jsonl" in ended.complaint


@pytest.mark.parametrize("name", ["report.html", "report.md", "report.json"])
def test_what_is_no_file_is_nothing_that_a_report_replaces(name: str, finished: Path) -> None:
    no_file("pipe", Path(name))
    ended = convogen("report", finished, "--out", ".")
    assert (ended.status, name in ended.complaint) == (2, True)
    assert Path(name).is_fifo()


@given(st.text().filter(lambda text: "\ufeff" not in text[:1]))
def test_a_text_is_read_as_it_is_in_either_encoding(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "text"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        path.write_bytes(text.encode(encoding))
        assert read_text(path) == text


def test_more_than_fits_is_not_read(tmp_path: Path) -> None:
    with (path := tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    with pytest.raises(SourceError, match="larger than 16 MB"):
        read_text(path)
    with open_file(path) as file:
        assert file.read(1) == b"\0"


def test_a_nul_in_a_path_is_one_line() -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read_text(Path("a\0b"))
