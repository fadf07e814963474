"""The chatbot that participants talk to: a model called through `convogen.models.traffic`.

Each reply is written to a journal immediately, in one file per dialogue. After a crash, the reply
comes from the journal, so no call is paid for twice. Each participant's usage is computed from
these journals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from convogen.engine.run_budget import charge_calls, role_prices
from convogen.engine.task_setup import name_task
from convogen.errors import EndpointDown, ModelConfigError, ModelFault
from convogen.gates.safety import SHIPPED, WordList
from convogen.jsonl import make_folder
from convogen.methods.roleplay.method import Roleplay
from convogen.methods.roleplay.people import SPEAKER, families
from convogen.methods.roleplay.play import RESPONDER
from convogen.models.base import ChatModel, Message, Request, Sampling, without_system
from convogen.models.opening import open_model
from convogen.models.prices import Pricer
from convogen.models.progress import RunProgress
from convogen.models.spec import ModelSpec
from convogen.models.traffic.budget import Budget, Limits
from convogen.models.traffic.context_window import ContextWindow, Fitted
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.prompts import load_prompt
from convogen.records import Turn
from convogen.storage.consistency import journal_path
from convogen.study.study_file import CollectDesign
from convogen.text.turn_checks import read_answer

__all__ = ["ROLE", "Chatbot", "check_model", "prompt_turn"]

ROLE = "responder"
_CONCURRENCY = 32
"""Maximum number of in-flight calls per endpoint; a slow endpoint gets fewer."""


def prompt_turn(text: str) -> Turn:
    """Return a participant's message as a turn."""
    return Turn(speaker=SPEAKER, text=text, origin="human")


async def check_model(spec: ModelSpec) -> None:
    """Raise `ModelConfigError` if a model cannot be used, for example without its API key."""
    await open_model(spec).close()


class Chatbot:
    """Answers participants' messages; each combination of a participant and a goal is a task.

    Args:
        design: The study's design.
        folder: The folder for the journals.
        study: The study's random id, from which the seeds of model calls are derived.
        open_model: Function that opens the model.

    Raises:
        ModelConfigError: The budget requires a price that is unknown.
    """

    def __init__(
        self,
        design: CollectDesign,
        folder: Path,
        study: str,
        open_model: Callable[[ModelSpec], ChatModel] = open_model,
    ) -> None:
        self._design = design
        self._folder = folder
        self._study = study
        self._open_model = open_model
        self._limits = design.budget.limits
        self._prices: Mapping[str, Pricer] = role_prices({ROLE: design.model}, self._limits)
        self._role = Role(design.model, self._sampling())
        self._words = WordList([SHIPPED]) if design.guard == "words" else None
        self._traffic: Traffic | None = None
        self._retired: list[Traffic] = []
        make_folder(folder)

    def _sampling(self) -> Sampling:
        own = self._design.sampling or Sampling()
        shipped = self._design.model.is_shipped
        base = Roleplay.embedded_sampling[ROLE] if shipped else Roleplay.roles[ROLE]
        return own.with_defaults(base)

    @property
    def keeps_memory(self) -> bool:
        """Whether the chatbot remembers the dialogue itself and must not get a message twice."""
        return self._design.model.kind == "http"

    def journal(self, task: int) -> Journal:
        """Return the journal of a task's answered calls."""
        return Journal(journal_path(self._folder, task))

    def forget(self, place: int) -> None:
        """Delete the journals of the participant at index `place`, counted from 0."""
        for task in self._tasks(place):
            journal_path(self._folder, task).unlink(missing_ok=True)

    def _tasks(self, place: int) -> range:
        n = len(self._design.goals)
        return range(place * n, (place + 1) * n)

    def shortage(self, place: int, turns: Sequence[Turn]) -> str | None:
        """Return why the participant's budget does not cover a reply, or None if it does."""
        if self._limits == Limits():
            return None
        budget = Budget(self._limits, self._prices)
        for task in self._tasks(place):
            if journal_path(self._folder, task).exists():
                charge_calls(budget, self.journal(task).calls(), self._prices)
        request = Request(
            ROLE, self._role.spec.identity, tuple(self._messages(turns)), self._role.sampling
        )
        short = budget.shortage(request)
        return short and short[1]

    def _messages(self, turns: Sequence[Turn], left_out: int = 0) -> list[Message]:
        """Return the messages that request a reply, without the oldest `left_out` exchanges."""
        system: list[Message] = []
        if not self.keeps_memory:
            own = self._design.system
            system = load_prompt("roleplay/responder", None, Roleplay).render()
            if own is not None:
                system = [Message("system", own)] if own.strip() else []
        said = [
            Message("user" if turn.speaker == SPEAKER else "assistant", turn.text)
            for turn in turns[2 * left_out :]
        ]
        messages = [*system, *said]
        takes_system = families()[self._design.responder_family].system
        return messages if takes_system else without_system(messages)

    async def reply(self, task: int, turns: Sequence[Turn]) -> Turn:
        """Return the reply to a dialogue that ends with a participant's message.

        A reply in the journal is reused. If that reply is unusable, the model is called once more,
        unless it keeps its own memory.

        Raises:
            ModelFault: There is no usable reply.
            EndpointDown: The model cannot be reached.
            ModelConfigError: The model cannot be used as configured.
            TimeoutError: The reply took longer than `reply_timeout_s`.
        """
        journal = self.journal(task)
        session = self._opened().session(
            task, name_task(self._study, task)[1], journal, begun=self._study
        )
        window = ContextWindow(session)
        exchanges = len(turns) // 2
        async with asyncio.timeout(self._design.reply_timeout_s):
            while True:
                known = sum(1 for _ in journal.calls())
                try:
                    fitted = await window.ask(
                        ROLE, lambda left_out: self._messages(turns, left_out), exchanges
                    )
                    return self._shown(fitted)
                except ModelFault:
                    if self.keeps_memory or sum(1 for _ in journal.calls()) > known:
                        raise
                except (EndpointDown, ModelConfigError):
                    self._retire()
                    raise

    def _shown(self, fitted: Fitted) -> Turn:
        """Return a reply as a turn, or raise `ModelFault` if the reply cannot be shown."""
        answer = fitted.answer
        said = read_answer(answer.text)
        if said.fault:
            raise ModelFault(said.fault, "the reply is empty", answer.text)
        if self._words and (entry := self._words.find(said.text)) is not None:
            raise ModelFault(
                "withheld", f"the reply contains {entry!r}, which is in the word list", said.text
            )
        return Turn(
            speaker=RESPONDER,
            text=said.text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
            tidied=list(said.tidied),
            capped_at=fitted.capped_at,
            left_out=fitted.left_out,
        )

    def _opened(self) -> Traffic:
        if self._traffic is None:
            self._traffic = Traffic(
                {ROLE: self._role}, _CONCURRENCY, RunProgress(), self._open_model
            )
        return self._traffic

    def _retire(self) -> None:
        """Make the next call reopen the model, since `Traffic` does not retry a failed endpoint."""
        if self._traffic is not None:
            self._retired.append(self._traffic)
            self._traffic = None

    async def close(self) -> None:
        """Close all connections."""
        for traffic in (*self._retired, self._traffic):
            if traffic is not None:
                await traffic.close()
