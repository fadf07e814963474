"""Sources of corpora: files, run folders, other folders, and the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.corpora.dailydialog import label_files, labelled_rows
from convogen.corpora.huggingface import hub_rows
from convogen.corpora.rows import Row
from convogen.corpora.sniff import container_of, read_rows
from convogen.errors import SourceError

__all__ = ["Source", "file_of", "open_source"]

_IN_FOLDERS = ("conversations.jsonl", "utterances.jsonl")
"""The files that contain the rows in a run folder and in a ConvoKit corpus, respectively."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source of rows; a `local` source is cheap to read twice."""

    name: str
    rows: Callable[[], Iterator[Row]]
    notes: tuple[str, ...] = ()
    local: bool = True


def open_source(name: str) -> Source:
    """Open a source; raises `SourceError` if the source is missing, empty or unsupported."""
    if name.startswith("hf:"):
        return Source(name, lambda: hub_rows(name), local=False)
    if _is_saved(Path(name)):
        return Source(name, lambda: _saved_rows(Path(name)))
    path = file_of(name)
    container = container_of(path)
    if container.kind == "text" and label_files(path):
        return Source(name, lambda: labelled_rows(path), container.notes)
    return Source(name, lambda: read_rows(path, container), container.notes)


def file_of(name: str) -> Path:
    """Return the data file at a path or in a folder; raises `SourceError` if neither exists."""
    path = Path(name)
    if path.is_dir():
        files = [path / file for file in _IN_FOLDERS if (path / file).is_file()]
        if not files:
            inside = next((file for file in sorted(path.glob("data/*")) if file.is_file()), None)
            example = f" such as {inside}" if inside is not None else ""
            raise SourceError(
                f"{name}: the folder contains no {' or '.join(_IN_FOLDERS)}; give a run folder, or "
                f"a file{example}"
            )
        return files[0]
    if not path.is_file():
        raise SourceError(
            f"{name}: no such file; give a file, a run folder, or hf:OWNER/NAME for a data set on"
            " the Hugging Face hub"
        )
    return path


def _is_saved(path: Path) -> bool:
    return (path / "dataset_dict.json").is_file() or (path / "dataset_info.json").is_file()


def _saved_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a data set that `datasets` saved to disk, one split after another."""
    datasets: Any = import_module("datasets")
    try:
        found: Any = datasets.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(
            f"{path}: cannot be loaded by `datasets`: {reason}; save the data set again"
        ) from None
    splits: list[Any] = list(found.values()) if hasattr(found, "values") else [found]
    number = 0
    for part, split in enumerate(splits):
        for value in split:
            number += 1
            yield Row(number, value, part)
