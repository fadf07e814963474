"""Play tasks of the DiaSynth method: obtain a subtopic and personas, then generate the dialogue as
a script or turn by turn.

The first task for a topic requests the topic's subtopics, and the first task for a subtopic
requests the subtopic's personas. A list is stored in the record of the requesting task's
experience, from which a resumed run reads it. If the requesting task fails, the next task for the
same topic or subtopic requests the list.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from convogen.errors import ModelFault
from convogen.methods.base import Play, RunInputs, Task
from convogen.methods.diasynth.dialogue import Asked, Writer, Written
from convogen.methods.diasynth.examples import ROLE, in_roles
from convogen.methods.diasynth.listing import Lister, PlanStep
from convogen.methods.diasynth.plan import SharedList, TaskPosition
from convogen.methods.diasynth.settling import FEELINGS
from convogen.records import Experience, Persona, Starter, Turn
from convogen.storage.run_folder import Outcome

if TYPE_CHECKING:
    from convogen.groupchat import Played
    from convogen.methods.diasynth.method import DiaSynth

__all__ = ["DiaSynthPlay"]

T = TypeVar("T")

_NOT_FOR_ALL = frozenset((FEELINGS, "topic", "duration"))
"""Characteristics that the opening of a group chat leaves out: feelings are private, the topic is
already stated, and the duration has been turned into a number of turns."""


@dataclass(slots=True)
class _Parts:
    """A task's subtopic and people, and the lists that the task had to request."""

    subtopic: str | None = None
    people: list[Persona] = field(default_factory=list[Persona])
    steps: list[PlanStep] = field(default_factory=list[PlanStep])


class DiaSynthPlay(Play):
    """The state of the DiaSynth method in one run."""

    def __init__(self, method: DiaSynth, inputs: RunInputs) -> None:
        self._method = method
        self._run = inputs.run
        self._prompts = inputs.prompts
        self._plan = method.dialogues
        self._topics = method.topic_list
        self._lister = Lister(
            inputs.prompts["subtopics"],
            inputs.prompts["personas"],
            method.similarity,
            method.near_copy,
            method.tries,
        )
        self._writer = Writer(
            inputs.prompts["dialogue"], reasoning=method.reasoning, reasks=method.reasks
        )
        self._subtopics: dict[int, SharedList[str]] = {}
        self._personas: dict[tuple[int, int], SharedList[Persona]] = {}

    def restore(self, committed: int) -> None:
        """Restore the lists that the committed tasks shared."""
        plans: dict[int, list[PlanStep]] = {}
        for experience in self._run.experiences():
            if experience.plan and experience.task is not None:
                plans[experience.task] = [PlanStep.model_validate(step) for step in experience.plan]
        for task in range(committed):
            self._share(self._plan.place(task), plans.get(task, []))

    async def play(self, task: Task) -> Outcome:
        place = self._plan.place(task.number)
        try:
            parts = await self._find(task, place)
        except ModelFault as fault:
            self._share(place, [])
            return Outcome(failure=task.failure("plan", fault))
        self._share(place, parts.steps)
        experience = Experience(
            id=f"e-{task.id}",
            task=task.number,
            personas=parts.people,
            relations="",
            situation="",
            topic=parts.subtopic or self._topics[place.topic],
            starter=Starter(speaker=parts.people[0].name, text=""),
            plan=[one.model_dump(exclude_none=True) for one in parts.steps] or None,
            language=task.language,
        )
        try:
            return await self._talk(task, place, parts, experience)
        except ModelFault as fault:
            failure = task.failure("dialogue", fault, experience=experience)
            return Outcome(experience, failure=failure)

    def _lists(self, place: TaskPosition) -> tuple[SharedList[str], SharedList[Persona]]:
        key = (place.topic, place.subtopic)
        return (
            self._subtopics.setdefault(place.topic, SharedList()),
            self._personas.setdefault(key, SharedList()),
        )

    def _share(self, place: TaskPosition, steps: list[PlanStep]) -> None:
        """End a task's turns and share the lists that it requested."""
        subtopics, personas = self._lists(place)
        subtopics.end(place.topic_turn, (one for step in steps for one in step.subtopics or ()))
        personas.end(place.subtopic_turn, (one for step in steps for one in step.personas or ()))

    async def _find(self, task: Task, place: TaskPosition) -> _Parts:
        """Return a task's subtopic and people, requesting any lists that are missing.

        Raises `ModelFault` if a list is too short.
        """
        method, topic = self._method, self._topics[place.topic]
        subtopics, personas = self._lists(place)
        parts = _Parts()
        if method.subtopics:
            known = subtopics.items
            if not await subtopics.has(place.subtopic + 1, place.topic_turn):
                n = method.n_subtopics - len(known)
                step = await self._lister.subtopics(task.session, topic, known, n)
                parts.steps.append(step)
                known = [*known, *(step.subtopics or ())]
            parts.subtopic = _entry(known, place.subtopic, "subtopics")
        if not method.personas:
            name = ROLE if method.writes_roles else "Person {}"
            parts.people = [Persona(name=name.format(n)) for n in range(1, method.group_size + 1)]
            return parts
        people = personas.items
        if not await personas.has(place.group[-1] + 1, place.subtopic_turn):
            n = method.n_personas - len(people)
            step = await self._lister.personas(task.session, topic, parts.subtopic, people, n)
            parts.steps.append(step)
            people = [*people, *(step.personas or ())]
        parts.people = [_entry(people, at, "personas") for at in place.group]
        if method.writes_roles:
            parts.people = [_as_role(one, n) for n, one in enumerate(parts.people, 1)]
        return parts

    async def _talk(
        self, task: Task, place: TaskPosition, parts: _Parts, experience: Experience
    ) -> Outcome:
        """Return the dialogue, written as a script or played as a chat, and the experience with its
        settled characteristics."""
        method, before = self._method, task.session.usage
        rng = random.Random(task.seed)
        low, high = method.turns
        topic = self._topics[place.topic]
        asked = Asked(topic, parts.subtopic, parts.people, max(low, method.group_size), high)
        examples = method.example_list.draw(rng, method.shots, task.language)
        if method.writes_roles:
            examples = [in_roles(one) for one in examples]
        if method.mode == "script":
            written = await self._writer.write(task.session, asked, examples)
            turns, ended, refused = written.turns, written.ended, list[str]()
            experience = _settled(experience, written)
            for what in ("experiences", *("turns" for _ in turns)):
                task.count(what)
        else:
            written = await self._writer.open(task.session, asked, examples)
            about = written.settled.characteristics.get("topic") or experience.topic
            experience = _settled(experience, written).model_copy(update={"topic": about})
            task.count("experiences")
            n_turns = written.n_turns or rng.randint(asked.low, high)
            played = await self._chat(task, experience, written, n_turns)
            turns, ended, refused = played.turns, played.ended, played.refused
            if method.speakers == "roles":
                experience, turns = _under_roles(experience, turns)
        context = {
            "topic": topic,
            "subtopic": parts.subtopic,
            "reasoning": written.settled.reasoning,
            "characteristics": written.settled.characteristics,
        }
        context = {key: value for key, value in context.items() if value}
        usage = task.session.usage - before
        conversation = task.conversation(
            method.name,
            experience,
            turns=turns,
            ended=ended,
            usage=usage,
            context=context,
            refused=refused,
        )
        return Outcome(experience, conversation)

    async def _chat(
        self, task: Task, experience: Experience, written: Written, n_turns: int
    ) -> Played:
        """Return the dialogue played turn by turn, with one agent per person."""
        from convogen.groupchat import ChatPrompts, ChatRules, play_group_chat

        rules = ChatRules(
            max_turns=n_turns,
            speaker_selection="auto",
            allow_repeats=False,
            max_words=self._method.max_words,
            reasks=self._method.reasks,
            addressees=self._method.addressees,
        )
        settled = written.settled
        told = {k: text for k, text in settled.characteristics.items() if k not in _NOT_FOR_ALL}
        prompts = ChatPrompts.of(
            self._prompts,
            characteristics=[(name.replace("_", " "), text) for name, text in told.items()],
        )
        private = {who: (f"How you feel: {how}",) for who, how in settled.feelings.items()}
        played = await play_group_chat(
            experience,
            rules,
            prompts=prompts,
            session=task.session,
            on_turn=lambda: task.count("turns"),
            private=private,
        )
        self._method.refuse_broken(played.turns, n_turns, played.ended)
        return played


def _entry(items: Sequence[T], index: int, step: str) -> T:
    if index < len(items):
        return items[index]
    message = f"{step}: only {len(items)} exist, but this dialogue needs number {index + 1}"
    raise ModelFault(f"{step}_missing", message)


def _as_role(person: Persona, number: int) -> Persona:
    """Return a person renamed to a role label, with the name moved into the description."""
    text = f"{person.name}. {person.text}" if person.text else person.name
    return person.model_copy(update={"name": ROLE.format(number), "text": text})


def _under_roles(experience: Experience, turns: list[Turn]) -> tuple[Experience, list[Turn]]:
    """Return the experience and turns of a chat with role labels instead of names."""
    people = [_as_role(one, number) for number, one in enumerate(experience.personas, 1)]
    names = (one.name for one in experience.personas)
    roles = dict(zip(names, (one.name for one in people), strict=True))
    starter = experience.starter
    starter = starter.model_copy(update={"speaker": roles[starter.speaker]})
    return (
        experience.model_copy(update={"personas": people, "starter": starter}),
        [_under_role(turn, roles) for turn in turns],
    )


def _settled(experience: Experience, written: Written) -> Experience:
    """Return the experience with its settled characteristics and its starter."""
    characteristics = written.settled.characteristics
    where = [characteristics[key] for key in ("location", "medium") if key in characteristics]
    return experience.model_copy(
        update={
            "relations": characteristics.get("familiarity", ""),
            "situation": "; ".join(where),
            "starter": written.starter,
            "repairs": written.repairs,
            "reasks": written.reasks,
            "model": written.answer.model,
            "usage": written.answer.usage,
        }
    )


def _under_role(turn: Turn, roles: Mapping[str, str]) -> Turn:
    to = turn.addressee and roles.get(turn.addressee, turn.addressee)
    return turn.model_copy(update={"speaker": roles[turn.speaker], "addressee": to})
