"""The page on which a participant chats to reach a goal (LLM Roleplay, figure 10)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from convogen.models.base import printable
from convogen.study.chatbot import prompt_turn
from convogen.study.study_file import CollectDesign
from convogen.study.tables import Said
from convogen.web.study.rendering import blocks, shown_dialogue
from convogen.web.study.replies import Replies
from convogen.web.study.visit import Refused, Visit

__all__ = ["is_waiting", "page", "take"]

_FAULTS = {
    "unavailable": "The chatbot cannot be reached at the moment.",
    "slow": "The chatbot took too long to answer.",
    "withheld": "The chatbot's answer was withheld because it may be offensive.",
}
_ANY_FAULT = "The chatbot gave no usable answer."


@dataclass(frozen=True)
class _Chat:
    """The state of a participant's dialogue about one goal.

    Attributes:
        said: The messages so far.
        waiting: Whether a reply is being written.
        used_up: Whether the participant's budget does not cover another message.
        may_ask_again: Whether a reply may be requested again after a failed attempt.
    """

    said: list[Said]
    waiting: bool
    used_up: bool
    may_ask_again: bool

    @property
    def fault(self) -> str:
        """Why the last message has no reply; empty if it has a reply or one is being written."""
        return (self.said[-1].fault or "") if len(self.said) % 2 else ""

    @property
    def may_finish(self) -> bool:
        """Whether the participant may continue with the next goal: after at least one exchange, or
        if no exchange is possible."""
        stuck = self.used_up or (bool(self.fault) and not self.may_ask_again)
        return not self.waiting and (len(self.said) > 1 or stuck)


def _parts(visit: Visit) -> tuple[CollectDesign, Replies, int]:
    design, replies = visit.site.design, visit.site.replies
    assert isinstance(design, CollectDesign), "chats are collected"
    assert replies is not None, "chats are collected"
    assert visit.position is not None, "a chat is an item"
    return design, replies, visit.position


async def _chat(visit: Visit) -> _Chat:
    design, replies, goal = _parts(visit)
    participant = visit.participant
    said, waiting = await replies.chat(participant.id, participant.place, goal)
    turns = [one.turn for one in said]
    used_up = False
    if not waiting:
        count = await run_in_threadpool(visit.site.store.messages_of, participant.id)
        most = design.budget.messages
        asked = turns if len(turns) % 2 else [*turns, prompt_turn("x")]
        used_up = most is not None and count + (1 - len(turns) % 2) > most
        used_up |= (
            await run_in_threadpool(replies.chatbot.shortage, participant.place, asked) is not None
        )
    may_ask_again = not used_up and not replies.chatbot.keeps_memory
    return _Chat(said, waiting, used_up, may_ask_again)


async def is_waiting(visit: Visit) -> bool:
    """Return whether a reply is being written."""
    _, replies, goal = _parts(visit)
    participant = visit.participant
    return (await replies.chat(participant.id, participant.place, goal))[1]


async def page(visit: Visit, refused: Refused | None) -> Response:
    """Return the chat page for a goal."""
    design, _, goal = _parts(visit)
    chat = await _chat(visit)
    return visit.page(
        "chat.html",
        refused,
        len(chat.said),
        instruction=blocks(design.instruction),
        goal=blocks(design.goals[goal].goal),
        dialogue=shown_dialogue([one.turn for one in chat.said]),
        waiting=chat.waiting,
        used_up=chat.used_up,
        trouble=_FAULTS.get(chat.fault, _ANY_FAULT) if chat.fault else "",
        may_retry=bool(chat.fault) and chat.may_ask_again,
        may_write=not chat.waiting and not chat.fault and not chat.used_up,
        may_finish=chat.may_finish,
    )


async def take(visit: Visit, form: Mapping[str, str]) -> Refused | None:
    """Handle a form from the chat page; return the errors if the form was refused and the
    participant can correct it."""
    chat = await _chat(visit)
    if not visit.is_from_its_page(form, len(chat.said)):
        return _unsent(visit, chat, form)
    if form.get("action") == "next":
        return await _finish(visit, chat)
    if form.get("action") == "retry":
        return await _retry(visit, chat)
    return await _say(visit, chat, form)


def _unsent(visit: Visit, chat: _Chat, form: Mapping[str, str]) -> Refused | None:
    """Return a refusal that gives back an unsent message from an outdated page, if there is one."""
    text = prompt_turn(printable(form.get("message", "")).strip()).text
    earlier = any(visit.is_from_its_page(form, part) for part in range(len(chat.said)))
    if not text or not earlier or text in {one.turn.text for one in chat.said}:
        return None
    said = "This chat continued in another window. Please send your message again if it still fits."
    return Refused({"message": said}, form)


async def _say(visit: Visit, chat: _Chat, form: Mapping[str, str]) -> Refused | None:
    design, replies, goal = _parts(visit)
    text = printable(form.get("message", "")).strip()
    if not text:
        return Refused({"message": "Please write a message first."}, form)
    if len(text) > design.most_chars:
        said = f"The limit is {design.most_chars:,} characters. Your message has {len(text):,}."
        return Refused({"message": said}, form)
    if len(chat.said) % 2:
        return Refused({"message": "The chatbot has not answered your last message yet."}, form)
    if chat.used_up:
        return None
    participant, turn = visit.participant, prompt_turn(text)
    turns = [*(one.turn for one in chat.said), turn]
    if await run_in_threadpool(replies.chatbot.shortage, participant.place, turns) is not None:
        said = (
            "This message exceeds your remaining allowance in this study. A shorter message may "
            "fit."
        )
        return Refused({"message": said}, form)
    await run_in_threadpool(visit.site.store.say, participant.id, goal, len(chat.said), turn)
    await replies.chat(participant.id, participant.place, goal)
    await replies.wait(participant.place, goal)
    return None


async def _retry(visit: Visit, chat: _Chat) -> None:
    _, replies, goal = _parts(visit)
    if not chat.fault or not chat.may_ask_again:
        return
    participant = visit.participant
    last = len(chat.said) - 1
    await run_in_threadpool(visit.site.store.set_fault, participant.id, goal, last, None)
    await replies.chat(participant.id, participant.place, goal)
    await replies.wait(participant.place, goal)


async def _finish(visit: Visit, chat: _Chat) -> Refused | None:
    if chat.may_finish:
        await run_in_threadpool(visit.answer, {"exchanges": len(chat.said) // 2})
        return None
    said = "Please talk to the chatbot about this goal before you continue with the next goal."
    return Refused({"message": said}, {})
