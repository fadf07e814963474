"""Hand-written experiences: the seeds of the few-shot hub, one YAML file each.

In a file, a persona has a name and either the fields of `PersonaCard` or free `text`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from convogen.errors import SourceError
from convogen.inputs.text_file import read_text
from convogen.inputs.validation import explain
from convogen.inputs.yaml12 import parse_mapping
from convogen.records import Experience, Persona, PersonaCard, Profile, Starter
from convogen.resources import shipped
from convogen.text.language_tags import ENGLISH, language_and_script, language_tag
from convogen.text.speakers import one_line, tidy_name

__all__ = [
    "card_text",
    "check_experience",
    "description",
    "encounter_text",
    "free_text",
    "in_languages",
    "know_each_other",
    "load_experiences",
    "memories",
    "person_line",
    "public_card",
    "shot_text",
]

KEYS = ("language", "personas", "relations", "situation", "topic", "starter", "acquainted")
"""The keys that a file may contain; the other fields of `Experience` describe how a model generated
it."""


def load_experiences(folder: Path | None = None) -> list[Experience]:
    """Return the experiences in a folder of YAML files, sorted by file name, or in a single file.

    Raises `SourceError` if there are no files or a file is malformed. The error names the file and
    the key.
    """
    where = folder or shipped("experiences")
    paths = [where] if where.is_file() else sorted(where.glob("*.yaml"))
    if not paths:
        raise SourceError(f"{where}: contains no experiences; provide at least one *.yaml file")
    return [_load(path) for path in paths]


def _load(path: Path) -> Experience:
    return _parsed(path, read_text(path, path, SourceError))


@lru_cache(maxsize=256)  # of unchanged files, which every run reads several times
def _parsed(path: Path, text: str) -> Experience:
    mapping = parse_mapping(text, path)
    try:
        listed = mapping.pop("personas", [])
        if not isinstance(listed, list):
            raise SourceError(
                f"{path}: personas must be a list of personas (found {listed!r})"[:400]
            )
        entries = cast("list[Any]", listed)
        personas = [_persona(entry, path, place) for place, entry in enumerate(entries, 1)]
        if isinstance(tag := mapping.get("language"), str):
            mapping["language"] = _tag(tag, path)
        experience = Experience.model_validate({"id": path.stem, "personas": personas, **mapping})
    except ValidationError as error:
        raise SourceError(f"{path}: {explain(error, Experience, KEYS)}") from error
    starter = experience.starter
    speaker = Starter(speaker=one_line(starter.speaker), text=starter.text)
    experience = experience.model_copy(update={"starter": speaker})
    if complaint := check_experience(experience):
        raise SourceError(f"{path}: {complaint}")
    return experience


def _tag(given: str, path: Path) -> str:
    try:
        return language_tag(given)
    except ValueError as error:
        raise SourceError(f"{path}: language: {error}") from error


def in_languages(experiences: Sequence[Experience], tags: Sequence[str]) -> list[Experience]:
    """Return the experiences whose language is one of `tags`, or those in English if `tags` is
    empty.

    Experiences without a language count as English.
    """
    wanted = {language_and_script(tag) for tag in tags or (ENGLISH,)}
    return [one for one in experiences if language_and_script(one.language) in wanted]


def _persona(entry: Any, path: Path, place: int) -> Persona:
    if not isinstance(entry, Mapping):
        raise SourceError(f"{path}: personas.{place} must be a mapping with a name")
    fields = dict(cast("Mapping[str, Any]", entry))
    own = {key: fields.pop(key) for key in ("name", "text", "licence") if key in fields}
    if isinstance(name := own.get("name"), str):
        own["name"] = one_line(name)
    try:
        card = PersonaCard.model_validate(fields) if fields else None
        return Persona.model_validate({"card": card, "source": f"experiences/{path.name}", **own})
    except ValidationError as error:
        keys = ("name", "text", "licence", *PersonaCard.model_fields)
        said = explain(error, PersonaCard, keys, f"personas.{place}")
        raise SourceError(f"{path}: {said}") from error


def check_experience(experience: Experience) -> str | None:
    """Return an objection to an experience's people or starter; None if both are valid."""
    names = Counter(tidy_name(persona.name).casefold() for persona in experience.personas)
    twice = [name for name, n in names.items() if n > 1]
    if len(experience.personas) < 2:
        return f"personas: {len(experience.personas)} found, at least 2 are needed to talk"
    if twice:
        return f"personas: two of them are named {twice[0]!r}; give each a name of its own"
    if tidy_name(experience.starter.speaker).casefold() not in names:
        return (
            f"starter.speaker: {experience.starter.speaker!r} is none of "
            f"{', '.join(persona.name for persona in experience.personas)}"
        )
    return None


def card_text(persona: Persona | Profile) -> str:
    """Return a persona as text for a prompt: the card, one field per line, or the free text."""
    if persona.card is None:
        return persona.text or ""
    return "\n".join(f"- {line}" for line in _lines(persona.card).values())


def _lines(card: PersonaCard) -> dict[str, str]:
    lines: dict[str, str] = {}
    for key, value in card.model_dump().items():
        shown = ", ".join(cast("Sequence[str]", value)) if isinstance(value, list) else value
        lines[key] = f"{key.replace('_', ' ')}: {shown}"
    return lines


def public_card(persona: Persona) -> list[str]:
    """Return the lines of a persona's card that others may know: all but the memories."""
    lines = _lines(persona.card) if persona.card else {}
    return [line for key, line in lines.items() if not _private(key)]


def memories(persona: Persona) -> list[str]:
    """Return the memories on a persona's card, which only the persona knows.

    The list is empty if the persona has no card.
    """
    card = persona.card.model_dump() if persona.card else {}
    return [value for key, value in card.items() if _private(key)]


def free_text(persona: Persona | Profile) -> str:
    """Return a persona's free text on one line; empty if the persona has none."""
    return " ".join((persona.text or "").split())


def description(persona: Persona) -> str:
    """Return a persona's public description on one line: its card without memories, or its text."""
    return "; ".join(public_card(persona)) or free_text(persona)


def know_each_other(experience: Experience) -> bool:
    """Return whether the people know one another's public cards.

    An experience may state this itself (`acquainted`). Otherwise, people know each other if they
    were invented together, by a model or in an experience file. People from a hub or a data set
    know only each other's names.
    """
    if experience.acquainted is not None:
        return experience.acquainted
    sources = (persona.source for persona in experience.personas)
    return all(source == "generated" or source.startswith("experiences/") for source in sources)


def _private(key: str) -> bool:
    return key.endswith("_memory")


def shot_text(experience: Experience) -> str:
    """Return an experience as the JSON object that is requested from the generator."""
    return json.dumps(
        {
            "personas": [_flat(persona) for persona in experience.personas],
            **_invented(experience),
        },
        ensure_ascii=False,
    )


def person_line(persona: Persona | Profile, *, named: bool) -> str:
    """Return a persona on one line, as shown to the generator, with or without the name.

    Without the name, a card is reduced to lifestyle and recent memory, which are together about as
    long as a hub persona's free text.
    """
    if persona.card is None:
        text = persona.text or ""
    elif named:
        text = card_text(persona).removeprefix("- ").replace("\n- ", "; ")
    else:
        text = f"{persona.card.lifestyle} {persona.card.recent_memory}"
    line = " ".join(text.split())
    return f"{persona.name}: {line}" if named else line


def encounter_text(experience: Experience, *, named: bool) -> str:
    """Return an experience as the JSON object that is requested from the generator if the people
    are given."""
    answer: dict[str, Any] = {}
    if not named:
        answer["names"] = [persona.name for persona in experience.personas]
    answer |= _invented(experience)
    starter = answer.pop("starter")
    answer |= {"acquainted": know_each_other(experience), "starter": starter}
    return json.dumps(answer, ensure_ascii=False)


def _invented(experience: Experience) -> dict[str, Any]:
    return {
        "relations": experience.relations,
        "situation": experience.situation,
        "topic": experience.topic,
        "starter": Starter.model_dump(experience.starter),
    }


def _flat(persona: Persona) -> dict[str, Any]:
    card = persona.card.model_dump() if persona.card else {"text": persona.text}
    return {"name": persona.name, **card}
