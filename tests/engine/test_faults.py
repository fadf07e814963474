"""Disk and machine failures: one line reports the problem, and a repeated command loses nothing."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_line import PROGRAM, Ended, convogen, convogen_process, forked_process, python_process

N = 6
SMALL = ("--model", "scripted", "--set", "max_turns=3", "--set", "personas=generated")
RUN = ("run", "demo", "--n", N, *SMALL, "--out")
DATASET = ("experiences.jsonl", "conversations.jsonl", "failures.jsonl")
LIMITED = """
import resource, signal, sys
limit, ending = int(sys.argv.pop(1)), sys.argv.pop(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
signal.signal(signal.SIGXFSZ, signal.Handlers[ending])
from convogen.cli.main import main
main()
"""


def dataset(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in DATASET]


def calls(folder: Path) -> int:
    return (folder / "ledger.jsonl").read_bytes().count(b"\n")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an undisturbed run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert convogen(*RUN, folder).status == 0
    return folder


def limited(limit: int, ending: str, folder: Path) -> Ended:
    """Run `convogen run` with a limit on the size of every file, in bytes."""
    return forked_process(LIMITED, limit, ending, *RUN, folder)


def kind_of(path: Path) -> str:
    """Return the name of a file, or `journal` for the journal of any task."""
    return "journal" if path.parent.name == "journal" else path.name


def test_a_full_disk_is_told_in_one_line_and_nothing_is_lost(whole: Path, tmp_path: Path) -> None:
    """The limit stops one file after another, each in the middle of a write."""
    folder = tmp_path / "run"
    told: set[str] = set()
    for limit in (300, 1000, 2500, 5500):
        ended = limited(limit, "SIG_IGN", folder)
        assert ended.status == 2
        assert "cannot be written: File too large (all complete rows are kept)" in ended.complaint
        told.add(kind_of(Path(ended.complaint.split(": ")[1])))
    assert told == {"experiment.yaml", "manifest.json", "journal", "calls.jsonl"}
    assert convogen(*RUN, folder).status == 0
    assert dataset(folder) == dataset(whole)
    assert calls(folder) == calls(whole)
    assert not list(folder.glob("*.new"))


def test_a_full_temporary_folder_is_named(tmp_path: Path) -> None:
    sampled = ("run", "demo", "--n", 1, "--model", "scripted", "--out", tmp_path / "run")
    for limit in (10, 4000):
        ended = python_process("-W", "error", "-c", LIMITED, limit, "SIG_IGN", *sampled)
        assert ended.status == 2
        where = f"temporary folder {tempfile.gettempdir()} cannot be written: File too large"
        assert where in ended.complaint


def test_killed_in_the_middle_of_a_write_nothing_is_lost(whole: Path, tmp_path: Path) -> None:
    """The kernel kills the process during the write that exceeds the limit, after its first
    part."""
    folder = tmp_path / "run"
    torn: set[str] = set()
    for limit in (2500, 4000, 7000):
        assert limited(limit, "SIG_DFL", folder).status == -signal.SIGXFSZ
        files = folder.rglob("*.jsonl")
        torn |= {kind_of(p) for p in files if p.read_bytes()[-1:] not in (b"", b"\n")}
    assert torn == {"journal", "calls.jsonl"}
    assert convogen(*RUN, folder).status == 0
    assert dataset(folder) == dataset(whole)
    assert calls(folder) == calls(whole)


def bound_by_permissions() -> list[str]:
    """Return a command prefix that makes file permissions effective even for root."""
    if os.geteuid() != 0:
        return []
    start = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    if not shutil.which("setpriv") or subprocess.run([*start, "true"], check=False).returncode:
        pytest.skip("root may write everywhere, and setpriv is not available")
    return start


@pytest.mark.parametrize("where", [".", "ledger.jsonl", "journal"])
def test_what_is_read_only_is_told_in_one_line(where: str, whole: Path, tmp_path: Path) -> None:
    """The read-only item is the whole folder, a single file, or the folder of the journals."""
    start = bound_by_permissions()
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    closed = [folder, *folder.iterdir()] if where == "." else [folder / where]
    modes = {path: path.stat().st_mode for path in closed}
    for path in closed:
        path.chmod(modes[path] & ~0o222)
    command = [*start, sys.executable, "-W", "error", "-c", PROGRAM, *map(str, (*RUN, folder))]
    done = subprocess.run(
        [*command, "--n", str(N + 1)], capture_output=True, text=True, timeout=60, check=False
    )
    for path in closed:
        path.chmod(modes[path])
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert ended.status == 2
    assert str(folder / where) in ended.complaint
    assert "cannot be written: Permission denied" in ended.complaint
    assert convogen(*RUN, folder).status == 0
    assert dataset(folder) == dataset(whole)


def test_a_clock_that_jumps_back_changes_nothing(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading of the wall clock is a day earlier, while its name for a folder stays the
    same."""
    days = iter(range(2_000_000_000, 0, -86_400))
    monkeypatch.setattr(time, "time", lambda: float(next(days)))
    monkeypatch.setattr(time, "strftime", lambda *_: "20200229T120000")
    folder = tmp_path / "run"
    for n in (1, 2, N):
        assert convogen(*RUN, folder, "--n", n).status == 0
    assert dataset(folder) == dataset(whole)
    assert calls(folder) == calls(whole)
    for _ in range(2):
        assert convogen(*RUN, folder, "--n", 1, "--fresh").status == 0
    assert {path.name for path in tmp_path.iterdir()} == {
        "run",
        "run.20200229T120000",
        "run.20200229T120000-2",
    }


def test_started_several_times_at_once_one_process_writes(whole: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        ended = list(threads.map(lambda _: convogen_process(*RUN, tmp_path / "run"), range(3)))
    assert 0 in [one.status for one in ended]
    for refused in (one for one in ended if one.status != 0):
        assert refused.status == 2
        assert "another process is writing to it" in refused.complaint
    assert dataset(tmp_path / "run") == dataset(whole)
    assert calls(tmp_path / "run") == calls(whole)
