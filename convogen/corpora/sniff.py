"""Which container a file is, told by its first bytes; its name only helps where they do not."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any, cast

from convogen.corpora.rows import open_bytes
from convogen.errors import SourceError

__all__ = ["container_of"]

_HEAD = 256 * 1024


def container_of(path: Path) -> str:
    """One of the containers of `read_rows`; raises `SourceError` for one empty or unreadable."""
    try:
        with open_bytes(path) as file:
            head = file.read(_HEAD)
    except (OSError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    if head.startswith(b"PAR1"):
        return "parquet"
    text = head.decode(errors="replace").removeprefix("\ufeff").lstrip()
    if not text:
        raise SourceError(f"{path}: empty: there is nothing to read")
    suffix = next((end for end in reversed(path.suffixes) if end != ".gz"), "").lower()
    if suffix in (".jsonl", ".ndjson"):
        return "jsonl"
    if text[0] in "{[":
        return _json(text)
    header = text.splitlines()[0]
    if header.startswith("conv_id,utterance_idx,"):
        return "commas"
    if suffix == ".csv" or (header.count(",") >= 3 and "\t" not in text and "__eou__" not in text):
        return "csv"
    return "text"


def _json(text: str) -> str:
    """`jsonl` where the first line is a whole conversation, else `json`.

    A list alone on its line is one conversation where it holds strings, and an array of
    conversations where it holds objects or lists.
    """
    lines = text.splitlines()
    try:
        first: Any = json.loads(lines[0])
    except (ValueError, RecursionError):
        second = lines[1].lstrip()[:1] if len(lines) > 1 else ""
        return "jsonl" if text[0] == "{" and len(lines[0]) > 1 and second == "{" else "json"
    if isinstance(first, list):
        items = cast("list[Any]", first)
        return "jsonl" if items and all(isinstance(item, str) for item in items) else "json"
    arrays = cast("dict[str, Any]", first)
    whole = len(lines) == 1 and arrays and all(_rows(value) for value in arrays.values())
    return "json" if whole else "jsonl"


def _rows(value: Any) -> bool:
    """An array of conversations, not of messages: what a split's name leads to."""
    if not isinstance(value, list) or not value:
        return False
    first: Any = cast("list[Any]", value)[0]
    marks = {"role", "from", "speaker"}
    return isinstance(first, dict) and not marks & set(cast("dict[str, Any]", first))
