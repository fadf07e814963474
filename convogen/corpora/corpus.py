"""A corpus: a source opened in a format, read as batches of rows that any process can convert."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from convogen import registry
from convogen.corpora.base import Reader
from convogen.corpora.dailydialog import label_files, labelled_rows
from convogen.corpora.formats import readers, recognise
from convogen.corpora.hub import hub_rows
from convogen.corpora.rows import Broken, Row, RowError, decode, read_rows
from convogen.corpora.sniff import container_of
from convogen.errors import SourceError
from convogen.types import Conversation

__all__ = ["BadRow", "BadRows", "Batch", "Corpus", "open_corpus"]

_SHOWN = 100
_MAX_GROUP = 10_000
_SNIFFED = 50
_BATCH_BYTES = 8 * 2**20
_ITEM_BYTES = 200


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that was left out: where it is and what is wrong with it.

    `line` is the line of the file (for Parquet and the hub the row), `row` counts the rows of the
    corpus from 1: it tells the elements of a JSON array on one line apart.
    """

    source: str
    line: int
    row: int
    message: str

    def __str__(self) -> str:
        return f"{self.source}:{self.line}: row {self.row}: {self.message}"


@dataclass
class BadRows:
    """How many rows were left out, and the first hundred of them."""

    count: int = 0
    first: list[BadRow] = field(default_factory=list[BadRow])

    def add(self, row: BadRow) -> None:
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(row)


@dataclass(frozen=True, slots=True)
class Batch:
    """Groups of rows, each one conversation or more, not yet converted; picklable and small.

    `reader` converts them, `start` is the number of groups before these.
    """

    source: str
    reader: Reader
    start: int
    groups: list[list[Row]]

    def read(self) -> tuple[list[Conversation], list[BadRow]]:
        """The conversations of this batch, and the rows that gave none."""
        good: list[Conversation] = []
        bad: list[BadRow] = []
        stem = Path(self.source).name.split(".")[0] or "row"
        for number, group in enumerate(self.groups, self.start + 1):
            line = group[0].line
            try:
                rows = [Row(row.line, decode(row.value)) for row in group]
                good.extend(self.reader.convert(rows, f"{stem}-{number}"))
            except RowError as error:
                bad.append(BadRow(self.source, error.line or line, number, str(error)))
            except ValidationError as error:
                bad.append(BadRow(self.source, line, number, error.errors()[0]["msg"]))
        return good, bad


@dataclass
class Corpus:
    """Conversations of one source. Iterate over it as often as you like; each pass reads anew.

    `bad_rows` tells what the latest pass left out. With `strict`, the first bad row raises
    `SourceError` instead.
    """

    source: str
    format: Reader
    rows: Callable[[], Iterator[Row]]
    strict: bool = False
    bad_rows: BadRows = field(default_factory=BadRows)

    def batches(self, size: int = 256) -> Iterator[Batch]:
        """The rows in batches of `size` groups, for conversion here or in another process.

        A batch ends earlier where it grows beyond about 8 MB, so that long rows stay few in memory.
        The caller hands the bad rows that `Batch.read` gives to `refuse`.
        """
        self.bad_rows = BadRows()
        groups = self._groups()
        start = 0
        batch: list[list[Row]] = []
        weight = 0
        for group in groups:
            batch.append(group)
            weight += sum(_weight(row.value) for row in group)
            if len(batch) >= size or weight > _BATCH_BYTES:
                yield Batch(self.source, self.format, start, batch)
                start += len(batch)
                batch, weight = [], 0
        if batch:
            yield Batch(self.source, self.format, start, batch)

    def refuse(self, bad: list[BadRow]) -> None:
        """Count bad rows; raises `SourceError` for the first where the corpus is strict."""
        if bad and self.strict:
            raise SourceError(
                f"{bad[0]}; every row must be of the format '{self.format.name}': mend the row, or"
                " read without strict to leave bad rows out"
            )
        for row in bad:
            self.bad_rows.add(row)

    def __iter__(self) -> Iterator[Conversation]:
        for batch in self.batches(32):
            good, bad = batch.read()
            self.refuse(bad)
            yield from good

    def _groups(self) -> Iterator[list[Row]]:
        if not self.format.groups:
            for row in self.rows():
                yield [row]
            return
        group: list[Row] = []
        for row in self.rows():
            try:
                row = Row(row.line, decode(row.value))
            except RowError as error:
                yield [Row(row.line, Broken(str(error)))]
                continue
            if group and (
                len(group) >= _MAX_GROUP or self.format.breaks(group[-1].value, row.value)
            ):
                yield group
                group = []
            group.append(row)
        if group:
            yield group


def _weight(value: Any) -> int:
    """About how many bytes a row takes; a guess where it is decoded already."""
    if isinstance(value, bytes | str):
        return len(value)
    fields = cast("dict[str, Any]", value).values() if isinstance(value, dict) else [value]
    return sum(
        len(field) if isinstance(field, str) else _ITEM_BYTES * len(cast("list[Any]", field))
        for field in fields
        if isinstance(field, str | list)
    )


def open_corpus(source: str | Path, format: str | None = None, strict: bool = False) -> Corpus:  # noqa: A002
    """Open a file, a run folder, or `hf:OWNER/NAME[@CONFIG][:SPLIT]`; nothing is read but its head.

    Raises `SourceError` where the source is missing or empty, `format` is unknown, or no format
    fits.
    """
    names = [reader.name for reader in readers()]
    if format is not None and not readers(format):
        if registry.known("readers", format):
            registry.load("readers", format)  # raises what is wrong with a plugin
        raise SourceError(f"format '{format}' is unknown; known are {', '.join(names)}")
    name = str(source)
    rows = _hub(name) if name.startswith("hf:") else _file(name)
    found = recognise(list(_heads(rows)), format)
    if found is None:
        wanted = f"format '{format}'" if format else f"any known format ({', '.join(names)})"
        raise SourceError(
            f"{name}: none of the first rows is of {wanted}; name the right one with --format, or"
            ' bring the file into {"turns": [{"speaker": …, "text": …}]}, one a line'
        )
    return Corpus(name, found, rows, strict)


def _heads(rows: Callable[[], Iterator[Row]]) -> Iterator[Any]:
    for row in islice(rows(), _SNIFFED):
        try:
            yield decode(row.value)
        except RowError:
            continue


def _hub(name: str) -> Callable[[], Iterator[Row]]:
    return lambda: hub_rows(name)


def _file(name: str) -> Callable[[], Iterator[Row]]:
    path = Path(name)
    if path.is_dir():
        path /= "conversations.jsonl"
        if not path.is_file():
            raise SourceError(
                f"{name}: a folder without conversations.jsonl; give a run folder or a file"
            )
    if not path.is_file():
        raise SourceError(
            f"{name}: no such file; give a file, a run folder, or hf:OWNER/NAME for a data set of"
            " the Hugging Face hub"
        )
    container = container_of(path)
    if container == "text" and label_files(path):
        return lambda: labelled_rows(path)
    return lambda: read_rows(path, container)
