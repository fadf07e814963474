"""What a user should know before trusting a result, on stderr: warnings, each printed once."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Generator

__all__ = ["notices"]


@contextlib.contextmanager
def notices(name: str) -> Generator[None]:
    """Print the warnings of a logger, and of those below it, to stderr inside the block.

    A block within another of the same logger changes nothing.
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
    """The message alone, once, on whatever stderr is at the time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print a message that was not printed yet; a stderr that is gone ends nothing."""
        from convogen.models.base import printable
        from convogen.redaction import masked

        line = printable(masked(record.getMessage()))
        if line in self._said:
            return
        self._said.add(line)
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(line + "\n")
