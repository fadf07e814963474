"""The central task of a real dialogue, found by a model (DialogueForge, section 3.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from convogen.corpora.seeds import INQUIRER, Seed
from convogen.errors import ModelFault
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.text.budgets import about_words
from convogen.text.language_tags import ENGLISH, same_language
from convogen.text.tidying import without_label
from convogen.text.topics import deviates
from convogen.text.utterances import whole_sentences

__all__ = ["Summary", "summarize"]

SHOWN_CHARS = 1_000
"""How much of each of a person's messages is shown to the summarizer."""

MOST_WORDS = 120


@dataclass(frozen=True, slots=True)
class Summary:
    """What a person wanted from a chatbot, in the second person, and the model that found it."""

    task: str
    model: str


async def summarize(session: Session, prompt: Prompt, seed: Seed, reasks: int) -> Summary:
    """Ask the summarizer for a seed's central task, again if the reply is none.

    Args:
        session: A session with the role `summarizer`.
        prompt: The prompt `task_summary`.
        seed: The real dialogue.
        reasks: How often it is asked again.

    Raises `ModelFault` if no reply is a summary.
    """
    said = [" ".join(turn.text.split()) for turn in seed.turns if turn.speaker == INQUIRER]
    shown = [text[:SHOWN_CHARS] for text in said]
    objection, found = None, ""
    for _ in range(1 + reasks):
        messages = prompt.render(messages=shown, complaint=objection)
        answer = await session.ask("summarizer", messages)
        found = " ".join(without_label(_uncut(answer), "Summary").split())
        if not re.match(r"you\b", found, re.IGNORECASE):
            objection = 'Begin with "You".'
        elif about_words(found) > MOST_WORDS:
            objection = f"Say it in at most {MOST_WORDS} words."
        elif same_language(session.language or ENGLISH, ENGLISH) and deviates(found, said, least=1):
            objection = "Name what the messages are about."
        else:
            return Summary(found, answer.model)
    raise ModelFault("summary_invalid", f"no summary of the task: {objection}", found)


def _uncut(answer: SessionReply) -> str:
    """A reply, one that was cut off in whole sentences."""
    text = answer.text.strip()
    return whole_sentences(text) if answer.cut_off else text
