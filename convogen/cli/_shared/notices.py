"""Warnings about the reliability of results, each printed once to stderr."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Generator

__all__ = ["notices"]


@contextlib.contextmanager
def notices(name: str) -> Generator[None]:
    """Print the warnings of a logger and its children to stderr while the block runs.

    A nested block for the same logger has no effect.
    """
    logger, handler = logging.getLogger(name), _Notices()
    if any(isinstance(other, _Notices) for other in logger.handlers):
        yield
        return
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Notices(logging.Handler):
    """A log handler that prints each message once, without a prefix, to the current stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message unless it was printed before; a closed stderr is ignored."""
        from convogen.models.base import printable
        from convogen.redaction import masked

        line = printable(masked(record.getMessage()))
        if line in self._said:
            return
        self._said.add(line)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
