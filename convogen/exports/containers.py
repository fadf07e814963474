"""Writers that store rows in batches, so that no split has to fit into memory."""

from __future__ import annotations

import csv
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from convogen.corpora.cells import protected
from convogen.exports.base import Column, Container

__all__ = ["Writer", "arrow_schema", "finish", "open_writer", "quiet"]

BATCH_ROWS = 1_000
BATCH_BYTES = 8 * 2**20
"""Maximum number of rows and of characters per batch, which bound memory use per split."""

HF = "hf"
_PART = ".arrow-stream"


class Writer(ABC):
    """A split's file that is open for writing."""

    @abstractmethod
    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row."""

    @abstractmethod
    def close(self) -> None:
        """Write the remaining rows and close the file."""


def open_writer(
    container: Container,
    folder: Path,
    split: str,
    columns: Mapping[str, Column],
    csv_safe: bool = True,
) -> Writer:
    """Open a split for writing: `data/<split>.<container>`, or a part of a `DatasetDict`.

    If `csv_safe` is true, text in CSV is protected against evaluation as spreadsheet formulas.
    """
    openers: dict[str, Callable[[], Writer]] = {
        "jsonl": lambda: _Jsonl(folder / "data" / f"{split}.jsonl"),
        "csv": lambda: _Csv(folder / "data" / f"{split}.csv", list(columns), csv_safe),
        "parquet": lambda: _Arrow(folder / "data" / f"{split}.parquet", columns),
        HF: lambda: _Arrow(folder / f"{split}{_PART}", columns),
    }
    (folder if container == HF else folder / "data").mkdir(exist_ok=True)
    return openers[container]()


def finish(container: Container, folder: Path, splits: Sequence[str]) -> None:
    """Complete the folder after all splits are closed; only a `DatasetDict` needs this step."""
    if container != HF:
        return
    datasets: Any = import_module("datasets")
    parts = {split: folder / f"{split}{_PART}" for split in splits}
    with quiet(datasets):
        found = {
            split: datasets.Dataset.from_file(str(path), split=datasets.NamedSplit(split))
            for split, path in parts.items()
        }
        datasets.DatasetDict(found).save_to_disk(str(folder))
    del found
    for path in parts.values():
        path.unlink()


class _Jsonl(Writer):
    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _Csv(Writer):
    """A CSV file in which all strings are quoted, so that they cannot be read as numbers."""

    def __init__(self, path: Path, columns: list[str], safe: bool) -> None:
        self._safe = safe
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.DictWriter(
            self._file, columns, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"
        )
        self._rows.writeheader()

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.writerow({key: self._cell(value) for key, value in row.items()})

    def close(self) -> None:
        self._file.close()

    def _cell(self, value: Any) -> Any:
        if isinstance(value, list | dict):
            value = json.dumps(value, ensure_ascii=False)
        return protected(value) if self._safe and isinstance(value, str) else value


class _Arrow(Writer):
    """A Parquet file, or the stream of record batches in which `datasets` stores data."""

    def __init__(self, path: Path, columns: Mapping[str, Column]) -> None:
        self._arrow: Any = import_module("pyarrow")
        self._schema = arrow_schema(columns)
        if path.suffix == ".parquet":
            parquet: Any = import_module("pyarrow.parquet")
            self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        else:
            self._writer = self._arrow.ipc.new_stream(str(path), self._schema)
        self._rows: list[Mapping[str, Any]] = []
        self._bytes = 0

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(row)
        self._bytes += _weight(row)
        if len(self._rows) >= BATCH_ROWS or self._bytes >= BATCH_BYTES:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()

    def _flush(self) -> None:
        batch = self._arrow.RecordBatch.from_pylist(self._rows, schema=self._schema)
        self._writer.write_batch(batch)
        self._rows, self._bytes = [], 0


def _weight(value: Any) -> int:
    """Return the approximate number of characters in a value."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_weight, value.values()))  # pyright: ignore[reportUnknownArgumentType]
    return sum(map(_weight, value)) if isinstance(value, list) else 8  # pyright: ignore[reportUnknownArgumentType]


def arrow_schema(columns: Mapping[str, Column]) -> Any:
    """Return the pyarrow schema for columns, with the `datasets` features in its metadata."""
    arrow: Any = import_module("pyarrow")
    datasets: Any = import_module("datasets")
    schema = arrow.schema([(name, _arrow_type(arrow, kind)) for name, kind in columns.items()])
    return datasets.Features.from_arrow_schema(schema).arrow_schema


def _arrow_type(arrow: Any, kind: Column) -> Any:
    if isinstance(kind, str):
        return (arrow.bool_ if kind == "bool" else getattr(arrow, kind))()
    if isinstance(kind, list):
        return arrow.list_(_arrow_type(arrow, kind[0]))
    return arrow.struct([(name, _arrow_type(arrow, inner)) for name, inner in kind.items()])


@contextmanager
def quiet(datasets: Any) -> Generator[None]:
    """Disable the progress bars from `datasets`, which are not part of a command's output."""
    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
