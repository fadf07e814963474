"""Play tasks of the DialogueForge method: two models take turns to write utterances."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

from convogen.corpora.seeds import INQUIRER, RESPONDER, Seed
from convogen.errors import ModelFault
from convogen.methods.base import Play, RunInputs, Task
from convogen.methods.dialogueforge.lengths import turn_lengths
from convogen.methods.dialogueforge.summary import summarize
from convogen.models.base import Message, Sampling
from convogen.models.traffic.context_window import ContextWindow, Fitted
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
"""Faults despite which an utterance is accepted after the last retry; other faults end the
dialogue."""

LONG_ANSWER_WORDS = 120
"""Minimum length, in words, of a chatbot's reply after which the inquirer is shown a sample of its
own style again."""

VOICE_CHARS = 300
"""Number of characters of the inquirer's first message that are shown as a sample of its style."""

_END = re.compile(r"\[\s*end\s*\]", re.IGNORECASE)
_RESPONDER_NAMES = (RESPONDER, "chatbot", "bot", "AI")
_COMPLAINTS = {
    "empty_reply": "Do not leave it empty: write something.",
    "refusal": "There is nothing to refuse here: write only what you, the person, type next.",
    "assistant_offer": "You are the person, not the chatbot: type what you want from it.",
    "echo": "Do not copy the chatbot's answer: type a message of your own.",
    "repetition": "Do not write again what you have written before: write something new.",
    "topic_deviation": "Wander if you like, but from what was said here or what you are after.",
    "concluded_at_once": "It is too early to end: type a message first.",
}
"""Maps each fault to the complaint that is sent with a retry. Faults that are not listed here have
default complaints.

Each complaint must be understandable on its own, since the rejected message is not shown.
"""


class DialogueForgePlay(Play):
    def __init__(self, method: DialogueForge, inputs: RunInputs) -> None:
        self._method = method
        self._data = method.data
        self._prompts = inputs.prompts

    async def play(self, task: Task) -> Outcome:
        seed = self._data.seeds[task.number]
        stage = "task_summary"
        try:
            about, model, unread = seed.task, None, None
            if about is None:
                prompt, reasks = self._prompts["task_summary"], self._method.reasks
                summary = await summarize(task.session, prompt, seed, reasks)
                about, model, unread = summary.task, summary.model, summary.left_out
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
            **({"task_left_out": unread} if unread else {}),
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
    *,
    conclude: bool,
    complaint: str | None = None,
    target_words: int | None = None,
) -> list[Message]:
    """Return the request to the inquirer, in the format of the inquirer's training examples.

    The inquirer is the assistant. User messages report the responder's replies and, after a long
    reply, repeat the beginning of the inquirer's first message.
    """
    messages = prompts["inquirer"].render(task=task, conclude=conclude)
    voice = " ".join(turns[0].text.split())[:VOICE_CHARS] if turns else ""
    for index, turn in enumerate(turns, 1):
        if turn.speaker == INQUIRER:
            messages.append(Message("assistant", turn.text))
            continue
        last = index == len(turns)
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
    """Return the request to the responder: a chat in which the inquirer is the user."""
    messages = prompts["responder"].render()
    for index, turn in enumerate(turns, 1):
        note = f"\n\n({complaint})" if complaint and index == len(turns) else ""
        role = "user" if turn.speaker == INQUIRER else "assistant"
        messages.append(Message(role, turn.text + note))
    return messages


@dataclass(frozen=True, slots=True)
class _Tried:
    """An attempt at a turn; `target` is the requested number of words, if any."""

    fitted: Fitted
    utterance: Utterance
    target: int | None

    @property
    def off(self) -> int:
        """The difference between the actual and the target length, in words; 0 without a target."""
        return 0 if self.target is None else abs(about_words(self.utterance.text) - self.target)


class _Dialogue:
    """One dialogue, starting with the seed's opening."""

    def __init__(
        self,
        method: DialogueForge,
        prompts: Mapping[str, Prompt],
        task: Task,
        seed: Seed,
        about: str,
    ) -> None:
        self._method, self._prompts, self._task, self._about = method, prompts, task, about
        self._seed = seed
        self.turns: list[Turn] = []
        for turn in seed.turns[: method.opening]:
            if not turn.text:
                break
            self.turns.append(turn.model_copy(update={"origin": "starter"}))
            self._task.count("turns")
        self._window = ContextWindow(task.session)
        self._language = task.language or ENGLISH
        self._ended: str | None = None
        self.stands = False
        """Whether a model failed only after the responder had replied to a generated message from
        the inquirer. If so, the dialogue is kept."""
        matched = method.match_lengths
        self._lengths = turn_lengths(method.data.seeds, task.number, task.seed) if matched else None

    async def play(self) -> str:
        """Play the dialogue to its end and return why it ended.

        Raises `ModelFault` if a model fails before the responder has replied to a generated message
        from the inquirer or, with `broken: drop`, at any time.
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
        """Request the next utterance, with retries, and end the dialogue if no reply can be
        accepted."""
        role = "inquirer" if speaker == INQUIRER else "responder"
        faults: list[str] = []
        tried: list[_Tried] = []
        objection: str | None = None
        target = next(self._lengths) if self._lengths and role == "inquirer" else None
        for _ in range(1 + self._method.reasks):
            chat = partial(self._messages, role, objection, target)
            room = self._room(role, target)
            fitted = await self._window.ask(role, chat, (len(self.turns) - 1) // 2, room)
            utterance, over = self._utterance(fitted.answer, speaker, target)
            fault = self._fault(speaker, utterance, over, target)
            if fault is None:
                if utterance.text:
                    self._take(speaker, _Tried(fitted, utterance, target), faults)
                self._ended = "concluded" if over else None
                return
            tried.append(_Tried(fitted, utterance, target))
            faults.append(fault)
            words = about_words(utterance.text)
            told = _COMPLAINTS.get(fault)
            objection = told or complaint(fault, words=words, target=target or 0)
        taken = [index for index, fault in enumerate(faults) if fault in TAKEN]
        if not taken:
            self._end(role, faults, tried[-1].fitted.answer.text)
            return
        index = min(taken, key=lambda index: (faults[index] not in OF_LENGTH, tried[index].off))
        self._take(speaker, tried[index], faults[:index] + faults[index + 1 :], faults[index])

    def _messages(
        self, role: str, complaint: str | None, target: int | None, left_out: int = 0
    ) -> list[Message]:
        """Return a role's request without the `left_out` oldest exchanges."""
        turns = self.turns[2 * left_out :]
        if role == "responder":
            return responder_chat(self._prompts, turns, complaint)
        conclude = self._method.conclude
        return inquirer_chat(
            self._prompts,
            self._about,
            turns,
            conclude=conclude,
            complaint=complaint,
            target_words=target,
        )

    def _room(self, role: str, target: int | None) -> Sampling | None:
        """Return a token limit that allows a turn of `target` words to end naturally.

        Return None if there is no target, or if the role's sampling already sets a limit.
        """
        given = self._task.session.traffic.role(role).sampling.max_tokens
        if target is None or given is not None:
            return None
        return Sampling(max_tokens=2 * tokens_of(target, self._written_in) + 80)

    @cached_property
    def _written_in(self) -> str | None:
        """The task's language or, if it has none, the seed's language; None if unknown."""
        return self._task.language or identify(turn.text for turn in self._seed.turns)

    def _utterance(
        self, answer: SessionReply, speaker: str, target: int | None
    ) -> tuple[Utterance, bool]:
        """Return the utterance in a reply, and whether the inquirer ends the dialogue with that
        reply.

        If there is a target length, the utterance is cut at the sentence end nearest to that
        length.
        """
        may_end = speaker == INQUIRER and self._method.conclude
        end = _END.search(answer.text) if may_end else None
        cut_off = answer.cut_off and end is None
        if speaker == RESPONDER:
            utterance = read_answer(answer.text)
        else:
            text = answer.text[: end.start()] if end else answer.text
            theirs = tuple(turn.text for turn in self.turns if turn.speaker != speaker)
            scene = Scene(INQUIRER, _RESPONDER_NAMES, theirs)
            utterance = read_typed(text, scene, cut_off=cut_off, language=self._language)
        whole = whole_sentences(utterance.text) if cut_off else utterance.text
        if whole != utterance.text:
            fault = None if utterance.fault == "cut_off" else utterance.fault
            utterance = Utterance(whole, (*utterance.tidied, "cut_off"), fault)
        if target is not None and utterance.fault is None:
            utterance = replace(utterance, text=nearest_sentences(utterance.text, target))
        return utterance, end is not None

    def _fault(
        self, speaker: str, utterance: Utterance, over: bool, target: int | None
    ) -> str | None:
        """Return the fault of an utterance; None if it is acceptable."""
        if over and not self._inquired:
            return "concluded_at_once"
        if not utterance.text:
            return None if over else "empty_reply"
        if utterance.fault is not None:
            return utterance.fault
        own = [turn.text for turn in self.turns if turn.speaker == speaker]
        if repeats(utterance.text, own):
            return "repetition"
        grounds = [self._about, *(turn.text for turn in self.turns)]
        if speaker == INQUIRER and deviates(utterance.text, grounds, language=self._language):
            return "topic_deviation"
        return None if target is None or over else length_fault(utterance.text, target)

    @property
    def _inquired(self) -> bool:
        """Whether the dialogue contains a generated message from the inquirer."""
        return any(turn.origin == "agent" and turn.speaker == INQUIRER for turn in self.turns)

    def _take(
        self,
        speaker: str,
        tried: _Tried,
        reasks: list[str],
        lapse: str | None = None,
    ) -> None:
        fitted, utterance = tried.fitted, tried.utterance
        answer = fitted.answer
        turn = Turn(
            speaker=speaker,
            text=utterance.text,
            origin="agent",
            model=answer.model,
            request=answer.request,
            usage=answer.usage,
            reasks=reasks,
            tidied=list(utterance.tidied),
            target_words=tried.target,
            lapse=lapse,
            capped_at=fitted.capped_at,
            left_out=fitted.left_out,
        )
        self.turns.append(turn)
        self._task.count("turns")

    def _end(self, role: str, faults: list[str], raw: str) -> None:
        if not self._inquired:
            message = f"no usable reply from the {role}: {', '.join(faults)}"
            raise ModelFault(faults[-1], message, raw)
        self._ended = faults[-1]
