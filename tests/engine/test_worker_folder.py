"""Workers' folders: those of live workers are kept, and those of killed workers are removed."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from convogen.engine.distributed.worker_folder import WorkerFolder, remove_abandoned

PROGRAM = """
import sys
from convogen.engine.distributed.worker_folder import WorkerFolder
folder = WorkerFolder()
(folder.path / "0").mkdir()
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not removed on Windows")
def test_folders_of_killed_workers_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "convogen-worker-link").symlink_to(elsewhere)
    mine = WorkerFolder()
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=pipe, stdout=pipe, text=True
    ) as process:
        assert process.stdout is not None
        other = Path(process.stdout.readline().strip())
        remove_abandoned()
        assert other.is_dir()
        process.send_signal(signal.SIGKILL)
    assert (other / "0").is_dir()
    remove_abandoned()
    assert not other.exists()
    assert elsewhere.is_dir()
    assert mine.path.is_dir()
    mine.remove()
    assert not mine.path.exists()
