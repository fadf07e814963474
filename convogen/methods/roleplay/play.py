"""A role play at work: algorithm 1 of LLM Roleplay, with its failures detected and made good.

An output that cannot be used is made anew with changed sampling, a bounded number of times; every
output counts. A dialogue that cannot be saved is a failure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convogen.errors import ModelFault
from convogen.generation.example_experiences import card_text
from convogen.methods.base import Play, RunInputs, Task
from convogen.methods.roleplay.failures import (
    FAILURES,
    Family,
    before_reply,
    faults_of_prompt,
    is_incoherent,
    special_tokens,
    thanks_without_end,
)
from convogen.methods.roleplay.people import SPEAKER, Goal
from convogen.methods.roleplay.reading import extract_prompt, stops
from convogen.models.base import Message, Sampling, without_system
from convogen.models.traffic.session import Answer
from convogen.prompts import Prompt
from convogen.records import Conversation, Experience, Persona, Starter, Turn
from convogen.storage.run_folder import Outcome
from convogen.text.turn_checks import read_answer

if TYPE_CHECKING:
    from convogen.methods.roleplay.method import Roleplay

__all__ = ["RESPONDER", "RoleplayPlay", "changed", "usable_prompt"]

RESPONDER = "assistant"
RELATIONS = "a user and a chatbot"

STEP = 0.3
"""How much cooler (no prompt) or warmer (incoherent) an output is sampled each time anew."""

_UNUSABLE = ("no_prompt", "incoherent_inquirer")
_OF_GOING_ON = ("no_prompt", "stop_missed")


class RoleplayPlay(Play):
    """One run of the method."""

    def __init__(self, method: Roleplay, inputs: RunInputs) -> None:
        self._method = method
        self._prompts = inputs.prompts

    async def play(self, task: Task) -> Outcome:
        persona, goal = self._method.pair(task.number)
        dialogue = _Dialogue(self._method, self._prompts, task, persona, goal)
        try:
            ended = await dialogue.converse()
        except ModelFault as fault:
            if self._method.broken == "keep" and len(dialogue.turns) >= 2:
                del dialogue.turns[len(dialogue.turns) // 2 * 2 :]  # a prompt nobody answered
                return dialogue.outcome(fault.kind)
            failure = task.failure(f"turn {len(dialogue.turns) // 2 + 1}", fault)
            counted = {"counts": dict(dialogue.counts)}
            return Outcome(failure=failure.model_copy(update=counted))
        return dialogue.outcome(ended)


@dataclass(slots=True)
class _Dialogue:
    """One dialogue while it goes on; `counts` has all outputs and what was wrong with them."""

    method: Roleplay
    prompts: Mapping[str, Prompt]
    task: Task
    persona: Persona
    goal: Goal
    turns: list[Turn] = field(default_factory=list[Turn])
    counts: Counter[str] = field(default_factory=Counter[str])

    async def converse(self) -> str:
        """Algorithm 1; why it ended. Raises `ModelFault` where it cannot be saved."""
        stop, (asks, answers) = self.method.stop_token, self.method.families
        opening = self.prompts["opening"].render(
            persona=card_text(self.persona), goal=self.goal.goal, stop=stop
        )
        asking = opening if asks.system else without_system(opening)
        answering = self.prompts["responder"].render()
        if self._has_memory("responder"):
            answering = [one for one in answering if one.role != "system"]
        for turn in range(self.method.max_turns):
            prompt = await self._prompt(asking)
            if prompt is None:
                return "goal"
            answering.append(Message("user", prompt))
            if turn == 0 and not answers.system:
                answering = without_system(answering)
            response = await self._response(answering)
            self.task.count("turns")
            if thanks_without_end([one.text for one in self.turns]):
                self.counts["thanking"] += 1
                return "thanking"
            answering.append(Message("assistant", response))
            asking.append(Message("assistant", f'"{prompt}"'))
            asking += self.prompts["forward"].render(response=response, stop=stop)
        return "max_turns"

    async def _prompt(self, messages: Sequence[Message]) -> str | None:
        """The inquirer's next prompt; None where it stops. The first turn has no stop."""
        stop, (asks, answers) = self.method.stop_token, self.method.families
        reasks: list[str] = []
        while True:
            answer = await self._ask("inquirer", messages, reasks)
            said, begun = read_answer(answer.text), bool(self.turns)
            output = said.text
            faults = faults_of_prompt(output, stop, asks, answers)
            if begun and stops(before_reply(output, special_tokens(asks, answers)), stop):
                self.counts.update(name for name in faults if name not in _OF_GOING_ON)
                return None
            prompt = usable_prompt(output, faults, asks, answers)
            if not begun and prompt and len(prompt.split()) == 1 and stops(prompt, stop):
                prompt = None
            if prompt is None and not any(name in faults for name in _UNUSABLE):
                faults = ["no_prompt", *faults]
            self.counts.update(faults)
            if prompt is not None:
                self._add(SPEAKER, prompt, answer, reasks, said.tidied)
                return prompt
            self._again(next(name for name in faults if name in _UNUSABLE), answer, reasks)

    async def _response(self, messages: Sequence[Message]) -> str:
        """The responder's answer to the last prompt."""
        family = self.method.families[1]
        reasks: list[str] = []
        while True:
            answer = await self._ask("responder", messages, reasks)
            said = read_answer(answer.text)
            response, fault = said.text, None
            if not response:
                fault = "empty_response"
            elif is_incoherent(response, family.max_n, family.r):
                fault = "incoherent_responder"
            if fault is None:
                self._add(RESPONDER, response, answer, reasks, said.tidied)
                return response
            self.counts[fault] += 1
            self._again(fault, answer, reasks)

    async def _ask(self, role: str, messages: Sequence[Message], reasks: list[str]) -> Answer:
        self.counts[f"{role}_outputs"] += 1
        self.counts["regenerated"] += bool(reasks)
        session = self.task.session
        own = session.traffic.role(role).sampling
        sampling = changed(own, reasks[-1], len(reasks)) if reasks else None
        return await session.ask(role, messages, sampling=sampling)

    def _again(self, fault: str, answer: Answer, reasks: list[str]) -> None:
        """Note why an output is made anew; raises `ModelFault` where it is not.

        A chatbot with a memory of its own would be asked twice: it never is.
        """
        role = "inquirer" if fault in _UNUSABLE else "responder"
        reasks.append(fault)
        if self._has_memory(role) or len(reasks) > self.method.regenerations:
            said = f"{FAILURES.get(fault, 'no response')}; after {len(reasks)} outputs"
            raise ModelFault(fault, said, answer.text)

    def _has_memory(self, role: str) -> bool:
        """Whether a role is played by a chatbot that remembers, and is itself: no model to set."""
        return self.task.session.traffic.role(role).spec.kind == "http"

    def _add(
        self,
        speaker: str,
        text: str,
        answer: Answer,
        reasks: list[str],
        tidied: Sequence[str],
    ) -> None:
        self.turns.append(
            Turn(
                speaker=speaker,
                text=text,
                origin="agent",
                model=answer.model,
                request=answer.request,
                usage=answer.usage,
                reasks=reasks,
                tidied=list(tidied),
            )
        )

    def outcome(self, ended: str) -> Outcome:
        """The dialogue with what it was played for."""
        task, goal = self.task, self.goal
        experience = Experience(
            id=f"e-{task.id}",
            task=task.number,
            personas=[self.persona],
            relations=RELATIONS,
            situation=goal.goal,
            topic=goal.name,
            starter=Starter(speaker=SPEAKER, text=self.turns[0].text),
        )
        conversation = Conversation(
            id=f"c-{task.id}",
            task=task.number,
            method=self.method.name,
            experience=experience.id,
            participants=[SPEAKER, RESPONDER],
            context={
                "topic": goal.name,
                "situation": goal.goal,
                "relations": RELATIONS,
                "domain": goal.domain,
                "counts": dict(self.counts),
            },
            turns=self.turns,
            ended=ended,
            usage=task.session.usage,
        )
        return Outcome(experience, conversation)


def usable_prompt(output: str, faults: Sequence[str], asks: Family, answers: Family) -> str | None:
    """The first prompt of an output, before any answer of its own; None where there is none."""
    if any(name in faults for name in _UNUSABLE):
        return None
    own = before_reply(output, special_tokens(asks, answers))
    return extract_prompt(own) or extract_prompt(output)


def changed(sampling: Sampling, fault: str, times: int) -> Sampling:
    """How an output is sampled anew: cooler where it kept no form, warmer where it went round."""
    own = 1.0 if sampling.temperature is None else sampling.temperature
    if fault.startswith("incoherent"):
        return Sampling(temperature=min(own + STEP * times, 1.5), frequency_penalty=0.5)
    return Sampling(temperature=round(max(own - STEP * times, 0.1), 2))
