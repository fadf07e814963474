"""Participants' codes: 60 random bits each, in a form that is easy to type."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import secrets
import unicodedata
from collections.abc import Mapping
from pathlib import Path

from convogen.jsonl import writing

__all__ = ["CODES_FILE", "digest", "new_codes", "write_codes"]

CODES_FILE = "codes.csv"

_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 letters and digits, without the easily confused 0, 1, I and O."""

_GROUPS, _SIZE = 3, 4


def new_codes(participants: int, letter: str = "p") -> dict[str, str]:
    """Return a new code for each participant.

    Args:
        participants: Number of participants.
        letter: Prefix of the participants' names, as in p01, p02, …
    """
    width = max(2, len(f"{participants}"))
    codes: dict[str, str] = {}
    taken: set[str] = set()
    while len(codes) < participants:
        code = "-".join(
            "".join(secrets.choice(_LETTERS) for _ in range(_SIZE)) for _ in range(_GROUPS)
        )
        if code not in taken:
            taken.add(code)
            codes[f"{letter}{len(codes) + 1:0{width}}"] = code
    return codes


def digest(code: str) -> bytes:
    """Return the hash that identifies a code.

    Only letters and digits count, regardless of case and width. The hyphens may be missing, or a
    word processor may have replaced them with other dashes.
    """
    plain = "".join(one for one in unicodedata.normalize("NFKC", code) if one.isalnum()).upper()
    return hashlib.blake2b(plain.encode(errors="replace"), digest_size=16).digest()


def write_codes(folder: Path, codes: Mapping[str, str]) -> Path:
    """Write the codes to a new file that only its owner can read, and return its path."""
    path, table = folder / CODES_FILE, io.StringIO(newline="")
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(["participant", "code"])
    rows.writerows(codes.items())
    with writing(path):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(table.getvalue())
            file.flush()
            os.fsync(file.fileno())
    return path
