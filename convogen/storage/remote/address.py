"""URLs of run folders, and the fsspec file systems to which the URLs refer."""

from __future__ import annotations

import os
import re
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.errors import RunFolderError
from convogen.redaction import Secrets, masked

__all__ = ["checked_url", "is_url", "open_file_system"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]*)://(.*)", re.DOTALL)
_NO_STORES = frozenset({"http", "https", "hf", "data", "ftp"})
"""Protocols without an operation that creates a file only if it does not exist yet."""

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY")


def is_url(place: object) -> bool:
    """Return whether a place is a URL, rather than a path or an `hf:` data set."""
    return isinstance(place, str) and "://" in place and _URL.fullmatch(place) is not None


def checked_url(url: str) -> str:
    """Return a URL without trailing slashes.

    Raises `RunFolderError` if the URL cannot belong to a run folder, for example because it
    contains credentials or a query, or names no folder.
    """
    match = _URL.fullmatch(url.strip())
    assert match is not None, "is_url said so"
    scheme, place = match[1].lower(), match[2].rstrip("/")
    shown = masked(url)
    if "::" in url:
        raise RunFolderError(
            f"{shown}: a run folder cannot be on a chain of file systems (::); give the URL on a "
            "single file system"
        )
    if scheme in _NO_STORES:
        raise RunFolderError(
            f"{shown}: a run folder cannot be kept on {scheme}://; use s3://, gs:// or file://"
        )
    if "@" in place.split("/")[0]:
        raise RunFolderError(
            f"{shown}: contains credentials, which do not belong in a URL; pass them in the "
            "environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, …) or in the store's own "
            "configuration file"
        )
    if re.search(r"[?#*\[\]\x00-\x1f]", place):
        raise RunFolderError(
            f"{shown}: the URL must not contain the characters ? # * [ ] or control characters"
        )
    parts = place.split("/")
    folder = parts[1:] if scheme not in ("file", "local", "memory") else parts
    if not any(folder) or {".", ".."} & set(parts):
        raise RunFolderError(
            f"{shown}: does not name a folder; write {scheme}://BUCKET/FOLDER with no . or .."
            if scheme not in ("file", "local")
            else f"{shown}: does not name a folder; write file:///PATH with no . or .."
        )
    return f"{scheme}://{place}"


def open_file_system(url: str) -> tuple[Any, str]:
    """Return the file system to which a checked URL refers, and the folder's path on it.

    Raises `RunFolderError` if the file system's package is not installed, or rejects the URL.
    """
    Secrets(os.environ[name] for name in _SECRETS if os.environ.get(name))
    scheme, place = url.split("://", 1)
    fsspec: Any = import_module("fsspec")
    if scheme in ("file", "local"):
        return fsspec.filesystem("file"), str(Path(place).absolute())
    try:
        file_system, path = fsspec.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f"run pip install 'convogen[{extra}]'" if extra else f"fsspec says: {error}"
        raise RunFolderError(f"{url}: {scheme}:// needs another package; {advice}") from error
    except ValueError as error:
        raise RunFolderError(
            f"{url}: fsspec does not know {scheme}://; use s3://, gs:// or file://, or install the "
            f"package that provides {scheme}://"
        ) from error
    except Exception as error:
        raise RunFolderError(f"{url}: cannot be opened: {masked(_line(error))}") from error
    return file_system, str(path)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
