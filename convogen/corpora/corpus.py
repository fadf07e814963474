"""A corpus: a source with its reader, read in batches of rows that any process can convert."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from convogen.corpora.base import Reader
from convogen.corpora.findings import BadRow, BadRows, Findings, Reading
from convogen.corpora.formats import reader_for, readers
from convogen.corpora.grouping import groups_of
from convogen.corpora.rows import Row, RowError, decode
from convogen.corpora.sources import Source, open_source
from convogen.corpora.turns import counting
from convogen.errors import SourceError
from convogen.inputs.keys import first_fault
from convogen.plugins import registry
from convogen.records import Conversation
from convogen.storage.run_folder import load_run
from convogen.text.counting import counted

__all__ = ["BadRow", "BadRows", "Batch", "Corpus", "Findings", "open_corpus"]

_LOG = logging.getLogger(__name__)

_SNIFFED = 50
_SHOWN_BAD_ROWS = 5
_SHOWN_KEYS = 15
_BATCH_BYTES = 8 * 2**20
_ITEM_BYTES = 200


@dataclass(frozen=True, slots=True)
class Batch:
    """A small, picklable batch of unconverted groups of rows.

    Each group contains one or more conversations. `reader` converts the groups. `start` is the
    number of groups before this batch.
    """

    source: str
    reader: Reader
    start: int
    groups: list[list[Row]]

    def read(self) -> tuple[list[Conversation], Findings]:
        """Return the conversations in this batch, and the findings about its rows."""
        good: list[Conversation] = []
        findings = Findings()
        stem = Path(self.source).name.split(".")[0] or "row"
        with counting() as findings.left_out:
            for number, group in enumerate(self.groups, self.start + 1):
                try:
                    rows = [Row(row.line, decode(row.value), row.part) for row in group]
                    good.extend(_made(self.reader, self.reader.convert(rows, f"{stem}-{number}")))
                except (RowError, ValidationError) as error:
                    findings.bad.append(self._bad(number, group[0].line, error))
        findings.look(good)
        return good, findings

    def _bad(self, number: int, line: int, error: RowError | ValidationError) -> BadRow:
        if isinstance(error, RowError):
            return BadRow(self.source, error.line or line, number, str(error))
        return BadRow(self.source, line, number, first_fault(error))


def _made(reader: Reader, made: Any) -> list[Conversation]:
    """Return a reader's result; raises `PluginError` if the result is not a list of
    conversations."""
    items = cast("list[Any]", made if isinstance(made, list) else [None])
    if not all(isinstance(one, Conversation) for one in items):
        with registry.blaming("readers", reader.name):
            kinds = "a list of other objects" if isinstance(made, list) else type(made).__name__
            raise TypeError(f"convert() must return a list of conversations (found {kinds})")
    return items


@dataclass
class Corpus:
    """The conversations in one source. Each iteration over a corpus reads the source again.

    `reading` contains the findings from the latest pass. Bad rows are left out unless `strict` is
    true, in which case the first bad row raises `SourceError`. A complete pass without any
    conversation also raises `SourceError`. The first complete pass logs warnings about rows that
    were left out and about implausible content.
    """

    opened: Source
    format: Reader
    strict: bool = False
    reading: Reading = field(default_factory=Reading)
    _warned: bool = False

    @property
    def source(self) -> str:
        """The name under which the source was opened."""
        return self.opened.name

    @property
    def bad_rows(self) -> BadRows:
        """The rows that the latest pass left out."""
        return self.reading.bad_rows

    def rows(self) -> Iterator[Row]:
        """Return an iterator over the raw rows, which reads the source again."""
        return self.opened.rows()

    def batches(self, size: int = 256) -> Iterator[Batch]:
        """Yield the rows in batches of `size` groups, for conversion in this or another process.

        A batch ends earlier if it grows beyond about 8 MB, which bounds memory use if rows are
        long. The caller must pass the findings from each `Batch.read` to `note`, and call `finish`
        at the end.
        """
        self.reading = Reading()
        start = 0
        batch: list[list[Row]] = []
        weight = 0
        for group in groups_of(self.rows, self.format, local=self.opened.local):
            batch.append(group)
            weight += sum(_weight(row.value) for row in group)
            if len(batch) >= size or weight > _BATCH_BYTES:
                yield Batch(self.source, self.format, start, batch)
                start += len(batch)
                batch, weight = [], 0
        if batch:
            yield Batch(self.source, self.format, start, batch)

    def note(self, findings: Findings) -> None:
        """Add the findings for a batch; raises `SourceError` if a strict corpus has a bad row."""
        if findings.bad and self.strict:
            raise SourceError(
                f"{findings.bad[0]}; every row must be in the '{self.format.name}' format; fix the "
                f"row, or open the corpus without strict=True to leave out bad rows"
            )
        self.reading.add(findings)

    def finish(self) -> None:
        """End a complete pass; raises `SourceError` if the pass found no conversation.

        Otherwise, the warnings are logged if no earlier pass has logged them.
        """
        if not self.reading.conversations:
            raise SourceError(self._nothing())
        if self._warned:
            return
        self._warned = True
        for line in self.warnings():
            _LOG.warning("%s", line)

    def warnings(self) -> list[str]:
        """Return the notes about the source and the warnings about the latest pass, one line
        each."""
        notes = (*self.format.notes, *self.reading.warnings())
        lines = [f"{self.source}: {line}" for line in notes]
        if self.bad_rows.count:
            at = len(self.format.notes) + 1
            lines[at:at] = [f"  {row}" for row in self.bad_rows.first[:_SHOWN_BAD_ROWS]]
        return [*self.opened.notes, *lines]

    def _nothing(self) -> str:
        bad = self.bad_rows
        if not bad.count:
            return f"{self.source}: contains no conversations"
        return (
            f"{self.source}: contains no conversations in the '{self.format.name}' format "
            f"({counted(bad.count, 'bad row')}); line {bad.first[0].line}: {bad.first[0].message}"
        )

    def __iter__(self) -> Iterator[Conversation]:
        for batch in self.batches(32):
            good, found = batch.read()
            self.note(found)
            yield from good
        self.finish()


def _weight(value: Any) -> int:
    """Return the approximate size of a row in bytes; for decoded rows, the size is only a guess."""
    if isinstance(value, bytes | str):
        return len(value)
    fields = cast("dict[str, Any]", value).values() if isinstance(value, dict) else [value]
    return sum(
        len(field) if isinstance(field, str) else _ITEM_BYTES * len(cast("list[Any]", field))
        for field in fields
        if isinstance(field, str | list)
    )


def open_corpus(source: str | Path, format: str | None = None, *, strict: bool = False) -> Corpus:  # noqa: A002
    """Open conversation data in any known format; only the first rows are read immediately.

    Args:
        source: A file, a run folder, or `hf:OWNER/NAME[@CONFIG][:SPLIT]`.
        format: Name of the format; if None, the format is detected automatically.
        strict: Whether reading stops at the first bad row.

    Returns:
        The corpus; iterating over it yields its conversations.

    Raises:
        SourceError: The source is missing or empty, `format` is unknown, or no reader fits the
            source.
    """
    if format is not None and not readers(format):
        if registry.known("readers", format):
            registry.load("readers", format)  # raises an error if the plugin is broken
        names = ", ".join(reader.name for reader in readers())
        raise SourceError(f"unknown format '{format}'; known formats: {names}")
    strict = strict or _checked(str(source))
    opened = open_source(str(source))
    heads, fault = _heads(opened)
    found = reader_for(heads, format)
    if found is None:
        raise SourceError(_unknown(opened, heads, fault, format))
    return Corpus(opened, found, strict)


def _heads(opened: Source) -> tuple[list[Row], str | None]:
    """Return the first rows that can be decoded, and the error in the very first row, if any."""
    heads: list[Row] = []
    fault: str | None = None
    number = 0
    for number, row in enumerate(islice(opened.rows(), _SNIFFED), 1):
        try:
            heads.append(Row(row.line, decode(row.value), row.part))
        except RowError as error:
            fault = f"line {row.line}: {error}" if number == 1 else fault
    return heads, fault if number else "contains no rows"


def _unknown(opened: Source, heads: list[Row], fault: str | None, name: str | None) -> str:
    """Return an error message that explains why no reader accepts a source."""
    notes = f" ({'; '.join(opened.notes)})" if opened.notes else ""
    if fault is not None:
        return f"{opened.name}: {fault}{notes}"
    value = heads[0].value
    if isinstance(value, dict):
        keys = [repr(key) for key in cast("dict[Any, Any]", value)]
        shown = ", ".join(keys[:_SHOWN_KEYS]) + (", …" if len(keys) > _SHOWN_KEYS else "")
        holds = f"the keys are {shown}" if keys else "the object is empty"
        if any(str(key).strip().isdecimal() for key in cast("dict[Any, Any]", value)):
            holds += " (is a header missing?)"
    elif isinstance(value, str):
        holds = f"the text begins with {value.strip()[:60]!r}"
    else:
        holds = f"the value has the type {type(value).__name__}"
    where = f"line {heads[0].line}"
    other = reader_for(heads) if name is not None else None
    if other is not None:
        return (
            f"{opened.name}: {where} is in the '{other.name}' format, not in the '{name}' format; "
            f"{holds}; specify the format '{other.name}' instead"
        )
    wanted = f"the '{name}' format" if name is not None else "any known format"
    return (
        f"{opened.name}: the first rows are not in {wanted}; in {where}, {holds}{notes}; specify "
        'the columns or keys as in {"turns": [{"speaker": …, "text": …}]}, or use one row per turn '
        "with the columns conversation_id,turn,speaker,text"
    )


def _checked(name: str) -> bool:
    """Return whether a source is a run folder; raises `RunFolderError` if the run's files
    disagree."""
    if name.startswith("hf:") or not (Path(name) / "manifest.json").is_file():
        return False
    load_run(name)
    return True
