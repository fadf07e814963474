"""Play tasks of the LLM Roleplay method: algorithm 1, with detection and handling of failures.

An unusable output is regenerated with changed sampling, up to a maximum number of times; all
outputs are counted. If no output is usable, the dialogue ends, as in algorithm 1. The dialogue is
kept if it has at least one exchange and `broken` is `keep`; otherwise, a failure is recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from convogen.errors import ModelFault
from convogen.generation.example_experiences import card_text
from convogen.methods.base import Play, RunInputs, Task
from convogen.methods.roleplay.failures import (
    FAILURES,
    Family,
    before_reply,
    faults_of_prompt,
    goes_round,
    is_incoherent,
    special_tokens,
    thanks_without_end,
)
from convogen.methods.roleplay.people import SPEAKER, Goal
from convogen.methods.roleplay.personas import persona_id
from convogen.methods.roleplay.reading import extract_prompt, stops
from convogen.models.base import Message, Sampling, without_system
from convogen.models.traffic.context_window import ContextWindow, Fitted
from convogen.prompts import Prompt
from convogen.records import Conversation, Experience, Persona, Starter, Turn
from convogen.storage.run_folder import Outcome
from convogen.text.language_tags import ENGLISH
from convogen.text.turn_checks import read_answer

if TYPE_CHECKING:
    from convogen.methods.roleplay.method import Roleplay

__all__ = ["RESPONDER", "RoleplayPlay", "changed", "usable_prompt"]

RESPONDER = "assistant"
RELATIONS = "a user and a chatbot"

STEP = 0.3
"""Step by which each regeneration changes the temperature: down after an output without a prompt,
up after an incoherent output."""

_OF_GOING_ON = ("no_prompt", "stop_missed")
_ENDED = {"incoherent_inquirer": "incoherent", "incoherent_responder": "incoherent"}
"""Maps faults to the names used for them in a dialogue's `ended`, if these names differ."""


class RoleplayPlay(Play):
    """The state of the LLM Roleplay method in one run."""

    def __init__(self, method: Roleplay, inputs: RunInputs) -> None:
        self._method = method
        self._prompts = inputs.prompts

    async def play(self, task: Task) -> Outcome:
        persona, goal = self._method.pair(task.number)
        dialogue = _Dialogue(self._method, self._prompts, task, persona, goal)
        try:
            ended = await dialogue.converse()
        except ModelFault as fault:
            if dialogue.refused[-1:] != [fault.kind]:
                dialogue.refused = [*dialogue.refused, fault.kind]
            if self._method.broken == "keep" and len(dialogue.turns) >= 2:
                del dialogue.turns[len(dialogue.turns) // 2 * 2 :]  # an unanswered prompt
                return dialogue.outcome(_ENDED.get(fault.kind, fault.kind))
            failure = task.failure(f"turn {len(dialogue.turns) // 2 + 1}", fault)
            counted = {"counts": dict(dialogue.counts)}
            return Outcome(failure=failure.model_copy(update=counted))
        return dialogue.outcome(ended)


class _Dialogue:
    """One dialogue in progress.

    `counts` contains the numbers of outputs and of their faults. If no attempt at a turn was usable
    and the dialogue therefore ended early, `refused` lists the faults of these attempts.
    """

    def __init__(
        self,
        method: Roleplay,
        prompts: Mapping[str, Prompt],
        task: Task,
        persona: Persona,
        goal: Goal,
    ) -> None:
        self.method, self.prompts, self.task = method, prompts, task
        self.persona, self.goal = persona, goal
        self._asks, self._answers = method.families
        self._tokens = special_tokens(self._asks, self._answers)
        self.turns: list[Turn] = []
        self.counts: Counter[str] = Counter()
        self.refused: list[str] = []
        self._window = ContextWindow(task.session)
        self._language = task.language or ENGLISH

    async def converse(self) -> str:
        """Run algorithm 1 and return why the dialogue ended.

        Raises `ModelFault` if no attempt at a turn is usable.
        """
        for _ in range(self.method.max_turns):
            if not await self._prompt():
                return "goal"
            await self._response()
            self.task.count("turns")
            if thanks_without_end([one.text for one in self.turns], self._language):
                self.counts["thanking"] += 1
                return "thanking"
        return "max_turns"

    def _asking(self, left_out: int) -> list[Message]:
        """Return the messages to the inquirer, without the `left_out` oldest exchanges."""
        stop = self.method.stop_token
        messages = self.prompts["opening"].render(
            persona=card_text(self.persona), goal=self.goal.goal, stop=stop
        )
        turns = self.turns[2 * left_out :]
        for prompt, response in zip(turns[::2], turns[1::2], strict=True):
            messages.append(Message("assistant", f'"{prompt.text}"'))
            messages += self.prompts["forward"].render(response=response.text, stop=stop)
        return messages if self._asks.system else without_system(messages)

    def _answering(self, left_out: int) -> list[Message]:
        """Return the messages to the responder, without the `left_out` oldest exchanges."""
        memory = self._has_memory("responder")
        messages = [] if memory else self.prompts["responder"].render()
        for turn in self.turns[2 * left_out :]:
            messages.append(Message("user" if turn.speaker == SPEAKER else "assistant", turn.text))
        return messages if self._answers.system else without_system(messages)

    async def _prompt(self) -> bool:
        """Add the inquirer's next prompt and return True, or return False if the inquirer stops.

        The inquirer cannot stop in the first turn.
        """
        stop, asks, answers = self.method.stop_token, self._asks, self._answers
        reasks: list[str] = []
        while True:
            fitted = await self._ask("inquirer", reasks)
            said, begun = read_answer(fitted.answer.text), bool(self.turns)
            output = said.text
            faults = faults_of_prompt(output, stop, asks, answers, self._language)
            if begun and stops(before_reply(output, self._tokens), stop):
                self.counts.update(name for name in faults if name not in _OF_GOING_ON)
                return False
            prompt = usable_prompt(output, faults, asks, answers)
            if not begun and prompt and len(prompt.split()) == 1 and stops(prompt, stop):
                prompt = None
            incoherent = "incoherent_inquirer" in faults and goes_round(output, asks)
            if prompt is None and "no_prompt" not in faults and not incoherent:
                faults = ["no_prompt", *faults]
            self.counts.update(faults)
            if prompt is not None:
                self._add(
                    SPEAKER, prompt, fitted=fitted, reasks=reasks, tidied=said.tidied, faults=faults
                )
                return True
            unusable = "no_prompt" if "no_prompt" in faults else "incoherent_inquirer"
            self._again("inquirer", unusable, fitted, reasks)

    async def _response(self) -> None:
        """Add the responder's reply to the last prompt."""
        family = self._answers
        reasks: list[str] = []
        while True:
            fitted = await self._ask("responder", reasks)
            output = read_answer(fitted.answer.text)
            response, fault = output.text, None
            if not response:
                fault = "empty_response"
            elif is_incoherent(response, family.max_n, family.r):
                fault = "incoherent_responder"
            faults = [fault] if fault else []
            self.counts.update(faults)
            if fault is None or (response and not goes_round(response, family)):
                self._add(
                    RESPONDER,
                    response,
                    fitted=fitted,
                    reasks=reasks,
                    tidied=output.tidied,
                    faults=faults,
                )
                return
            self._again("responder", fault, fitted, reasks)

    async def _ask(self, role: str, reasks: list[str]) -> Fitted:
        own = self.task.session.traffic.role(role).sampling
        sampling = changed(own, reasks[-1], len(reasks)) if reasks else None
        chat = self._asking if role == "inquirer" else self._answering
        exchanges = (len(self.turns) - 1) // 2
        fitted = await self._window.ask(role, chat, max(exchanges, 0), sampling)
        self.counts[f"{role}_outputs"] += 1
        self.counts["regenerated"] += bool(reasks)
        return fitted

    def _again(self, role: str, fault: str, fitted: Fitted, reasks: list[str]) -> None:
        """Record why an output is unusable; raise `ModelFault` if the output must not be
        regenerated.

        Requests to a chatbot that keeps its own memory are never repeated, since the chatbot would
        get the message twice.
        """
        reasks.append(fault)
        self.refused = reasks
        if self._has_memory(role) or len(reasks) > self.method.regenerations:
            said = f"{FAILURES.get(fault, 'no response')} (attempts: {len(reasks)})"
            raise ModelFault(fault, said, fitted.answer.text)

    def _has_memory(self, role: str) -> bool:
        """Return whether a role is played by a chatbot with its own memory and instructions."""
        return self.task.session.traffic.role(role).spec.kind == "http"

    def _add(
        self,
        speaker: str,
        text: str,
        *,
        fitted: Fitted,
        reasks: list[str],
        tidied: Sequence[str],
        faults: list[str],
    ) -> None:
        answer = fitted.answer
        turn = Turn(
            speaker=speaker,
            text=text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
            reasks=reasks,
            tidied=list(tidied),
            faults=faults or None,
            capped_at=fitted.capped_at,
            left_out=fitted.left_out,
        )
        self.turns.append(turn)
        self.refused = []

    def outcome(self, ended: str) -> Outcome:
        """Return the dialogue and its experience."""
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
                "persona_id": persona_id(self.persona),
                **({"features": self.persona.features} if self.persona.features else {}),
                "counts": dict(self.counts),
            },
            turns=self.turns,
            ended=ended,
            refused=self.refused,
            usage=task.session.usage,
        )
        return Outcome(experience, conversation)


def usable_prompt(output: str, faults: Sequence[str], asks: Family, answers: Family) -> str | None:
    """Return an output's first prompt, preferably from before any self-reply; None if there is no
    prompt.

    An incoherent output has no prompt, unless only code or punctuation repeats.
    """
    if "no_prompt" in faults or ("incoherent_inquirer" in faults and goes_round(output, asks)):
        return None
    own = before_reply(output, special_tokens(asks, answers))
    return extract_prompt(own) or extract_prompt(output)


def changed(sampling: Sampling, fault: str, times: int) -> Sampling:
    """Return the sampling settings for a regeneration.

    The temperature is lower after a format fault and higher after a loop.
    """
    own = 1.0 if sampling.temperature is None else sampling.temperature
    if fault.startswith("incoherent"):
        return Sampling(temperature=min(own + STEP * times, 1.5), frequency_penalty=0.5)
    return Sampling(temperature=round(max(own - STEP * times, 0.1), 2))
