"""The central task of a real dialogue, inferred by a model (DialogueForge, section 3.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from convogen.corpora.seeds import INQUIRER, Seed
from convogen.errors import ModelFault
from convogen.models.base import Message
from convogen.models.traffic.context_window import ContextWindow
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.text.budgets import about_words
from convogen.text.language_tags import ENGLISH, same_language
from convogen.text.tidying import without_label
from convogen.text.topics import deviates
from convogen.text.utterances import whole_sentences

__all__ = ["Summary", "summarize"]

SHOWN_CHARS = 1_000
"""Maximum number of characters of each user message that are shown to the summarizer."""

MOST_WORDS = 120


@dataclass(frozen=True, slots=True)
class Summary:
    """The user's task in the second person, and the model that inferred it.

    `left_out` is the number of user messages that were not shown because they did not fit into the
    model's context; None if all were shown.
    """

    task: str
    model: str
    left_out: int | None = None


async def summarize(session: Session, prompt: Prompt, seed: Seed, reasks: int) -> Summary:
    """Ask the summarizer for the central task of a seed dialogue, with retries.

    Args:
        session: A session that has a model for the `summarizer` role.
        prompt: The `task_summary` prompt.
        seed: The real dialogue to summarize.
        reasks: The maximum number of retries.

    If the messages do not fit into the model's context, the oldest messages are left out, except
    for the first message, which says most about the topic of the dialogue.

    Raises `ModelFault` if no reply is a usable summary.
    """
    texts = [" ".join(turn.text.split()) for turn in seed.turns if turn.speaker == INQUIRER]
    shown = [text[:SHOWN_CHARS] for text in texts]
    window = ContextWindow(session)
    objection, summary = None, ""
    in_english = same_language(session.language or ENGLISH, ENGLISH)
    for _ in range(1 + reasks):

        def messages(left_out: int, complaint: str | None = objection) -> list[Message]:
            return prompt.render(messages=_without(shown, left_out), complaint=complaint)

        fitted = await window.ask("summarizer", messages, len(shown) - 1)
        answer = fitted.answer
        summary = " ".join(without_label(_uncut(answer), "Summary").split())
        if not re.match(r"you\b", summary, re.IGNORECASE):
            objection = 'Begin with "You".'
        elif about_words(summary) > MOST_WORDS:
            objection = f"Say it in at most {MOST_WORDS} words."
        elif in_english and deviates(summary, texts, least=1):
            objection = "Name what the messages are about."
        else:
            return Summary(summary, answer.model, fitted.left_out)
    raise ModelFault("summary_invalid", f"no usable summary of the task: {objection}", summary)


def _without(messages: list[str], left_out: int) -> list[str]:
    """Return the messages with a note instead of the `left_out` messages that follow the first
    one."""
    if not left_out:
        return messages
    return [messages[0], f"[{left_out} messages left out here]", *messages[1 + left_out :]]


def _uncut(answer: SessionReply) -> str:
    """Return a reply, cut to whole sentences if it was truncated."""
    text = answer.text.strip()
    return whole_sentences(text) if answer.cut_off else text
