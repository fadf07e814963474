"""Reading of profiles from the rows of a hub or data set; fields with personas are detected
automatically.

The supported formats are text (one persona per line), CSV, JSONL, JSON arrays, Parquet, data sets
on the Hugging Face hub, and PERSONA-CHAT as JSON or ParlAI text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from convogen.corpora import open_corpus
from convogen.corpora.huggingface import hub_rows
from convogen.corpora.rows import Row, RowError, decode
from convogen.corpora.sniff import Container, container_of, read_rows
from convogen.errors import SourceError
from convogen.inputs.keys import first_fault
from convogen.records import PersonaCard, Profile
from convogen.text.speakers import one_line

__all__ = ["MAX_PERSONA_CHARS", "read_groups"]

_LOG = logging.getLogger("convogen.corpora.personas")

MAX_PERSONA_CHARS = 5_000
"""Maximum length of a persona's text in characters; the prompt of every turn contains the text."""

TEXT_FIELDS = ("persona", "text", "description", "profile", "biography", "bio")
"""Names of fields that contain a persona's text, most likely first."""

PAIR_FIELDS = (
    ("speaker persona", "listener persona"),
    ("user 1 personas", "user 2 personas"),
    ("User 1 Persona", "User 2 Persona"),
)
"""Pairs of field names for the personas of the first and the second speaker."""


def read_groups(place: str | Path, source: str, field: str | None) -> Iterator[list[Profile]]:
    """Yield the profiles of each row: one persona, or both speakers. Rows without text are skipped.

    `place` is a file or `hf:…`, `source` the name written to the personas' records, and `field` the
    field that contains the persona's text. Raises `SourceError`, with the line number, for a row
    that is not a persona.
    """
    for row in _rows(place):
        try:
            people = _people(decode(row.value), source, field)
        except RowError as error:
            raise SourceError(f"{place}: line {row.line}: {error}") from None
        if people:
            yield people


def _rows(place: str | Path) -> Iterator[Row]:
    if isinstance(place, str):
        return hub_rows(place, streaming=False)
    suffix = next((end for end in reversed(place.suffixes) if end != ".gz"), "").lower()
    container = container_of(place)
    for note in container.notes:
        _LOG.warning("%s", note)
    if suffix not in (".txt", ".text") and container.kind != "text":
        return read_rows(place, container)
    lines = Container("text", container.encoding)
    first = next(read_rows(place, lines), None)
    if first is not None and " persona: " in str(first.value)[:40]:
        return _episodes(place)
    return read_rows(place, lines)


def _episodes(path: Path) -> Iterator[Row]:
    """Yield one row per episode of a ParlAI text file, with the personas of both speakers."""
    corpus = open_corpus(path, "parlai", strict=True)
    for number, conversation in enumerate(corpus, 1):
        personas = conversation.context.get("personas", {})
        yield Row(
            number, {name: personas.get(f"user{at}") for at, name in enumerate(PAIR_FIELDS[0], 1)}
        )


def _people(value: Any, source: str, field: str | None) -> list[Profile]:
    """Return the profiles in a row's value; raises `RowError` if the value is invalid."""
    if isinstance(value, list):
        return [one for item in cast("list[Any]", value) for one in _people(item, source, field)]
    if isinstance(value, str):
        value = {field or TEXT_FIELDS[0]: value}
    if not isinstance(value, dict):
        raise RowError(f"expected an object or a string, found {type(value).__name__}")
    row = cast("dict[str, Any]", value)
    licence = next((row[key] for key in ("licence", "license") if key in row), None)
    empty = Profile(source=source, licence=licence if isinstance(licence, str) else None)
    pair = next((pair for pair in PAIR_FIELDS if all(row.get(key) for key in pair)), None)
    if field is None and pair is not None:
        return [empty.model_copy(update={"text": _text(row[key], key)}) for key in pair]
    name = one_line(row["name"]).strip() if isinstance(row.get("name"), str) else ""
    if 0 < len(name) <= 80:
        empty = empty.model_copy(update={"name": name})
    if field is None and "lifestyle" in row and "qualities" in row:
        return [empty.model_copy(update={"card": _card(row)})]
    chosen = _field(row, field)
    text = _text(row[chosen], chosen)
    return [empty.model_copy(update={"text": text})] if text.strip() else []


def _field(row: Mapping[str, Any], field: str | None) -> str:
    """Return the field that contains the text: `field` if given, otherwise the most likely or the
    only field."""
    found = [key for key in ((field,) if field else TEXT_FIELDS) if key in row]
    if found:
        return found[0]
    if field is None and len(row) == 1:
        return next(iter(row))
    shown = ", ".join(str(key) for key in list(row)[:12])
    wanted = f"no field {field!r}" if field else f"none of the fields {', '.join(TEXT_FIELDS)}"
    raise RowError(
        f"the row has {wanted}; fields found: {shown or 'none'}; choose one with `persona_field`"
    )


def _text(value: Any, key: str) -> str:
    """Return a persona's text unchanged, or an empty string for null; a list of strings is joined
    with line breaks."""
    if value is None:
        return ""
    items = cast("Sequence[Any]", value) if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        kinds = ", ".join(sorted({type(item).__name__ for item in items}))
        raise RowError(f"{key!r}: expected a string or a list of strings, found {kinds}")
    text = "\n".join(cast("Sequence[str]", items))
    if len(text) > MAX_PERSONA_CHARS:
        raise RowError(
            f"{key!r} has {len(text):,} characters; the maximum is {MAX_PERSONA_CHARS:,}"
        )
    return text


def _card(row: Mapping[str, Any]) -> PersonaCard:
    fields = {key: row[key] for key in PersonaCard.model_fields if key in row}
    try:
        return PersonaCard.model_validate(fields)
    except ValidationError as error:
        raise RowError(first_fault(error)) from None
