"""The settled part of a dialogue: the reasoning about it, then its ten characteristics.

Source: DiaSynth, section 3.3 and table 1. The reasoning is free text that explains the
characteristics and how they interact. Feelings are settled per person, so that each person in a
group chat knows only their own feelings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field, create_model

from convogen.generation.structured_output import StructuredReply
from convogen.text.lengths import Words, sentence_ends
from convogen.text.speakers import person_named, without_titles

__all__ = ["CHARACTERISTICS", "FEELINGS", "WORDS", "Settled", "feelings_of", "settled_fields"]

FEELINGS = "emotional_states"
"""The characteristic that is settled per person."""

CHARACTERISTICS = {
    "ages_and_genders": "how old each of them is, and of what gender",
    "familiarity": "what they are to each other, and how well they know each other",
    FEELINGS: "how each of them feels as it begins",
    "formality": "how formal or casual they are with each other",
    "duration": "how long they talk",
    "medium": "how they talk: face to face, on the phone, by text messages",
    "topic": "what of the subject they really talk about",
    "location": "where they are",
    "agreement": "whether they agree, and over what they do not",
    "natural_features": "what makes it sound real: fillers, pauses, slang, half sentences",
}
"""Maps each characteristic in table 1 of the paper to its description for the model."""

WORDS = {"reasoning": Words(150, least=80), "characteristic": Words(12)}
"""Requested lengths of the strings, in words."""

LEAST_REASONING = 200
"""Minimum length of the reasoning, in characters, that the schema requires."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The settled part of a dialogue; empty if it was not requested.

    `characteristics` maps the names of characteristics to texts, one of which describes everybody's
    feelings. `feelings` maps each person to that person's feelings.
    """

    reasoning: str = ""
    characteristics: dict[str, str] = field(default_factory=dict[str, str])
    feelings: dict[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Settled:
        """Return the settled part of the object in a reply; any key may be missing."""
        if "characteristics" not in data:
            return cls()
        told: dict[str, Any] = {**data["characteristics"]}
        feelings: dict[str, str] = {who: how for who, how in told[FEELINGS].items() if how}
        told[FEELINGS] = "; ".join(f"{who}: {how}" for who, how in feelings.items())
        return cls(data["reasoning"], {name: text for name, text in told.items() if text}, feelings)


def settled_fields(names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of the requested object, keyed by field name, for people with the given
    names."""
    text = WORDS["characteristic"]
    each: dict[str, Any] = {
        f"person_{nth}": (str, _feeling(name)) for nth, name in enumerate(names)
    }
    feelings = create_model("DraftFeelings", __base__=StructuredReply, **each)
    by_name = BeforeValidator(partial(_by_name, names=tuple(names)))
    fields: dict[str, Any] = {
        name: (str, text.field(about, shortest=2, longest=500))
        for name, about in CHARACTERISTICS.items()
    }
    fields[FEELINGS] = (Annotated[feelings, by_name], Field(description=CHARACTERISTICS[FEELINGS]))
    characteristics = create_model("DraftCharacteristics", __base__=StructuredReply, **fields)
    reasoning = WORDS["reasoning"].field(shortest=20, longest=5000, minLength=LEAST_REASONING)
    return {"reasoning": (str, reasoning), "characteristics": (characteristics, Field())}


def _feeling(name: str) -> Any:
    """Return a field for a person's feelings.

    The alias of the field is the person's name, which may be any string. The value is empty if a
    reply omits the field.
    """
    text = WORDS["characteristic"]
    return Field(
        default="",
        alias=name,
        max_length=500,
        description=f"how this one feels, with nothing of the others ({text})",
        json_schema_extra={"maxLength": text.max_chars},
    )


def _by_name(value: Any, names: Sequence[str]) -> Any:
    """Return the feelings in a reply, keyed by the people's full names even if the reply uses other
    forms of the names."""
    if isinstance(value, str):
        return feelings_of(value, names)
    if isinstance(value, dict):
        told = cast("dict[str, Any]", value)
        return {person_named(name, names) or name: how for name, how in told.items()}
    return value


def feelings_of(feelings: str | Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """Return each person's feelings, keyed by name.

    If `feelings` is a single string, each person gets the parts that name them. If no part names
    anybody and there are as many parts as people, the parts are assigned in order. Otherwise, all
    feelings are empty.
    """
    if not isinstance(feelings, str):
        return {name: feelings.get(name, "") for name in names}
    parts = [part.strip() for part in _parts(feelings) if part.strip()]
    by_person = {
        name: "; ".join(
            part.removeprefix(f"{name}:").strip() for part in parts if _names(part, name)
        )
        for name in names
    }
    if not any(by_person.values()) and len(parts) == len(names):
        return dict(zip(names, parts, strict=True))
    return by_person


def _parts(text: str) -> list[str]:
    """Return a text split at semicolons and line breaks; if it has neither, return its
    sentences."""
    parts = re.split(r"[;\n]", text)
    if len(parts) > 1:
        return parts
    ends = [0, *sentence_ends(text), len(text)]
    return [text[start:end] for start, end in pairwise(ends)]


def _names(part: str, name: str) -> bool:
    """Return whether a string contains any word of a name other than a title."""
    words = "|".join(re.escape(word) for word in without_titles(name)[1])
    return bool(words) and re.search(rf"(?<!\w)(?:{words})(?!\w)", part) is not None
