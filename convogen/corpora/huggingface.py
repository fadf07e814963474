"""Data sets on the Hugging Face hub, read row by row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.corpora.rows import Row
from convogen.errors import SourceError

__all__ = ["hub_rows"]

_NAME = re.compile(r"hf:(?P<name>[^@:]+)(?:@(?P<config>[^:]+))?(?::(?P<split>[\w.-]+))?")

_PART = r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"(?:{_PART}/)?{_PART}", re.ASCII)


def hub_rows(source: str, *, streaming: bool = True) -> Iterator[Row]:
    """Yield the rows in `hf:OWNER/NAME[@CONFIG][:SPLIT]`, from all splits if none is named.

    If `streaming` is false, the data is downloaded to the `datasets` cache and read from there;
    data that is already in the cache can be read offline. Instead of OWNER/NAME, the source may
    name a local folder with data files. Only data is read: `datasets` does not run code that comes
    with a data set. Raises `SourceError` if the name is malformed or the data is unavailable.
    """
    match = _NAME.fullmatch(source)
    if match is None:
        raise SourceError(
            f"{source}: is not a valid data set; write hf:OWNER/NAME[@CONFIG][:SPLIT]"
        )
    folder = Path(match["name"])
    if not (folder.is_absolute() or folder.is_dir() or _REPOSITORY.fullmatch(match["name"])):
        raise SourceError(
            f"{source}: {match['name']!r:.200} is not a data set name; write OWNER/NAME, using "
            f"only letters, digits and the characters - _ ."
        )
    datasets: Any = import_module("datasets")
    number = 0
    try:
        found: Any = datasets.load_dataset(
            match["name"], match["config"], split=match["split"], streaming=streaming
        )
        parts: list[Any] = list(found.values()) if hasattr(found, "values") else [found]
        for part in parts:
            for value in part:
                number += 1
                yield Row(number, value)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"{source}: row {number + 1} cannot be loaded: {reason}; check the name and the"
            " network connection, or download the data set and give the path of its file"
        ) from None
