"""Printing of lines to the terminal, and guarded output streams.

Control characters never reach the terminal. Formatted output uses `console.py`, which follows the
same rule.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator, Iterable
from typing import IO, Any

import click

from convogen.redaction import masked
from convogen.storage.remote.shown import shown
from convogen.visible import as_json, visible

__all__ = ["guarded_streams", "say", "say_json", "say_nothing_more"]


def say(text: object = "", *, err: bool = False) -> None:
    """Print a line to stdout or stderr; secrets are masked on stderr."""
    line = shown(str(text))
    click.echo(visible(masked(line) if err else line), err=err)


def say_json(value: Any, indent: int | None = None) -> None:
    """Print a value as JSON."""
    click.echo(shown(as_json(value, indent)))


@contextlib.contextmanager
def guarded_streams() -> Generator[None]:
    """Guard stdout and stderr while the block runs.

    If the reader of stdout closes the pipe, the command ends silently with status 0. Output that
    cannot be written to stderr is dropped.
    """
    before = sys.stdout, sys.stderr
    if sys.stdout is not None:  # a process may be started without streams
        sys.stdout = _Pipe(sys.stdout)
    if sys.stderr is not None:
        sys.stderr = _Notices(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def say_nothing_more() -> None:
    """Flush stdout; raises the same errors as printing does."""
    if sys.stdout is not None:
        sys.stdout.flush()


class _Stream:
    """A stream that reports its failures to `_failed`."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._refused: OSError | None = None

    def write(self, text: str) -> int:
        """Write text to the stream; failures are reported to `_failed`."""
        try:
            self._check()
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
            return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write lines to the stream."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream; failures are reported to `_failed`."""
        try:
            self._check()
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _check(self) -> None:
        """Raise the first failure again, because a library such as click may have swallowed it."""
        if self._refused is not None:
            raise self._refused

    def _failed(self, error: OSError) -> None:
        raise NotImplementedError

    def _let_go(self) -> None:
        """Redirect the stream to the null device, because buffered output would fail again at
        exit."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Pipe(_Stream):
    def _failed(self, error: OSError) -> None:
        if self._refused is None:
            self._let_go()
        self._refused = error
        if isinstance(error, BrokenPipeError):
            raise SystemExit(0) from None
        raise OSError(error.errno, error.strerror, "standard output") from error


class _Notices(_Stream):
    def _failed(self, error: OSError) -> None:
        self._let_go()
