"""The command line as a user calls it, in this process or in a separate one."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TextIO

from forked import forked_server, run_forked

from convogen.cli.main import main

__all__ = [
    "PROGRAM",
    "Ended",
    "convogen",
    "convogen_process",
    "convogen_server",
    "forked_file",
    "forked_process",
    "python_process",
]

PROGRAM = "from convogen.cli.main import main; main()"
"""The command line as a program for `python -c`."""

_FILE = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"


@dataclass(frozen=True)
class Ended:
    """The exit status of a command and its output."""

    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """Return the error message, which must be a single line."""
        lines = [
            line
            for line in self.err.splitlines()
            if not line.startswith("the scripted model returns ")
        ]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("convogen: ")
        return lines[0]


def convogen(*args: object) -> Ended:
    """Run `convogen ARGS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(arg) for arg in args])
        except SystemExit as ended:
            status = ended.code
    assert isinstance(status, int)
    return Ended(status, out.getvalue(), err.getvalue())


def convogen_process(*args: object, **environment: str) -> Ended:
    """Run `convogen ARGS` in a separate process, in which warnings are errors as well."""
    return forked_process(PROGRAM, *args, **environment)


@contextmanager
def convogen_server(*args: object) -> Iterator[tuple[BaseProcess, TextIO]]:
    """Run `convogen ARGS` in a separate process, which is killed at the end of the block.

    Yield the process and its stdout.
    """
    with forked_server(PROGRAM, [str(arg) for arg in args], dict(os.environ)) as server:
        yield server


def forked_process(program: str, *args: object, **environment: str) -> Ended:
    """Run `python -W error -c PROGRAM ARGS` in a process that has already imported convogen."""
    return Ended(*run_forked(program, [str(arg) for arg in args], {**os.environ, **environment}))


def forked_file(path: Path, *args: object, **environment: str) -> Ended:
    """Run `python -W error PATH ARGS` in a process that has already imported convogen."""
    return forked_process(_FILE, path, *args, **environment)


def python_process(*args: object, **environment: str) -> Ended:
    """Run `python ARGS` in a new interpreter."""
    done = subprocess.run(
        [sys.executable, *(str(arg) for arg in args)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, **environment},
        timeout=240,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
