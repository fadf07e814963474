"""The experience generator: asks a model for an experience and checks what comes back.

Structured output where the endpoint has it; in any case the reply is parsed, validated, and
asked for again with the complaint shown to the model. Source: ConvoGen, section II-C-1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
)

from convogen import speech
from convogen.errors import ModelFault
from convogen.experiences import check_experience, encounter_text, person_line, shot_text
from convogen.models.base import Message, printable
from convogen.models.traffic import Answer, Session
from convogen.prompts import Prompt
from convogen.types import Experience, Persona, PersonaCard, Profile, Starter

__all__ = ["ExperienceGenerator", "draft_schema", "find_json"]


BORROWED = "names: one is that of somebody in an example; invent another"


class ExperienceGenerator:
    """Invents experiences: with `invent` all of it, with `match` all but the people.

    `prompt` is that of the one or the other; `reasks` bounds how often one is asked for again.
    """

    def __init__(self, prompt: Prompt, reasks: int) -> None:
        self._prompt = prompt
        self._reasks = reasks

    async def invent(
        self,
        session: Session,
        n: int,
        shots: Sequence[Experience],
        starter_words: int | None = None,
    ) -> Experience:
        """An experience of `n` people, shown `shots` as examples.

        `starter_words` is how long the starter should be, where that matters.
        Raises `ModelFault` of kind `experience_invalid` where no reply could be used.
        """
        fields = [(name, about.description) for name, about in PersonaCard.model_fields.items()]
        messages = self._prompt.render(
            n=n,
            shots=[shot_text(shot) for shot in shots],
            fields=fields,
            starter_words=starter_words,
        )
        found = await self._ask(session, messages, _draft_model(n), lambda draft: _invented(draft))
        return _fitted(found, starter_words)

    async def match(
        self,
        session: Session,
        people: Sequence[Profile],
        shots: Sequence[Experience],
        starter_words: int | None = None,
    ) -> Experience:
        """An experience of given people; those without a name get one that no shot has.

        All else about them stays as it is given. Raises `ModelFault` as `invent`.
        """
        unnamed = sum(person.name is None for person in people)
        shown = [
            {
                "people": [person_line(persona, named=not unnamed) for persona in shot.personas],
                "answer": encounter_text(shot, named=not unnamed),
            }
            for shot in shots
        ]
        lines = [person_line(person, named=person.name is not None) for person in people]
        messages = self._prompt.render(
            people=lines, unnamed=unnamed, shots=shown, starter_words=starter_words
        )
        own = {person.name.casefold() for person in people if person.name}
        used = {persona.name.casefold() for shot in shots for persona in shot.personas} - own
        model = _encounter_model(unnamed)
        found = await self._ask(session, messages, model, lambda draft: _named(people, draft), used)
        return _fitted(found, starter_words)

    async def _ask(
        self,
        session: Session,
        messages: list[Message],
        model: type[BaseModel],
        personas: Callable[[Any], list[Persona]],
        used: AbstractSet[str] = frozenset(),
    ) -> Experience:
        """Ask until a reply can be used; `personas` takes its people out of a draft.

        Nobody may have one of the names `used` in the shots.
        """
        asking, complaint, answer = messages, "", None
        for _ in range(1 + self._reasks):
            answer = await session.ask("generator", asking, schema=_schema(model))
            experience, complaint = _read(answer, model, personas, used)
            if experience is not None:
                return experience
            again = f"That cannot be used: {complaint}. Write the whole object again."
            shown = [Message("assistant", answer.text[:4000]), Message("user", again)]
            # Who took over a shot would take over the same from an answer that did.
            asking = messages if complaint == BORROWED else [*messages, *shown]
        assert answer is not None
        raise ModelFault("experience_invalid", complaint, answer.text)


def _fitted(experience: Experience, words: int | None) -> Experience:
    """The experience, its starter cut after the sentence that brings it nearest to the words."""
    starter = experience.starter
    text = starter.text if words is None else speech.nearest_sentences(starter.text, words)
    if text == starter.text:
        return experience
    repairs = [*experience.repairs, f"starter cut from {len(starter.text.split())} words"]
    starter = starter.model_copy(update={"text": text})
    return experience.model_copy(update={"starter": starter, "repairs": repairs})


def _read(
    answer: Answer,
    model: type[BaseModel],
    personas: Callable[[Any], list[Persona]],
    used: AbstractSet[str],
) -> tuple[Experience | None, str]:
    """The experience in a reply, or None and what is wrong with it."""
    data = find_json(answer.text)
    if data is None:
        cut = answer.finish_reason == "length"
        return None, "it was cut off: be shorter" if cut else "it holds no JSON object"
    try:
        draft = model.model_validate(data)
    except ValidationError as error:
        detail = error.errors()[0]
        where = ".".join(str(part) for part in detail["loc"])
        return None, f"{where}: {detail['msg']}"
    experience = _experience(draft, personas(draft), answer)
    complaint = check_experience(experience)
    if complaint is None and any(p.name.casefold() in used for p in experience.personas):
        complaint = BORROWED
    return (None, complaint) if complaint else (experience, "")


def _invented(draft: Any) -> list[Persona]:
    return [
        Persona(name=p.name, card=PersonaCard(**p.model_dump(exclude={"name"})))
        for p in draft.personas
    ]


def _named(people: Sequence[Profile], draft: Any) -> list[Persona]:
    """The given people, those without a name under the draft's."""
    names: Iterator[str] = iter(getattr(draft, "names", []))
    return [person.named(person.name or next(names)) for person in people]


def _experience(draft: Any, personas: list[Persona], answer: Answer) -> Experience:
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


def _scene() -> dict[str, Any]:
    return {
        "relations": _text(1500, 180, "what they are to each other"),
        "situation": _text(1500, 240, "where they are and what has just happened"),
        "topic": _text(300, 80, "what they talk about"),
        "starter": (_DraftStarter, Field()),
    }


@lru_cache(maxsize=16)
def _draft_model(n: int) -> type[BaseModel]:
    """What the generator writes for `n` people: the card's fields come from `PersonaCard`."""
    name: Any = (str, Field(min_length=1, max_length=80, json_schema_extra={"maxLength": 30}))
    card: dict[str, Any] = {k: (f.annotation, f) for k, f in PersonaCard.model_fields.items()}
    persona = create_model("DraftPersona", __base__=_Loose, name=name, **card)
    personas: Any = (list[persona], Field(min_length=n, max_length=n))
    return create_model("DraftExperience", __base__=_Loose, personas=personas, **_scene())


@lru_cache(maxsize=16)
def _encounter_model(unnamed: int) -> type[BaseModel]:
    """What it writes for people who are given: a name for each of those `unnamed`, no persona."""
    short: Any = Field(min_length=2, max_length=40, json_schema_extra={"maxLength": 24})
    name = Annotated[str, short, AfterValidator(_name_of_a_person)]
    names: Any = (list[name], Field(min_length=unnamed, max_length=unnamed))
    asked = {"names": names} if unnamed else {}
    return create_model("DraftEncounter", __base__=_Loose, **asked, **_scene())


def _name_of_a_person(name: str) -> str:
    if re.search(r"[\d\n{}\[\]<>|_\\]", name) or not re.search(r"[^\W\d_]", name):
        raise ValueError(f"{name!r} is no name of a person")
    return name


def draft_schema(n: int) -> dict[str, Any]:
    """The JSON Schema of an experience of `n` people."""
    return _schema(_draft_model(n))


@lru_cache(maxsize=32)
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON Schema of a draft; every object closed and complete."""
    schema = model.model_json_schema()
    for node in [schema, *schema["$defs"].values()]:
        node["additionalProperties"] = False
        node["required"] = list(node["properties"])
    return schema
