"""Drafts: JSON objects that a model is asked for, read, validated and asked for again.

Structured output where the endpoint has it; in any case a reply is parsed and validated, and asked
for again with the complaint shown to the model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from convogen.errors import ModelFault
from convogen.models.base import Message, printable
from convogen.models.traffic import Answer, Session

__all__ = [
    "Draft",
    "Unusable",
    "ask_draft",
    "find_json",
    "name_of_a_person",
    "read_draft",
    "schema_of",
]

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
    """What is wrong with a draft, in words for the model; with `afresh` it is asked again without
    being shown what it wrote."""

    def __init__(self, complaint: str, *, afresh: bool = False) -> None:
        super().__init__(complaint)
        self.afresh = afresh


async def ask_draft(
    session: Session,
    role: str,
    messages: Sequence[Message],
    model: type[D],
    take: Callable[[D, Answer], T],
    reasks: int,
    kind: str,
) -> T:
    """Ask until `take` makes something of a draft; it raises `Unusable` where it cannot.

    Raises `ModelFault` of `kind` where none of 1 + `reasks` replies could be used.
    """
    asking, complaint, answer = list(messages), "", None
    for _ in range(1 + reasks):
        answer = await session.ask(role, asking, schema=schema_of(model))
        try:
            return take(read_draft(answer, model), answer)
        except Unusable as fault:
            complaint = str(fault)
            again = f"That cannot be used: {complaint}. Write the whole object again."
            shown = [Message("assistant", answer.text[:4000]), Message("user", again)]
            asking = list(messages) if fault.afresh else [*messages, *shown]
    assert answer is not None
    raise ModelFault(kind, complaint, answer.text)


def read_draft(answer: Answer, model: type[D]) -> D:
    """The draft in a reply; raises `Unusable` saying what is wrong with it."""
    data = find_json(answer.text)
    if data is None:
        cut = answer.finish_reason == "length"
        raise Unusable("it was cut off: be shorter" if cut else "it holds no JSON object")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        raise Unusable(f"{where}: {detail['msg']}") from error


def find_json(text: str) -> dict[str, Any] | None:
    """The first JSON object in a text, with or without prose or a code fence around it."""
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
            return cast("dict[str, Any]", found)
        at = text.find("{", at + 1)
    return None


def name_of_a_person(name: str) -> str:
    """The name; raises `ValueError` where it is none."""
    if re.search(r"[\d\n{}\[\]<>|_\\]", name) or not re.search(r"[^\W\d_]", name):
        raise ValueError(f"{name!r} is no name of a person")
    return name


@lru_cache(maxsize=32)
def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a draft; every object closed and complete."""
    schema = model.model_json_schema()
    for node in [schema, *schema.get("$defs", {}).values()]:
        node["additionalProperties"] = False
        node["required"] = list(node["properties"])
    return schema
