"""Python processes that are forked from a server in which large packages are already imported.

These processes behave like any others, but start in a tenth of the time, because most commands take
less time than the imports. If a test concerns the interpreter itself (its options, variables, hash
seed or imports), use `command_line.python_process` instead.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TextIO

from convogen.cli.main import COMMANDS
from convogen.plugins.registry import BUILT_IN

__all__ = ["PROCESSES", "forked_server", "run_forked"]

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(
    [
        *(f"convogen.cli.{command}" for command in COMMANDS),
        *(place.partition(":")[0] for kind in BUILT_IN.values() for place in kind.values()),
        "convogen.cli._shared.diasynth_tables",
        "convogen.cli._shared.display",
        "convogen.cli._shared.notices",
        "convogen.cli._shared.plugins",
        "convogen.engine.judge_runner",
        "convogen.engine.runner",
        "convogen.groupchat.chat",
        "convogen.methods.convogen.play",
        "convogen.metrics.statistics",
        "convogen.models.backends.scripted",
        "convogen.reports.evaluation",
        "convogen.reports.page",
        "convogen.reports.report",
        "datasets",
        "langcodes",
        "lexicalrichness",
        "sacrebleu",
        "scipy.stats",
    ]
)


def run_forked(
    program: str, args: list[str], environment: dict[str, str], timeout_s: float = 240
) -> tuple[int, str, str]:
    """Run a program, and return its exit status, stdout and stderr.

    The exit status of a killed process is the negative signal number.

    Args:
        program: Program text, as for `python -W error -c`.
        args: Command-line arguments.
        environment: All environment variables of the process.
        timeout_s: Time in seconds after which the process is killed and the test fails.
    """
    (out, child_out), (err, child_err) = PROCESSES.Pipe(duplex=False), PROCESSES.Pipe(duplex=False)
    children = {1: child_out, 2: child_err}
    process = PROCESSES.Process(target=_main, args=(program, args, environment, children))
    process.start()
    child_out.close()
    child_err.close()
    with ThreadPoolExecutor(2) as threads:
        printed = [threads.submit(_text, connection) for connection in (out, err)]
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            raise TimeoutError(f"{args}: still running after {timeout_s} s")
        return process.exitcode, printed[0].result(), printed[1].result()


@contextmanager
def forked_server(
    program: str, args: list[str], environment: dict[str, str]
) -> Iterator[tuple[BaseProcess, TextIO]]:
    """Run a program until the block ends, when it is killed; yield its process and its stdout.

    The arguments are those of `run_forked`; stderr is the one of the tests.
    """
    out, child_out = PROCESSES.Pipe(duplex=False)
    process = PROCESSES.Process(target=_main, args=(program, args, environment, {1: child_out}))
    process.start()
    child_out.close()
    try:
        with out, open(out.fileno(), encoding="utf-8", closefd=False) as stream:
            yield process, stream
    finally:
        process.kill()
        process.join()


def _text(connection: Connection) -> str:
    with connection, open(connection.fileno(), encoding="utf-8", closefd=False) as stream:
        return stream.read()


def _main(
    program: str, args: list[str], environment: dict[str, str], streams: dict[int, Connection]
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, connection in streams.items():
        os.dup2(connection.fileno(), descriptor)
        connection.close()
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - to the end
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.argv = ["-c", *args]
    sys.path[:0] = environment.get("PYTHONPATH", "").split(os.pathsep)
    warnings.simplefilter("error")
    try:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
    except Exception:  # noqa: BLE001 - as the interpreter would
        sys.excepthook(*sys.exc_info())
        sys.exit(1)
