"""Safe reading of users' text files: only regular files are opened, and only up to a size limit.

A named pipe could block forever, and a device such as `/dev/zero` would fill the memory.
"""

from __future__ import annotations

import codecs
import os
import stat
from io import BufferedReader
from pathlib import Path

from convogen.errors import SourceError, UserError

__all__ = ["LARGEST_BYTES", "open_file", "read_text"]

LARGEST_BYTES = 16 << 20
"""Maximum size, in bytes, of a file that is read as a whole."""


def open_file(path: Path) -> BufferedReader:
    """Open a regular file for reading.

    Raises:
        OSError: The path is not a regular file but, for example, a folder, pipe or device.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            found = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
            raise OSError(None, f"{found}, not a file", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_text(path: Path, where: object = None, raising: type[UserError] = SourceError) -> str:
    """Return the text of a file in UTF-8, or in UTF-16 with a byte-order mark.

    Errors are raised as `raising`, with a one-line message that begins with `where` (default: the
    path).
    """
    where, data = where or path, b""
    try:
        with open_file(path) as file:
            data = file.read(LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise raising(
                f"{where}: cannot be read: the file is larger than {LARGEST_BYTES >> 20} MB"
            )
        utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise raising(
            f"{where}: line {line}: cannot be read: it is not {error.encoding}; convert "
            "the file to UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: the path contains a NUL
        said = getattr(error, "strerror", None) or error
        raise raising(f"{where}: cannot be read: {said}") from error
