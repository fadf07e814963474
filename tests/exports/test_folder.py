"""The folder of an export: other files are never touched, whatever their names are."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from command_line import convogen, convogen_process, forked_process
from export_runs import played, spoken, write_run

FORMATS = ("jsonl", "csv", "parquet", "hf")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    turns = spoken("Ahello", "Bhi", "Abye")
    return write_run(tmp_path / "run", [played(task, turns) for task in range(3)])


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_folders_beside_keep_what_is_in_them(run: Path, tmp_path: Path) -> None:
    beside = [tmp_path / name for name in ("data.old", "data.new", ".data.tmp")]
    beside.append(tmp_path / ".convogen-export-mine")
    for folder in beside:
        folder.mkdir()
        (folder / "thesis.tex").write_text("mine")
        (folder / "new").mkdir()
    out = tmp_path / "data"
    for more in ((), ("--overwrite",)):
        assert convogen("export", run, "--to", "jsonl", "--out", out, *more).status == 0
    for folder in beside:
        assert (folder / "thesis.tex").read_text() == "mine"
        assert (folder / "new").is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"run", "data"} | {b.name for b in beside}


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_is_replaced_if_it_is_as_it_was_written(
    to: str, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    args = ("export", run, "--to", to, "--out", out)
    assert convogen(*args).status == 0
    assert convogen(*args, "--overwrite").status == 0
    description = json.loads((out / "export.json").read_text())
    del description["files"]  # as earlier versions wrote it
    (out / "export.json").write_text(json.dumps(description))
    assert convogen(*args, "--overwrite").status == 0


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(
    "name", ["notes.txt", "README.md", "sub/cache.bin", "data", "a\nb\x1b[31m"]
)
def test_what_a_user_put_into_an_export_is_not_replaced(
    name: str, to: str, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    args = ("export", run, "--to", to, "--out", out)
    assert convogen(*args).status == 0
    path = out / name
    if path.is_dir():  # a data file, edited by hand
        (path,) = path.iterdir()
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = contents(out)
    ended = convogen(*args, "--overwrite")
    assert ended.status == 2
    shown = path.relative_to(out).as_posix()
    assert (shown if shown.isprintable() else repr(shown)) in ended.complaint
    assert contents(out) == before


@pytest.mark.parametrize("out", ["", ".", "./", "../here", ".."])
def test_the_current_folder_is_no_folder_of_an_export(
    out: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    ended = convogen("export", run, "--to", "jsonl", "--out", out, "--overwrite")
    assert ended.status == 2
    assert ("current folder" if out else "is empty") in ended.complaint
    assert list(here.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} == {"run", "here"}


def test_a_link_to_a_folder_is_followed(run: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "out"
    link.symlink_to(tmp_path / "disk", target_is_directory=True)
    for more in ((), ("--overwrite",)):
        assert convogen("export", run, "--to", "csv", "--out", link, *more).status == 0
    assert link.is_symlink()
    assert (tmp_path / "disk" / "data" / "train.csv").exists()


def test_an_export_killed_while_it_was_put_in_place_is_undone(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert convogen("export", run, "--to", "jsonl", "--out", out).status == 0
    before = contents(out)
    killed = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from convogen.exports.folder import staged\n"
        "out = Path(sys.argv[1])\n"
        "with staged(out, overwrite=True) as folder:\n"
        "    out.rename(folder.with_name('old'))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert forked_process(killed, out).status < 0
    assert not out.exists()
    ended = convogen("export", run, "--to", "csv", "--out", tmp_path / "another")
    assert ended.status == 0
    assert not out.exists(), "the remains of an export to another folder must be kept"
    ended = convogen("export", run, "--to", "csv", "--out", out)
    assert "--overwrite" in ended.complaint
    assert contents(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"run", "out", "another"}


def test_an_export_without_a_row_leaves_no_folder(run: Path, tmp_path: Path) -> None:
    turns = spoken("Ahello")
    alone = write_run(tmp_path / "alone", [played(0, turns)])
    out = tmp_path / "new" / "and" / "out"
    ended = convogen("export", alone, "--to", "messages", "--out", out)
    assert ended.status == 2
    assert "leave out every conversation" in ended.complaint
    assert not (tmp_path / "new").exists()
    assert convogen("export", run, "--to", "messages", "--out", out).status == 0


def test_two_exports_to_one_folder_at_a_time_are_refused(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    within = (
        "import sys\n"
        "from pathlib import Path\n"
        "from command_line import convogen\n"
        "from convogen.exports.folder import staged\n"
        "with staged(Path(sys.argv[1]), overwrite=False) as folder:\n"
        "    ended = convogen('export', sys.argv[2], '--to', 'jsonl', '--out', sys.argv[1])\n"
        "    print(ended.status, ended.complaint)\n"
    )
    tests = str(Path(__file__).parents[1])
    path = os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])
    ended = forked_process(within, out, run, PYTHONPATH=path)
    assert ended.out.startswith("2 "), ended.err
    assert "another process is exporting" in ended.out


def test_what_cannot_be_written_is_told_in_one_line(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for out in (tmp_path / "file" / "out", tmp_path / "file"):
        ended = convogen_process("export", run, "--to", "jsonl", "--out", out)
        assert ended.status == 2
        assert "Traceback" not in ended.err
        assert len(ended.err.strip().splitlines()) <= 4
    assert (tmp_path / "file").read_text() == "mine"
