"""Files opened as UTF-8 streams; compression and encoding are detected from the first bytes."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import re
import zlib
from importlib import import_module
from pathlib import Path
from typing import IO, Any, cast

from convogen.errors import SourceError

__all__ = ["UNREADABLE", "encoding_of", "opened", "unpacked"]

UNREADABLE = (OSError, EOFError, zlib.error, lzma.LZMAError, UnicodeError)
"""The exceptions raised when a damaged file is read."""

_READ = 2**16

_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or an Office document; unpack the archive, or save the "
    "document as CSV",
    b"%PDF": "a PDF; give the data from which the PDF was made",
    b"\x89HDF": "an HDF5 file; convert it to Parquet or JSON Lines",
    b"SQLite format 3": "an SQLite database; export its table as CSV",
    b"Obj\x01": "an Avro file; convert it to Parquet or JSON Lines",
    b"ORC": "an ORC file; convert it to Parquet",
    b"ARROW1": "an Arrow file; convert it to Parquet, or load its folder as hf:FOLDER",
    b"\xff\xff\xff\xff": "an Arrow stream; convert it to Parquet, or load its folder as hf:FOLDER",
    b"\x80\x04\x95": "a pickle, which could run code; save it as JSON Lines or Parquet",
    b"\x80\x05\x95": "a pickle, which could run code; save it as JSON Lines or Parquet",
    b"version https://git-lfs": "a Git LFS pointer; fetch the data with `git lfs pull`",
}
_WEB_PAGE = re.compile(rb"\s*<(!doctype|html|head|body)\b", re.IGNORECASE)

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HIGH = re.compile(rb"[\x80-\xff]")
_IN_A_WORD = re.compile(rb"(?:(?<=[A-Za-z])[\x80-\xff])|(?:[\x80-\xff](?=[A-Za-z]))")
_NOT_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]|[\x80-\xff]{3}")
_REPLACED = "\ufffd"
_FEW = 2
"""Maximum number of invalid bytes in ASCII text for which only the affected rows, not the whole
file, are bad."""


def unpacked(path: Path) -> IO[bytes]:
    """Open a file as bytes, decompressing gzip, bzip2, xz and Zstandard.

    Raises `SourceError` for known but unsupported file types.
    """
    with path.open("rb") as file:
        head = file.read(64)
    for magic, advice in _FOREIGN.items():
        if head.startswith(magic):
            raise SourceError(f"{path}: this is {advice}")
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if head.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(path, "rb")
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        arrow: Any = import_module("pyarrow")
        return cast("IO[bytes]", io.BufferedReader(arrow.input_stream(str(path), "zstd")))
    return path.open("rb")


def opened(path: Path, encoding: str) -> IO[bytes]:
    """Open a file as a decompressed stream of UTF-8 text."""
    file = unpacked(path)
    if encoding == "utf-8":
        return file
    return cast("IO[bytes]", io.BufferedReader(_Recoded(file, encoding)))


def encoding_of(path: Path, head: bytes) -> tuple[str, str | None]:
    """Return the encoding of a text, and a note about the encoding (None if no note is needed).

    UTF-16 and UTF-32 are recognised by a byte-order mark or by the NUL bytes of ASCII characters,
    and Windows-1252 by bytes within words that are invalid in UTF-8. A few invalid bytes in
    otherwise valid UTF-8 only make their rows bad.

    Raises:
        SourceError: if the file is a web page or has none of these encodings.
    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name, None
    if (wide := _wide(head)) is not None:
        return wide, None
    if _WEB_PAGE.match(head):
        raise SourceError(f"{path}: this is a web page, not data; download the file itself")
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(head)
    bad = text.count(_REPLACED) - head.count(_REPLACED.encode())
    if not bad or sum(not character.isascii() for character in text) > 2 * bad:
        return "utf-8", None
    high = len(_HIGH.findall(head))
    if not _NOT_1252.search(head) and 2 * len(_IN_A_WORD.findall(head)) > high:
        return "cp1252", f"{path}: is not UTF-8, and is therefore read as Windows-1252"
    if bad > _FEW:
        line = text.partition(_REPLACED)[0].count("\n") + 1
        raise SourceError(
            f"{path}: line {line} is not UTF-8, and the file is not UTF-16 or Windows-1252 either; "
            "convert it, for example with `iconv -f ENCODING -t UTF-8`"
        )
    return "utf-8", None


def _wide(head: bytes) -> str | None:
    """Return the encoding of UTF-16 or UTF-32 text, judging by its NUL bytes; None for other
    text."""
    pairs = len(head) // 2
    even, odd = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    few, many = pairs * 0.02, pairs * 0.2
    if even + odd > pairs:
        return "utf-32-le" if head[:1] != b"\0" else "utf-32-be"
    if odd >= max(many, 1) and even <= few:
        return "utf-16-le"
    if even >= max(many, 1) and odd <= few:
        return "utf-16-be"
    return None


class _Recoded(io.RawIOBase):
    """A stream that converts text from another encoding to UTF-8."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer and return the number of bytes, which is 0 at the end.

        Raises `UnicodeDecodeError` for invalid text.
        """
        piece = b"-"
        while not self._rest and piece:
            piece = self._file.read(_READ)
            self._rest = self._decoder.decode(piece, not piece).encode()
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._file.close()
        super().close()
