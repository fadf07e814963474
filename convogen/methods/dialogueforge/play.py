"""How a task of the DialogueForge method is played: two models write an utterance in turn."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from convogen.corpora.seeds import INQUIRER, RESPONDER, Seed
from convogen.errors import ModelFault
from convogen.methods.base import Play, RunInputs, Task
from convogen.methods.context_window import ContextWindow, Fitted
from convogen.methods.dialogueforge.lengths import turn_lengths
from convogen.methods.dialogueforge.summary import summarize
from convogen.models.base import Message, Sampling
from convogen.models.traffic.session import SessionReply
from convogen.prompts import Prompt
from convogen.records import Conversation, Turn
from convogen.storage.run_folder import Outcome
from convogen.text.budgets import about_words, tokens_of
from convogen.text.identify import identify
from convogen.text.language_tags import ENGLISH
from convogen.text.topics import deviates
from convogen.text.turn_checks import Scene, Utterance, complaint, read_answer, read_typed
from convogen.text.utterances import length_fault, nearest_sentences, repeats, whole_sentences

if TYPE_CHECKING:
    from convogen.methods.dialogueforge.method import DialogueForge

__all__ = ["DialogueForgePlay", "inquirer_chat", "responder_chat"]

OF_LENGTH = ("too_long", "too_short")

TAKEN = (*OF_LENGTH, "echo", "repetition", "topic_deviation")
"""Faults with which an utterance is taken where no better one comes; others end the dialogue."""

LONG_ANSWER_WORDS = 120
"""Words of the chatbot from which the person is reminded of how it types."""

VOICE_CHARS = 300
"""How much of its first message it is reminded with."""

_END = re.compile(r"\[\s*end\s*\]", re.IGNORECASE)
_RESPONDER_NAMES = (RESPONDER, "chatbot", "bot", "AI")
_COMPLAINTS = {
    "empty_reply": "Nothing was written. Write something.",
    "refusal": "You need not be anybody: only write what a person would type next.",
    "assistant_offer": "That is what the chatbot would say. Write what the person types.",
    "echo": "Do not copy the chatbot's answer. Write what the person types.",
    "repetition": "That was said before. Write something new.",
    "topic_deviation": "That has nothing to do with what this is about. Wander, but from here.",
    "concluded_at_once": "It is too early to end. Write a message first.",
}
"""What a speaker is told when asked again, by what was wrong; the usual words for other faults."""


class DialogueForgePlay(Play):
    def __init__(self, method: DialogueForge, inputs: RunInputs) -> None:
        self._method = method
        self._data = method.data
        self._prompts = inputs.prompts

    async def play(self, task: Task) -> Outcome:
        seed = self._data.seeds[task.number]
        stage = "task_summary"
        try:
            about, model = seed.task, None
            if about is None:
                prompt, reasks = self._prompts["task_summary"], self._method.reasks
                summary = await summarize(task.session, prompt, seed, reasks)
                about, model = summary.task, summary.model
            stage = "conversation"
            dialogue = _Dialogue(self._method, self._prompts, task, seed, about)
            ended = await dialogue.play()
            if not dialogue.stands:
                self._method.refuse_broken(dialogue.turns, self._method.utterances, ended)
        except ModelFault as fault:
            return Outcome(failure=task.failure(stage, fault, f"seed {seed.id}: {fault}"))
        context = {
            "seed": seed.id,
            "task": about,
            "source": self._data.name,
            **({"task_by": model} if model else {}),
        }
        conversation = Conversation(
            id=f"c-{task.id}",
            task=task.number,
            method=self._method.name,
            participants=[INQUIRER, RESPONDER],
            context=context,
            turns=dialogue.turns,
            ended=ended,
            usage=task.session.usage,
        )
        return Outcome(conversation=conversation)


def inquirer_chat(
    prompts: Mapping[str, Prompt],
    task: str,
    turns: Sequence[Turn],
    conclude: bool,
    complaint: str | None = None,
    target_words: int | None = None,
) -> list[Message]:
    """What the inquirer is asked with, and is to be trained on.

    It is the assistant of a chat whose user tells it what the responder answered, and after a long
    answer how it typed at first.
    """
    messages = prompts["inquirer"].render(task=task, conclude=conclude)
    voice = " ".join(turns[0].text.split())[:VOICE_CHARS] if turns else ""
    for at, turn in enumerate(turns, 1):
        if turn.speaker == INQUIRER:
            messages.append(Message("assistant", turn.text))
            continue
        last = at == len(turns)
        messages += prompts["inquirer_turn"].render(
            reply=turn.text,
            voice=voice if about_words(turn.text) >= LONG_ANSWER_WORDS else "",
            target_words=target_words if last else None,
            complaint=complaint if last else None,
        )
    return messages


def responder_chat(
    prompts: Mapping[str, Prompt], turns: Sequence[Turn], complaint: str | None = None
) -> list[Message]:
    """What the responder is asked with: a chat, the inquirer its user."""
    messages = prompts["responder"].render()
    for at, turn in enumerate(turns, 1):
        note = f"\n\n({complaint})" if complaint and at == len(turns) else ""
        role = "user" if turn.speaker == INQUIRER else "assistant"
        messages.append(Message(role, turn.text + note))
    return messages


@dataclass(frozen=True, slots=True)
class _Tried:
    """An attempt at a turn; `target` is how many words it was to have, if that was said."""

    fitted: Fitted
    said: Utterance
    target: int | None

    @property
    def off(self) -> int:
        """How many words it is off its target."""
        return 0 if self.target is None else abs(about_words(self.said.text) - self.target)


class _Dialogue:
    """One dialogue, from the seed's opening on."""

    def __init__(
        self,
        method: DialogueForge,
        prompts: Mapping[str, Prompt],
        task: Task,
        seed: Seed,
        about: str,
    ) -> None:
        self._method, self._prompts, self._task, self._about = method, prompts, task, about
        self.turns: list[Turn] = []
        for turn in seed.turns[: method.opening]:
            if not turn.text:
                break
            self.turns.append(turn.model_copy(update={"origin": "starter"}))
        self._window = ContextWindow(task.session)
        self._language = task.language or ENGLISH
        self._ended: str | None = None
        self.stands = False
        """Whether a model gave no answer after the inquirer's own words had had one: it is kept."""
        matched = method.match_lengths
        self._lengths = turn_lengths(method.data.seeds, task.number, task.seed) if matched else None

    async def play(self) -> str:
        """Play to the end and return why it ended.

        Raises `ModelFault` where a model gives no answer before an exchange stands, or the inquirer
        said nothing of its own.
        """
        try:
            while self._ended is None and len(self.turns) < self._method.utterances:
                await self._next((INQUIRER, RESPONDER)[len(self.turns) % 2])
        except ModelFault as fault:
            if self.turns[-1].speaker == INQUIRER:
                self.turns.pop()
            if self._method.broken == "drop" or not self._inquired:
                raise
            self.stands = True
            return fault.kind
        return self._ended or "max_turns"

    async def _next(self, speaker: str) -> None:
        """Ask for the next utterance until one can be taken; end the dialogue where none can."""
        role = "inquirer" if speaker == INQUIRER else "responder"
        faults: list[str] = []
        tried: list[_Tried] = []
        objection: str | None = None
        target = next(self._lengths) if self._lengths and role == "inquirer" else None
        for _ in range(1 + self._method.reasks):
            chat = partial(self._messages, role, objection, target)
            room = self._room(role, target)
            fitted = await self._window.ask(role, chat, (len(self.turns) - 1) // 2, room)
            said, over = self._said(fitted.answer, speaker, target)
            fault = self._fault(speaker, said, over, target)
            if fault is None:
                if said.text:
                    self._take(speaker, _Tried(fitted, said, target), faults)
                self._ended = "concluded" if over else None
                return
            tried.append(_Tried(fitted, said, target))
            faults.append(fault)
            words = about_words(said.text)
            told = _COMPLAINTS.get(fault)
            objection = told or complaint(fault, words=words, target=target or 0)
        taken = [at for at, fault in enumerate(faults) if fault in TAKEN]
        if not taken:
            self._end(role, faults, tried[-1].fitted.answer.text)
            return
        at = min(taken, key=lambda at: (faults[at] not in OF_LENGTH, tried[at].off))
        self._take(speaker, tried[at], faults[:at] + faults[at + 1 :], faults[at])

    def _messages(
        self, role: str, complaint: str | None, target: int | None, left_out: int = 0
    ) -> list[Message]:
        """What a role is asked with, without so many of the oldest exchanges."""
        turns = self.turns[2 * left_out :]
        if role == "responder":
            return responder_chat(self._prompts, turns, complaint)
        conclude = self._method.conclude
        return inquirer_chat(self._prompts, self._about, turns, conclude, complaint, target)

    def _room(self, role: str, target: int | None) -> Sampling | None:
        """Return room for a turn that ends by itself, unless the role's sampling sets its own."""
        given = self._task.session.traffic.role(role).sampling.max_tokens
        if target is None or given is not None:
            return None
        language = identify(turn.text for turn in self.turns)
        return Sampling(max_tokens=2 * tokens_of(target, language) + 80)

    def _said(
        self, answer: SessionReply, speaker: str, target: int | None
    ) -> tuple[Utterance, bool]:
        """Return the utterance in an answer, and whether the inquirer ends the dialogue with it.

        Of an utterance that is to have a length the whole sentences count that come nearest.
        """
        may_end = speaker == INQUIRER and self._method.conclude
        end = _END.search(answer.text) if may_end else None
        cut_off = answer.cut_off and end is None
        if speaker == RESPONDER:
            said = read_answer(answer.text)
        else:
            text = answer.text[: end.start()] if end else answer.text
            theirs = tuple(turn.text for turn in self.turns if turn.speaker != speaker)
            scene = Scene(INQUIRER, _RESPONDER_NAMES, theirs)
            said = read_typed(text, scene, cut_off=cut_off, language=self._language)
        whole = whole_sentences(said.text) if cut_off else said.text
        if whole != said.text:
            fault = None if said.fault == "cut_off" else said.fault
            said = Utterance(whole, (*said.tidied, "cut_off"), fault)
        if target is not None and said.fault is None:
            said = replace(said, text=nearest_sentences(said.text, target))
        return said, end is not None

    def _fault(self, speaker: str, said: Utterance, over: bool, target: int | None) -> str | None:
        """Return why an utterance is not taken, or not gladly; None if it is."""
        if over and not self._inquired:
            return "concluded_at_once"
        if not said.text:
            return None if over else "empty_reply"
        if said.fault is not None:
            return said.fault
        own = [turn.text for turn in self.turns if turn.speaker == speaker]
        if repeats(said.text, own):
            return "repetition"
        grounds = [self._about, *(turn.text for turn in self.turns)]
        if speaker == INQUIRER and deviates(said.text, grounds, language=self._language):
            return "topic_deviation"
        return None if target is None or over else length_fault(said.text, target)

    @property
    def _inquired(self) -> bool:
        """Whether the inquirer has said something of its own."""
        return any(turn.origin == "agent" and turn.speaker == INQUIRER for turn in self.turns)

    def _take(
        self,
        speaker: str,
        tried: _Tried,
        reasks: list[str],
        lapse: str | None = None,
    ) -> None:
        fitted, said = tried.fitted, tried.said
        answer = fitted.answer
        turn = Turn(
            speaker=speaker,
            text=said.text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
            reasks=reasks,
            tidied=list(said.tidied),
            target_words=tried.target,
            lapse=lapse,
            capped_at=fitted.capped_at,
            left_out=fitted.left_out,
        )
        self.turns.append(turn)
        self._task.count("turns")

    def _end(self, role: str, faults: list[str], raw: str) -> None:
        if not self._inquired:
            raise ModelFault(faults[-1], f"the {role} said nothing: {', '.join(faults)}", raw)
        self._ended = faults[-1]
