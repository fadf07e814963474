"""The experience generator: requests an experience from a model and checks the reply.

Source: ConvoGen, section II-C-1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator, Field, create_model

from convogen.generation.example_experiences import (
    check_experience,
    encounter_text,
    person_line,
    shot_text,
)
from convogen.generation.structured_output import (
    StructuredReply,
    UnusableReply,
    ask_draft,
    first_name,
    name_of_a_person,
    schema_of,
)
from convogen.generation.variations import Variation
from convogen.models.base import Message
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.records import Experience, Persona, PersonaCard, Profile, Starter
from convogen.text.budgets import about_words
from convogen.text.language_tags import ENGLISH
from convogen.text.lengths import Words
from convogen.text.speakers import person_named, tidy_name
from convogen.text.turn_checks import ECHO_WORDS, Scene, complaint, read_utterance
from convogen.text.utterances import nearest_sentences, repeats

__all__ = ["WORDS", "ExperienceGenerator", "draft_schema", "encounter_messages"]

WORDS = {
    "name": Words(4),
    "relations": Words(45, least=20),
    "situation": Words(50, least=25),
    "topic": Words(12),
    "starter": Words(30),
}
"""Length limits for the texts in an experience. `PersonaCard` has its own length limits."""


class ExperienceGenerator:
    """Generates experiences: `invent` creates all parts, and `match` creates all parts except the
    people.

    `prompt` must be the prompt for the function that is called, `invent` or `match`. `reasks` is
    the maximum number of retries per experience.
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
        variation: Variation | None = None,
        *,
        starter_note: str | None = None,
    ) -> Experience:
        """Return an experience with `n` people, none of whom has a name from a shot.

        Args:
            session: The session for the task's model calls.
            n: Number of people.
            shots: The examples in the prompt.
            starter_words: Requested length of the starter, in words; None for any length.
            variation: The suggested tie, place and mood.
            starter_note: Additional instruction about the starter, which is appended to the
                request.

        Raises:
            ModelFault: Of kind `experience_invalid`, if no reply is usable.
        """
        fields = [(name, about.description) for name, about in PersonaCard.model_fields.items()]
        messages = self._prompt.render(
            n=n,
            shots=[shot_text(shot) for shot in shots],
            fields=fields,
            words=WORDS,
            starter_words=starter_words,
            variation=variation,
        )
        messages = _ended(messages, starter_note)

        def parse(draft: Any, answer: SessionReply) -> Experience:
            personas = _invented(draft)
            _refuse_names([persona.name for persona in personas], shots)
            return _experience(draft, personas, answer, shots, session.language)

        model = _draft_model(n, _starter_length(starter_words))
        return await self._ask(session, messages, model, parse, starter_words)

    async def match(
        self,
        session: Session,
        people: Sequence[Profile],
        shots: Sequence[Experience],
        starter_words: int | None = None,
        variation: Variation | None = None,
        *,
        starter_note: str | None = None,
    ) -> Experience:
        """Return an experience with the given people.

        Unnamed people get names that do not occur in the shots; nothing else about the people
        changes. Of the variation, only the scene is suggested: place, mood and topic. Raises
        `ModelFault` under the same conditions as `invent`.
        """
        messages = _ended(
            encounter_messages(self._prompt, people, shots, starter_words, variation), starter_note
        )
        unnamed = _unnamed(people)

        def parse(draft: Any, answer: SessionReply) -> Experience:
            _refuse_names(getattr(draft, "names", []), shots)
            return _experience(draft, _named(people, draft), answer, shots, session.language)

        model = _encounter_model(unnamed, _starter_length(starter_words))
        return await self._ask(session, messages, model, parse, starter_words)

    async def _ask(
        self,
        session: Session,
        messages: list[Message],
        model: type[StructuredReply],
        parse: Callable[[Any, SessionReply], Experience],
        starter_words: int | None,
    ) -> Experience:
        """Request replies until `parse` returns an experience, and cut its starter to the requested
        length."""
        experience, reasks = await ask_draft(
            session,
            "generator",
            messages,
            model=model,
            parse=parse,
            reasks=self._reasks,
            kind="experience_invalid",
        )
        return _fitted(experience.model_copy(update={"reasks": reasks}), starter_words)


def encounter_messages(
    prompt: Prompt,
    people: Sequence[Persona | Profile],
    shots: Sequence[Experience],
    starter_words: int | None = None,
    variation: Variation | None = None,
) -> list[Message]:
    """Return the request to the generator if the people are given."""
    unnamed = _unnamed(people)
    shown = [
        {
            "people": [person_line(persona, named=not unnamed) for persona in shot.personas],
            "answer": encounter_text(shot, named=not unnamed),
        }
        for shot in shots
    ]
    return prompt.render(
        people=[person_line(person, named=person.name is not None) for person in people],
        unnamed=unnamed,
        shots=shown,
        words=WORDS,
        starter_words=starter_words,
        variation=variation and variation.scene(),
    )


def _ended(messages: list[Message], note: str | None) -> list[Message]:
    """Return the messages, with the note, if any, appended to the last message."""
    if note is None:
        return messages
    *before, last = messages
    return [*before, replace(last, content=f"{last.content}\n\n{note}")]


def _unnamed(people: Sequence[Persona | Profile]) -> int:
    return sum(person.name is None for person in people)


def _fitted(experience: Experience, words: int | None) -> Experience:
    """Return the experience with its starter cut at the sentence end nearest to `words`."""
    starter = experience.starter
    text = starter.text if words is None else nearest_sentences(starter.text, words)
    if text == starter.text:
        return experience
    repairs = [*experience.repairs, f"starter cut from {about_words(starter.text)} words"]
    starter = starter.model_copy(update={"text": text})
    return experience.model_copy(update={"starter": starter, "repairs": repairs})


def _refuse_names(names: Sequence[str], shots: Sequence[Experience]) -> None:
    """Raise `UnusableReply` if an invented name or first name occurs in a shot.

    The retry does not show the rejected reply, since a model that has copied one name would copy
    more names.
    """
    shown = {tidy_name(persona.name).casefold() for shot in shots for persona in shot.personas}
    taken = shown | {first_name(name) for name in shown}
    for name in names:
        if not taken.isdisjoint((tidy_name(name).casefold(), first_name(name))):
            objection = f"names: {name!r} has the name of somebody in an example; invent another"
            raise UnusableReply(objection, kind="name_of_a_shot", afresh=True)


def _invented(draft: Any) -> list[Persona]:
    return [
        Persona(name=p.name, card=PersonaCard(**p.model_dump(exclude={"name"})))
        for p in draft.personas
    ]


def _named(people: Sequence[Profile], draft: Any) -> list[Persona]:
    """Return the given people, with names from the draft for the people who have none."""
    names: Iterator[str] = iter(getattr(draft, "names", []))
    return [person.named(person.name or next(names)) for person in people]


def _experience(
    draft: Any,
    personas: list[Persona],
    answer: SessionReply,
    shots: Sequence[Experience],
    language: str | None,
) -> Experience:
    """Return the experience contained in a draft.

    People who were invented together are acquainted; for given people, the draft decides. Raises
    `UnusableReply` if the experience cannot be played.
    """
    starter, repairs = _starter(
        draft.starter, [persona.name for persona in personas], shots, language
    )
    experience = Experience(
        id="",
        personas=personas,
        relations=draft.relations,
        situation=draft.situation,
        topic=draft.topic,
        starter=starter,
        acquainted=getattr(draft, "acquainted", True),
        repairs=repairs,
        model=answer.model,
        usage=answer.usage,
    )
    if objection := check_experience(experience):
        raise UnusableReply(objection)
    return experience


def _starter(
    draft: Any, names: Sequence[str], shots: Sequence[Experience], language: str | None
) -> tuple[Starter, list[str]]:
    """Return the starter in a draft, and the corrections made to the starter.

    Raises:
        UnusableReply: Of kind `starter_<fault>`, if the text is not a usable utterance.
    """
    speaker, repairs = _starter_speaker(draft.speaker, names)
    others = tuple(name for name in names if name != speaker)
    utterance = read_utterance(draft.text, Scene(speaker, others), language=language or ENGLISH)
    copied = about_words(utterance.text) >= ECHO_WORDS and repeats(
        utterance.text, [shot.starter.text for shot in shots]
    )
    fault = utterance.fault or ("echo" if copied else None)
    if fault == "empty_reply":
        raise UnusableReply("starter.text: it holds no words that are spoken", kind="starter_empty")
    if fault is not None:
        objection = f"starter.text: {complaint(fault).removesuffix('.')}"
        raise UnusableReply(objection, kind=f"starter_{fault}", afresh=fault == "echo")
    repairs += [f"starter: {kind} removed" for kind in utterance.tidied]
    return Starter(speaker=speaker, text=utterance.text), repairs


def _starter_speaker(named: str, names: Sequence[str]) -> tuple[str, list[str]]:
    """Return the starter's speaker. If the draft names an unknown person, return the first persona
    and a note."""
    if (speaker := person_named(named, names)) is not None:
        return speaker, []
    return names[0], [f"starter.speaker {named[:80]!r} is nobody here: given to {names[0]!r}"]


def _starter_length(words: int | None) -> Words:
    """Return the length limit of a starter: 1.5 times the requested length, but at least the usual
    limit."""
    usual = WORDS["starter"]
    return usual if words is None else Words(max(usual.most, words + words // 2))


def _scene(starter: Words) -> dict[str, Any]:
    """Return the fields that both draft models share."""
    speaker: Any = (str, WORDS["name"].field(shortest=1, longest=80))
    text: Any = (str, starter.field("the words spoken aloud", shortest=2))
    opening = create_model("DraftStarter", __base__=StructuredReply, speaker=speaker, text=text)
    return {
        "relations": (str, WORDS["relations"].field("what they are to each other")),
        "situation": (str, WORDS["situation"].field("where they are and what has just happened")),
        "topic": (str, WORDS["topic"].field("what they talk about")),
        "starter": (opening, Field()),
    }


@lru_cache(maxsize=64)
def _draft_model(n: int, starter: Words) -> type[StructuredReply]:
    """Return the reply model for `n` people, whose cards have the fields of `PersonaCard`."""
    short: Any = WORDS["name"].field(shortest=1, longest=80)
    name: Any = (Annotated[str, short, AfterValidator(name_of_a_person)], ...)
    card: dict[str, Any] = {k: (f.annotation, f) for k, f in PersonaCard.model_fields.items()}
    persona = create_model("DraftPersona", __base__=StructuredReply, name=name, **card)
    personas: Any = (list[persona], Field(min_length=n, max_length=n))
    return create_model(
        "DraftExperience", __base__=StructuredReply, personas=personas, **_scene(starter)
    )


@lru_cache(maxsize=64)
def _encounter_model(unnamed: int, starter: Words) -> type[StructuredReply]:
    """Return the reply model for given people: it has `unnamed` names but no personas.

    `acquainted` is None if a custom prompt does not request it.
    """
    short: Any = WORDS["name"].field(shortest=2, longest=80)
    name = Annotated[str, short, AfterValidator(name_of_a_person)]
    names: Any = (list[name], Field(min_length=unnamed, max_length=unnamed))
    asked: dict[str, Any] = {"names": names} if unnamed else {}
    scene = _scene(starter)
    opening = scene.pop("starter")
    scene["acquainted"] = (bool, Field(default=None, description="whether they know one another"))
    return create_model(
        "DraftEncounter", __base__=StructuredReply, **asked, **scene, starter=opening
    )


def draft_schema(n: int) -> dict[str, Any]:
    """Return the JSON Schema for an experience with `n` people."""
    return schema_of(_draft_model(n, _starter_length(None)))
