"""The experience generator: asks a model for an experience and checks what comes back.

Source: ConvoGen, section II-C-1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from convogen import speech
from convogen.drafts import Draft, Unusable, ask_draft, name_of_a_person, schema_of
from convogen.experiences import check_experience, encounter_text, person_line, shot_text
from convogen.models.base import Message
from convogen.models.traffic import Answer, Session
from convogen.prompts import Prompt
from convogen.types import Experience, Persona, PersonaCard, Profile, Starter

__all__ = ["ExperienceGenerator", "draft_schema"]


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
        model: type[Draft],
        personas: Callable[[Any], list[Persona]],
        used: AbstractSet[str] = frozenset(),
    ) -> Experience:
        """Ask until a reply can be used; `personas` takes its people out of a draft.

        Nobody may have one of the names `used` in the shots.
        """

        def take(draft: Any, answer: Answer) -> Experience:
            return _taken(draft, personas(draft), answer, used)

        return await ask_draft(
            session, "generator", messages, model, take, self._reasks, "experience_invalid"
        )


def _fitted(experience: Experience, words: int | None) -> Experience:
    """The experience, its starter cut after the sentence that brings it nearest to the words."""
    starter = experience.starter
    text = starter.text if words is None else speech.nearest_sentences(starter.text, words)
    if text == starter.text:
        return experience
    repairs = [*experience.repairs, f"starter cut from {len(starter.text.split())} words"]
    starter = starter.model_copy(update={"text": text})
    return experience.model_copy(update={"starter": starter, "repairs": repairs})


def _taken(
    draft: Any, personas: list[Persona], answer: Answer, used: AbstractSet[str]
) -> Experience:
    """The experience of a draft; raises `Unusable` where it is none."""
    experience = _experience(draft, personas, answer)
    if complaint := check_experience(experience):
        raise Unusable(complaint)
    if any(persona.name.casefold() in used for persona in experience.personas):
        # Who took over a shot would take over the same from an answer that did.
        raise Unusable("names: one is that of somebody in an example; invent another", afresh=True)
    return experience


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


class _DraftStarter(Draft):
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
def _draft_model(n: int) -> type[Draft]:
    """What the generator writes for `n` people: the card's fields come from `PersonaCard`."""
    name: Any = (str, Field(min_length=1, max_length=80, json_schema_extra={"maxLength": 30}))
    card: dict[str, Any] = {k: (f.annotation, f) for k, f in PersonaCard.model_fields.items()}
    persona = create_model("DraftPersona", __base__=Draft, name=name, **card)
    personas: Any = (list[persona], Field(min_length=n, max_length=n))
    return create_model("DraftExperience", __base__=Draft, personas=personas, **_scene())


@lru_cache(maxsize=16)
def _encounter_model(unnamed: int) -> type[Draft]:
    """What it writes for people who are given: a name for each of those `unnamed`, no persona."""
    short: Any = Field(min_length=2, max_length=40, json_schema_extra={"maxLength": 24})
    name = Annotated[str, short, AfterValidator(name_of_a_person)]
    names: Any = (list[name], Field(min_length=unnamed, max_length=unnamed))
    asked = {"names": names} if unnamed else {}
    return create_model("DraftEncounter", __base__=Draft, **asked, **_scene())


def draft_schema(n: int) -> dict[str, Any]:
    """The JSON Schema of an experience of `n` people."""
    return schema_of(_draft_model(n))
