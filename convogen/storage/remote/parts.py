r"""A part of a chain, which contains the changes to a run folder between two consistent states.

    convogen part 1 <SHA-256 of everything after this line>\n
    <a JSON object, see `Header`>\n
    <the bytes of the changes, concatenated>

Parts are untrusted input: lengths, digests and paths are checked before anything is written.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from convogen.errors import RunFolderError
from convogen.inputs.keys import first_fault

__all__ = ["FORMAT", "PARTS", "Change", "Header", "Part", "decode", "encode", "part_name", "safe"]

FORMAT = 1
PARTS = ".convogen/parts"
_FIRST_LINE = re.compile(rb"convogen part (\d{1,4}) ([0-9a-f]{64})\n")
_LONGEST_PATH = 1024

Count = Annotated[int, Field(ge=0)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def safe(path: str) -> str:
    """Return a path unchanged; raises `ValueError` if it could lead out of the run folder."""
    names = path.split("/")
    if len(path) > _LONGEST_PATH or any(
        name in ("", ".", "..") or re.search(r"[\\:\x00-\x1f]", name) for name in names
    ):
        raise ValueError(f"{path[:80]!r} is not a path within a run folder")
    return path


class Change(BaseModel):
    """A change to a file: bytes appended at the offset `at`, new content, or deletion.

    `size` and `digest` (SHA-256) describe the whole file after the change.
    """

    model_config = ConfigDict(strict=True)

    path: Annotated[str, AfterValidator(safe)]
    do: Literal["append", "replace", "delete"]
    at: Count = 0
    length: Count = 0
    size: Count = 0
    digest: str = ""


class Header(BaseModel):
    """A part's number, writer and changes.

    `after` is the digest of the previous part. `released` is true if the writer has finished.
    `published` contains the digest of each file that is also stored as an ordinary object; None if
    the files are not stored in this way.
    """

    model_config = ConfigDict(strict=True)

    number: Count
    after: Digest | None
    writer: str
    purpose: Literal["run", "scores"]
    host: str = ""
    process: int = 0
    at: str = ""
    released: bool = False
    published: dict[Annotated[str, AfterValidator(safe)], Digest] | None = None
    changes: list[Change] = []


@dataclass(frozen=True, slots=True)
class Part:
    """A part and its encoded form."""

    header: Header
    pieces: list[bytes]
    """The bytes of each change, in the order of the changes."""
    encoded: bytes
    digest: str


def part_name(number: int) -> str:
    """Return the name of a part's object below the URL of the run folder."""
    return f"{PARTS}/{number:08d}"


def encode(header: Header, pieces: list[bytes]) -> Part:
    """Return the part with this header and these bytes, including its encoded form."""
    body = header.model_dump_json(exclude_defaults=True).encode() + b"\n" + b"".join(pieces)
    digest = hashlib.sha256(body).hexdigest()
    return Part(header, pieces, b"convogen part %d %s\n" % (FORMAT, digest.encode()) + body, digest)


def decode(where: str, number: int, encoded: bytes) -> Part:
    """Decode the part in an object; raises `RunFolderError` if the object is damaged."""
    first = _FIRST_LINE.match(encoded)
    if first is None or int(first[1]) < FORMAT:
        raise _damaged(where, "it is not a part of a run folder")
    if int(first[1]) > FORMAT:
        raise RunFolderError(
            f"{where}: was written by a later version of convogen; use that version"
        )
    body = encoded[first.end() :]
    digest = hashlib.sha256(body).hexdigest()
    if digest != first[2].decode():
        raise _damaged(where, "its checksum is wrong")
    line, _, rest = body.partition(b"\n")
    try:
        header = Header.model_validate_json(line)
    except ValidationError as error:
        raise _damaged(where, first_fault(error)) from error
    ends = list(accumulate((change.length for change in header.changes), initial=0))
    if ends[-1] != len(rest) or header.number != number:
        raise _damaged(where, "its length or its number is wrong")
    pieces = [rest[start:end] for start, end in pairwise(ends)]
    return Part(header, pieces, encoded, digest)


def _damaged(where: str, why: str) -> RunFolderError:
    return RunFolderError(
        f"{where}: is damaged ({why}); restore the object, or delete it and all later parts to "
        "continue from the previous part"
    )
