"""The experience generator: asks a model for an experience and checks what comes back.

Structured output where the endpoint has it; in any case the reply is parsed, validated, and
asked for again with the complaint shown to the model. Source: ConvoGen, section II-C-1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
)

from convogen import speech
from convogen.errors import ModelFault
from convogen.experiences import check_experience, shot_text
from convogen.models.base import Message, printable
from convogen.models.traffic import Answer, Session
from convogen.prompts import Prompt
from convogen.types import Experience, Persona, PersonaCard, Starter

__all__ = ["ExperienceGenerator", "draft_schema", "find_json"]


class ExperienceGenerator:
    """Invents experiences; `reasks` bounds how often one is asked for again."""

    def __init__(self, prompt: Prompt, reasks: int) -> None:
        self._prompt = prompt
        self._reasks = reasks
        self._fields = [
            (name, field.description or name) for name, field in PersonaCard.model_fields.items()
        ]

    async def invent(
        self, session: Session, *, name: str, task: int, n: int, shots: Sequence[Experience]
    ) -> Experience:
        """An experience of `n` people with the id `name`, shown `shots` as examples.

        Raises `ModelFault` of kind `experience_invalid` where no reply could be used.
        """
        messages = self._prompt.render(
            n=n, shots=[shot_text(shot) for shot in shots], fields=self._fields
        )
        asking, complaint, answer = messages, "", None
        for _ in range(1 + self._reasks):
            answer = await session.ask("generator", asking, schema=draft_schema(n))
            experience, complaint = _read(answer, n)
            if experience is not None:
                return experience.model_copy(
                    update={"id": name, "task": task, "shots": [shot.id for shot in shots]}
                )
            asking = [
                *messages,
                Message("assistant", answer.text[:4000]),
                Message("user", f"That cannot be used: {complaint}. Write the whole object again."),
            ]
        assert answer is not None
        raise ModelFault("experience_invalid", complaint, answer.text)


def _read(answer: Answer, n: int) -> tuple[Experience | None, str]:
    """The experience in a reply, or None and what is wrong with it."""
    data = find_json(answer.text)
    if data is None:
        cut = answer.finish_reason == "length"
        return None, "it was cut off: be shorter" if cut else "it holds no JSON object"
    try:
        draft = _draft_model(n).model_validate(data)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        return None, f"{where}: {detail['msg']}"
    experience = _experience(draft, answer)
    complaint = check_experience(experience)
    return (None, complaint) if complaint else (experience, "")


def _experience(draft: Any, answer: Answer) -> Experience:
    personas = [
        Persona(name=p.name, card=PersonaCard(**p.model_dump(exclude={"name"})))
        for p in draft.personas
    ]
    speaker, repairs = _starter_speaker(draft.starter.speaker, [p.name for p in personas])
    return Experience(
        id="",
        personas=personas,
        relations=draft.relations,
        situation=draft.situation,
        topic=draft.topic,
        starter=Starter(speaker=speaker, text=speech.tidy(draft.starter.text, speaker)),
        repairs=repairs,
        model=answer.model,
        usage=answer.usage,
    )


def _starter_speaker(said: str, names: Sequence[str]) -> tuple[str, list[str]]:
    """Whom the starter belongs to: the persona named, else the first, with a note."""
    folded = said.strip().casefold()
    exact = [name for name in names if name.casefold() == folded]
    first = [name for name in names if name.split()[0].casefold() == folded.split(" ")[0]]
    if exact or len(first) == 1:
        return (exact or first)[0], []
    return names[0], [f"starter.speaker {said[:80]!r} is nobody here: given to {names[0]!r}"]


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


class _Loose(BaseModel):
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


class _DraftStarter(_Loose):
    speaker: str = Field(min_length=1, max_length=80, json_schema_extra={"maxLength": 40})
    text: str = Field(min_length=2, max_length=1000, json_schema_extra={"maxLength": 160})


def _text(longest: int, wanted: int, about: str) -> Any:
    """A text field: taken up to `longest` characters, asked for with `wanted` at most."""
    extra: Any = {"maxLength": wanted}
    return (
        str,
        Field(min_length=3, max_length=longest, description=about, json_schema_extra=extra),
    )


@lru_cache(maxsize=16)
def _draft_model(n: int) -> type[BaseModel]:
    """What the generator writes for `n` people: the card's fields come from `PersonaCard`."""
    name: Any = (str, Field(min_length=1, max_length=80, json_schema_extra={"maxLength": 30}))
    card: dict[str, Any] = {k: (f.annotation, f) for k, f in PersonaCard.model_fields.items()}
    persona = create_model("DraftPersona", __base__=_Loose, name=name, **card)
    personas: Any = (list[persona], Field(min_length=n, max_length=n))
    return create_model(
        "DraftExperience",
        __base__=_Loose,
        personas=personas,
        relations=_text(1500, 180, "what they are to each other"),
        situation=_text(1500, 240, "where they are and what has just happened"),
        topic=_text(300, 80, "what they talk about"),
        starter=(_DraftStarter, Field()),
    )


@lru_cache(maxsize=16)
def draft_schema(n: int) -> dict[str, Any]:
    """The JSON Schema of an experience of `n` people; every object closed and complete."""
    schema = _draft_model(n).model_json_schema()
    for node in [schema, *schema["$defs"].values()]:
        node["additionalProperties"] = False
        node["required"] = list(node["properties"])
    return schema
