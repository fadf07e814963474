"""Drafts: JSON objects that a model is asked for, read, validated and asked for again.

Structured output if the endpoint has it; in any case a reply is parsed and validated, and asked for
again with the complaint shown to the model. A text that stops at its schema's bound was cut off,
and is asked for again too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from convogen.errors import ModelFault
from convogen.lengths import BoundedText, cut_texts
from convogen.masking import without_secrets
from convogen.models.base import Message, printable
from convogen.models.traffic import Answer, Session
from convogen.speakers import tidy_name, without_titles

__all__ = [
    "Draft",
    "Unusable",
    "ask_draft",
    "find_json",
    "first_name",
    "name_of_a_person",
    "parse_draft",
    "read_draft",
    "schema_of",
]

_SHOWN_CHARS = 12_000
"""How much of a reply that was refused the model is shown again."""

_COMPLAINTS = 3
"""Texts that were cut off which one complaint names."""

_MOST_NAME = 80
"""Characters of a name."""

T = TypeVar("T")
D = TypeVar("D", bound="Draft")


class Draft(BaseModel):
    """What a model writes: surplus keys, white space around texts and control characters go.

    A reply has none of the latter, but the strings of its JSON may spell them as escapes.
    """

    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)

    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [cls._readable(item) for item in cast("list[Any]", value)]
        return printable(value) if isinstance(value, str) else value


class Unusable(Exception):
    """What is wrong with a draft, in words for the model.

    Attributes:
        kind: The fault in a word or two, for the record.
        afresh: The model is asked again without being shown what it wrote.
    """

    def __init__(self, complaint: str, *, kind: str = "invalid", afresh: bool = False) -> None:
        super().__init__(complaint)
        self.kind = kind
        self.afresh = afresh


async def ask_draft(
    session: Session,
    role: str,
    messages: Sequence[Message],
    model: type[D],
    take: Callable[[D, Answer], T],
    reasks: int,
    kind: str,
) -> tuple[T, list[str]]:
    """Ask until `take` makes something of a draft; it raises `Unusable` if it cannot.

    Returns:
        What `take` made, and the kinds of fault of the replies before, in their order.

    Raises:
        ModelFault: Of `kind`, if none of 1 + `reasks` replies could be used.
    """
    asking, complaint, kinds = list(messages), "", list[str]()
    answer: Answer | None = None
    for _ in range(1 + reasks):
        answer = await session.ask(role, asking, schema=schema_of(model))
        try:
            return take(read_draft(answer, model), answer), kinds
        except Unusable as fault:
            complaint = str(fault)
            kinds.append(fault.kind)
            shown = "" if fault.afresh else answer.text[:_SHOWN_CHARS].strip()
        asking = list(messages)
        if shown:  # Some endpoints refuse an empty message.
            again = f"That cannot be used: {complaint}. Write the whole object again."
            asking += [Message("assistant", shown), Message("user", again)]
    assert answer is not None
    raise ModelFault(kind, complaint, answer.text)


def read_draft(answer: Answer, model: type[D]) -> D:
    """Return the draft in a reply; raises `Unusable` saying what is wrong with it."""
    draft, cut = parse_draft(answer, model)
    if cut:
        complaint = "; ".join(text.complaint() for text in cut[:_COMPLAINTS])
        raise Unusable(complaint, kind="cut_off")
    return draft


def parse_draft(answer: Answer, model: type[D]) -> tuple[D, list[BoundedText]]:
    """Return the draft in a reply and those of its texts that were cut off.

    Raises:
        Unusable: If the reply holds no draft.
    """
    data = find_json(answer.text)
    try:
        draft = model.model_validate(data or {})
    except ValidationError as error:
        if answer.finish_reason == "length":
            complaint = "it was cut off before its end; keep each text to the words asked for"
            raise Unusable(complaint, kind="cut_off") from error
        if data is None:
            raise Unusable("it holds no JSON object") from error
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise Unusable(f"{where}: {detail['msg']}") from error
    return draft, cut_texts(data, schema_of(model), answer.finish_reason)


def find_json(text: str) -> dict[str, Any] | None:
    """Return the first JSON object in a text, with or without prose or a code fence around it."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    for _ in range(20):
        if at < 0:
            return None
        try:
            found = decoder.raw_decode(text, at)[0]
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return cast("dict[str, Any]", without_secrets(found))
        at = text.find("{", at + 1)
    return None


def first_name(name: str) -> str:
    """Return the first word of a name that is no title, in small letters."""
    _, words = without_titles(tidy_name(name))
    return words[0].strip(".").casefold() if words else ""


def name_of_a_person(name: str) -> str:
    """Return the name in the form in which names are compared; raises `ValueError` if it is none.

    Several lines, digits and the marks of code, templates and labels are in no name.
    """
    tidied = tidy_name(name)
    several = len(name.splitlines()) > 1 or len(tidied) > _MOST_NAME
    if several or re.search(r"[\d{}\[\]<>|_\\:]", tidied) or not re.search(r"[^\W\d_]", tidied):
        raise ValueError(f"{name!r} is no name of a person")
    return tidied


@lru_cache(maxsize=32)
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON Schema of a draft; every object closed and complete."""
    schema = model.model_json_schema()
    for node in [schema, *schema.get("$defs", {}).values()]:
        node["additionalProperties"] = False
        node["required"] = list(node["properties"])
        for field in node["properties"].values():
            field.pop("default", None)
    return schema
