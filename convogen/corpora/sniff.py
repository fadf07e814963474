"""Detection of a file's container from its first bytes and its name."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from convogen.corpora.documents import document_rows
from convogen.corpora.jsontext import json_lines, json_values
from convogen.corpora.keys import plain_key
from convogen.corpora.opening import UNREADABLE, encoding_of, opened, unpacked
from convogen.corpora.rows import MAX_ROW_BYTES, Broken, Row
from convogen.corpora.tables import (
    DELIMITERS,
    comma_rows,
    csv_rows,
    delimiter_of,
    fields_of,
    header_of,
    parquet_rows,
    text_lines,
)
from convogen.errors import SourceError

__all__ = ["Container", "Kind", "container_of", "read_rows"]

Kind = Literal["jsonl", "json", "csv", "commas", "text", "parquet"]

_HEAD = 256 * 1024
_AHEAD = 1024
_LISTS = (".jsonl", ".ndjson")
_TABLES = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_COLUMNS = frozenset(
    "id turn speaker text role content message utterance dialogue dialog conversation turns "
    "conversationid convid dialogueid dialogid messages conversations uttid utteranceid prompt "
    "response persona name summary topic emotion instruction output context".split()
)
"""Known column names. Unless the file name determines the container, a first line with at least two
of these names is the header of a CSV file."""


@dataclass(frozen=True, slots=True)
class Container:
    """The way in which a file stores its rows; `notes` tell the user how the file is read."""

    kind: Kind
    encoding: str = "utf-8"
    delimiter: str = ","
    notes: tuple[str, ...] = ()


def container_of(path: Path) -> Container:
    """Return the container of a file; raises `SourceError` if the file is empty, unreadable or
    unsupported."""
    try:
        with unpacked(path) as file:
            raw = file.read(_HEAD)
        if raw.startswith(b"PAR1"):
            return Container("parquet")
        if raw[257:262] == b"ustar":
            raise SourceError(
                f"{path}: this is a tar archive; unpack it and specify one of the files in it"
            )
        encoding, note = encoding_of(path, raw)
        with opened(path, encoding) as file:
            head = file.read(_HEAD)
            if b"\n" not in head:
                head += file.readline(MAX_ROW_BYTES)
            head += file.read(_AHEAD)
    except UNREADABLE as error:
        raise SourceError(f"{path}: cannot be read: {error}") from None
    text = codecs.getincrementaldecoder("utf-8-sig")("replace").decode(head)
    if not text.strip():
        raise SourceError(f"{path}: the file is empty")
    kind, delimiter = _kind(path, text.lstrip())
    return Container(kind, encoding, delimiter, (note,) if note else ())


def read_rows(path: Path, container: Container) -> Iterator[Row]:
    """Yield the rows of a file.

    If the file is truncated or its text is invalid, the last row is `Broken`.
    """
    if container.kind == "parquet":
        yield from parquet_rows(path)
        return
    line = 0
    with opened(path, container.encoding) as file, closing(_rows(file, container)) as rows:
        try:
            for row in rows:
                line = row.line
                yield row
        except UNREADABLE as error:
            yield Row(line + 1, Broken(f"the file cannot be read from here on: {error}"))


def _rows(file: IO[bytes], container: Container) -> Any:
    if container.kind == "json":
        return json_values(file, document_rows)
    if container.kind == "csv":
        return csv_rows(file, container.delimiter)
    simple = {"jsonl": json_lines, "commas": comma_rows, "text": text_lines}
    return simple[container.kind](file)


def _kind(path: Path, text: str) -> tuple[Kind, str]:
    suffix = next((end for end in reversed(path.suffixes) if end.lower() not in _PACKED), "")
    suffix = suffix.lower()
    header = header_of(text)
    if (text[0] in "{[" and suffix not in _TABLES and _is_json(text)) or suffix in _LISTS:
        return _json(text, suffix), ","
    if header.startswith("conv_id,utterance_idx,"):
        return "commas", ","
    delimiter = delimiter_of(header)
    if suffix in _TABLES:
        single = len(fields_of(header, delimiter) or ()) < 2
        return "csv", _TABLES[suffix] if single else delimiter
    return ("csv", delimiter) if _is_header(header) else ("text", ",")


def _is_json(text: str) -> bool:
    """Return whether a text is JSON and not a line that begins with a bracketed time or name."""
    rest = text[1:].lstrip()[:1]
    return rest in '{["]}' or (text[0] == "[" and text.rstrip().endswith("]"))


def _is_header(line: str) -> bool:
    for delimiter in DELIMITERS:
        fields = fields_of(line, delimiter) or []
        if len(fields) > 1 and len({plain_key(field) for field in fields} & _COLUMNS) > 1:
            return delimiter == delimiter_of(line)
    return False


def _json(text: str, suffix: str) -> Kind:
    """Return `jsonl` if each line is a row, or `json` if values may span lines or share a line."""
    line, _, rest = text.partition("\n")
    line = line.strip()
    second = rest.lstrip()[:1]
    try:
        first: Any = json.loads(line)
    except RecursionError:
        return "jsonl" if second or suffix in _LISTS else "json"
    except ValueError as error:
        return _unfinished(text, line, second, error)
    if not second:
        return "json"
    if isinstance(first, list):
        return "jsonl" if second == "[" and first else "json"
    return "jsonl"


def _unfinished(text: str, line: str, second: str, error: ValueError) -> Kind:
    """Return the container kind of a file whose first line is not JSON.

    The line may be a broken row, or the beginning of a value that spans several lines.
    """
    if line[:1] not in ("{", "["):
        return "jsonl"
    if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
        return "jsonl" if second else "json"
    try:
        json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as whole:
        within = len(line) > 1 and whole.pos <= len(line)
        return "jsonl" if within and second in ("{", "[") else "json"
    except (ValueError, RecursionError):
        pass
    return "json"
