"""Persona hubs, stored in scratch files and indexed by offset so that hubs of any size fit in
memory."""

from __future__ import annotations

import contextlib
import hashlib
import re
import tempfile
import weakref
from array import array
from collections.abc import Generator, Iterator
from pathlib import Path

from convogen.errors import SourceError
from convogen.personas.reading import read_groups
from convogen.records import Profile
from convogen.resources import shipped

__all__ = ["PersonaHub", "is_named", "open_hub", "shipped_hubs"]

LICENCES = {
    "everyday": "Apache-2.0",
    "hf:proj-persona/PersonaHub": "CC-BY-NC-SA-4.0",
    "hf:google/Synthetic-Persona-Chat": "CC-BY-4.0",
}
"""Maps well-known sources to their licences."""


class PersonaHub:
    """The groups in a source, in their original order; a group is a persona or all speakers of a
    row.

    `source` is the name written to the personas' records, `licence` the licence of the source if
    known, and `hash` the hash of its content. Only the offsets are kept in memory.
    """

    def __init__(
        self, source: str, licence: str | None, groups: Iterator[list[Profile]], *, apart: bool
    ) -> None:
        """Read all groups once; `apart` splits them into single personas.

        Raises `SourceError` if the scratch file cannot be written.
        """
        self.source = source
        self.licence = licence
        self._scratch = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the hub
        weakref.finalize(self, self._scratch.close)
        self._ends = array("Q", [0])
        digest = hashlib.blake2b(digest_size=8)
        for people in groups:
            for group in [[one] for one in people] if apart else [people]:
                line = b"".join(self._licensed(profile).to_line() for profile in group)
                digest.update(line + b"\n")
                with self._scratching():
                    self._scratch.write(line)
                self._ends.append(self._ends[-1] + len(line))
        with self._scratching():
            self._scratch.flush()
        self.hash = digest.hexdigest()

    @contextlib.contextmanager
    def _scratching(self) -> Generator[None]:
        """Turn an `OSError` in the block into a `SourceError` that names the scratch folder."""
        try:
            yield
        except OSError as error:
            with contextlib.suppress(OSError):  # closing tries to write the buffer again
                self._scratch.close()
            raise SourceError(
                f"persona source {self.source}: the copy in the temporary folder "
                f"{tempfile.gettempdir()} cannot be written: {error.strerror}; set TMPDIR to "
                "another folder"
            ) from error

    def _licensed(self, profile: Profile) -> Profile:
        if profile.licence is not None:
            return profile
        return profile.model_copy(update={"licence": self.licence})

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> list[Profile]:
        start = self._ends[index]
        self._scratch.seek(start)
        lines = self._scratch.read(self._ends[index + 1] - start).splitlines()
        return [Profile.model_validate_json(line) for line in lines]


def open_hub(
    source: str, field: str | None = None, licence: str | None = None, *, apart: bool = True
) -> PersonaHub:
    """Return a persona hub: a shipped hub, a file, or `hf:OWNER/NAME[@CONFIG][:SPLIT]`.

    With `apart=False`, the personas of a row stay together. Raises `SourceError` if the source is
    missing or empty, or has a row that is not a persona.
    """
    place: str | Path = source
    label = source
    if source in shipped_hubs():
        place = shipped_hubs()[source]
    elif not source.startswith("hf:"):
        place = Path(source)
        label = place.name
        if not place.is_file():
            files = "a file with personas (JSONL, CSV, text)"
            raise SourceError(
                f"persona source {source}: no such file; allowed: "
                f"{', '.join([*shipped_hubs(), files])}, or hf:OWNER/NAME on the Hugging Face hub"
            )
    match = re.match(r"hf:[^@:]+", source)
    known = licence or LICENCES.get(match[0] if match else source)
    hub = PersonaHub(label, known, read_groups(place, label, field), apart=apart)
    if not len(hub):
        raise SourceError(f"persona source {source}: contains no personas")
    return hub


def shipped_hubs() -> dict[str, Path]:
    """Return a mapping from the names of the hubs shipped with convogen to their paths."""
    return {path.stem: path for path in sorted(shipped("personas").glob("*.jsonl"))}


def is_named(source: str) -> bool:
    """Return whether a source is a shipped hub or a data set on the Hugging Face hub, rather than a
    path."""
    return source.startswith("hf:") or source in shipped_hubs()
