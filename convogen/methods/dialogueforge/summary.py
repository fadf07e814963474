"""The central task of a real dialogue, inferred by a model (DialogueForge, section 3.1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from convogen.corpora.seeds import INQUIRER, Seed
from convogen.errors import ModelFault
from convogen.models.traffic.session import Session, SessionReply
from convogen.prompts import Prompt
from convogen.text.tidying import without_label
from convogen.text.topics import deviates
from convogen.text.utterances import whole_sentences

__all__ = ["Summary", "summarize"]

SHOWN_CHARS = 1_000
"""Characters of each of the user's messages shown to the summarizer."""

MOST_WORDS = 120


@dataclass(frozen=True, slots=True)
class Summary:
    """The user's task in the second person, and the model that inferred it."""

    task: str
    model: str


async def summarize(session: Session, prompt: Prompt, seed: Seed, reasks: int) -> Summary:
    """Ask the summarizer for a seed's central task, with retries.

    Args:
        session: A session with the role `summarizer`. prompt: The prompt `task_summary`. seed: The
        real dialogue. reasks: The number of retries.

    Raises `ModelFault` if no reply is a summary.
    """
    texts = [" ".join(turn.text.split()) for turn in seed.turns if turn.speaker == INQUIRER]
    shown = [text[:SHOWN_CHARS] for text in texts]
    objection, summary = None, ""
    for _ in range(1 + reasks):
        messages = prompt.render(messages=shown, complaint=objection)
        answer = await session.ask("summarizer", messages)
        summary = " ".join(without_label(_uncut(answer), "Summary").split())
        if not re.match(r"you\b", summary, re.IGNORECASE):
            objection = 'Begin with "You".'
        elif len(summary.split()) > MOST_WORDS:
            objection = f"Say it in at most {MOST_WORDS} words."
        elif deviates(summary, texts, least=1):
            objection = "Name what the messages are about."
        else:
            return Summary(summary, answer.model)
    raise ModelFault("summary_invalid", f"no summary of the task: {objection}", summary)


def _uncut(answer: SessionReply) -> str:
    """Return a reply, cut to whole sentences if it was truncated."""
    text = answer.text.strip()
    return whole_sentences(text) if answer.cut_off else text
