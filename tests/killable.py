"""Programs of `tests/programs` in separate processes that a test can kill.

Each is forked from a server that has already imported convogen (`forked`), because the imports take
several times as long as the runs.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from forked import PROCESSES

__all__ = ["run_program"]


def run_program(program: Path, *args: object, timeout_s: float = 240) -> int:
    """Return the exit status of a program, which is the negative signal number if it was killed."""
    process = PROCESSES.Process(target=_main, args=(str(program), [str(arg) for arg in args]))
    process.start()
    process.join(timeout_s)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{program.name} {args}: still running after {timeout_s} s")
    return process.exitcode


def _main(program: str, args: list[str]) -> None:
    sys.argv = [program, *args]
    sys.path.insert(0, str(Path(program).parent))
    runpy.run_path(program, run_name="__main__")
