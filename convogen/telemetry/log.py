"""The log of a run: `log.jsonl` in the run folder and, with `--verbose`, lines on stderr.

Modules log through children of the `convogen` logger. A record is a short message with its values
in `extra`. The log is for users and their tools; convogen itself never reads it. The size of the
file is bounded. If the file cannot be written, the run continues without it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import logging.handlers
import math
import sys
import time
from collections.abc import Generator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, cast

from convogen.errors import RunFolderError
from convogen.jsonl import mend_last_line
from convogen.models.base import encodable
from convogen.redaction import masked
from convogen.visible import visible

__all__ = ["facts_of", "run_log", "verbose", "warnings_on_screen"]

ROOT = logging.getLogger("convogen")
ROOT.addHandler(logging.NullHandler())  # without a handler, Python prints warnings to stderr
MAX_BYTES = 8 << 20
"""Size in bytes at which `log.jsonl` is renamed to `log.jsonl.1`, replacing any older file."""

LONGEST = 2000
"""Maximum length of a string in the log, in characters."""

STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Standard attributes of log records; all other attributes are values to log."""

_current: ContextVar[Path | None] = ContextVar("convogen_log", default=None)


@contextlib.contextmanager
def run_log(path: Path, max_bytes: int = MAX_BYTES) -> Generator[None]:
    """Write the log records from the block, and from tasks started in the block, to `path`.

    If the `convogen` logger has no level, its level is INFO during the block.
    """
    handler = _RunLog(path, max_bytes)
    before = _current.set(path)
    handler.lowered = ROOT.level == logging.NOTSET or any(h.lowered for h in _run_logs())
    if ROOT.level == logging.NOTSET:
        ROOT.setLevel(logging.INFO)
    ROOT.addHandler(handler)
    try:
        yield
    finally:
        ROOT.removeHandler(handler)
        handler.close()
        _current.reset(before)
        if handler.lowered and not _run_logs():
            ROOT.setLevel(logging.NOTSET)


@contextlib.contextmanager
def verbose(times: int) -> Generator[None]:
    """Print the log records from the block to stderr.

    Args:
        times: Number of `--verbose` options: 0 prints nothing, 1 prints records of level INFO or
            higher, and 2 or more also print DEBUG records.
    """
    if not times:
        yield
        return
    handler, before = _Screen(), ROOT.level
    ROOT.setLevel(logging.DEBUG if times > 1 else logging.INFO)
    ROOT.addHandler(handler)
    try:
        yield
    finally:
        ROOT.removeHandler(handler)
        ROOT.setLevel(before)


@contextlib.contextmanager
def warnings_on_screen() -> Generator[None]:
    """Print warnings and errors logged in the block to stderr, unless `verbose` already does."""
    if any(isinstance(handler, _Screen) for handler in ROOT.handlers):
        yield
        return
    handler = _Screen()
    handler.setLevel(logging.WARNING)
    ROOT.addHandler(handler)
    try:
        yield
    finally:
        ROOT.removeHandler(handler)


class JsonLine(logging.Formatter):
    """Formats a record as a JSON object: `at`, `level`, `logger`, `event`, then the record's
    values."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line in which secrets are masked and long strings are truncated."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        row = {
            "at": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            **_facts(record),
        }
        return json.dumps(_plain(row), ensure_ascii=False, allow_nan=False)


class PlainLine(logging.Formatter):
    """Formats a record as one human-readable line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without control characters, in which secrets are masked."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        facts = [
            f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
            for name, value in _plain(_facts(record)).items()
        ]
        source = record.name.removeprefix("convogen.")
        event = masked(record.getMessage())
        line = " ".join([at, record.levelname, f"{source}:", event, *facts])
        return visible(" ".join(line.split()))


def facts_of(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Return a record's message, and the record's values as JSON data.

    Secrets are masked and long strings are truncated.
    """
    return _text(record.getMessage()), _plain(_facts(record))


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts = {
        name: value
        for name, value in vars(record).items()
        if name not in STANDARD and not name.startswith("_")  # set by libraries such as Ray
    }
    if record.exc_info and record.exc_info[1] is not None:
        error = record.exc_info[1]
        facts |= {"error": type(error).__name__, "detail": str(error)}
    return facts


def _plain(value: Any, depth: int = 4) -> Any:
    """Return a value as JSON data: strings are masked and truncated, other types become strings."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and depth:
        items = cast("Mapping[Any, Any]", value).items()
        return {_text(key): _plain(item, depth - 1) for key, item in items}
    if isinstance(value, list | tuple) and depth:
        return [_plain(item, depth - 1) for item in cast("list[Any]", value)[:100]]
    return _text(value)


def _text(value: Any) -> str:
    return encodable(masked(str(value))[:LONGEST])


class _RunLog(logging.handlers.RotatingFileHandler):
    """The log file of one run. It records only that run's tasks, and it never raises an error."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=1, encoding="utf-8", delay=True)
        self.lowered = False
        self.setFormatter(JsonLine())
        self.addFilter(lambda _: _current.get() == path)
        with contextlib.suppress(OSError, RunFolderError):
            mend_last_line(path)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Close a file that cannot be written, and drop its pending output."""
        stream, self.stream = self.stream, cast("Any", None)
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()

    def close(self) -> None:
        """Close the file, even if its last output cannot be written."""
        with contextlib.suppress(OSError):
            super().close()


class _Screen(logging.Handler):
    """Writes lines to the current stderr, which a progress display may have replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(PlainLine())

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record as one line; do nothing if stderr is closed."""
        if sys.stderr is None:
            return
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")


def _run_logs() -> list[_RunLog]:
    return [handler for handler in ROOT.handlers if isinstance(handler, _RunLog)]
