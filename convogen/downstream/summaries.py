"""Summaries of generated dialogues, written by the model in the `summarizer` role.

Summaries that the run's own labeller wrote are used unchanged. All other summaries are requested as
in augmentation: their length is limited, their names and words are checked against the dialogue,
and a summary that fails a check is requested again.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from convogen.corpora.labelled import in_roles, script
from convogen.downstream.data import Example
from convogen.engine.item_runner import Asking, role_of
from convogen.errors import ModelFault, RunFolderError
from convogen.experiment.fingerprint import fingerprint_of
from convogen.generation.labeller import Labeller, SummaryRules
from convogen.models.base import Sampling
from convogen.models.spec import ModelSpec
from convogen.models.traffic.session import Session
from convogen.prompts import load_prompt
from convogen.records import Conversation

__all__ = ["ROLE", "SummaryCounts", "summaries_of"]

ROLE = "summarizer"
REASKS = 2
DEFAULT_RULES = SummaryRules(low=5, high=60, grounded=0.4)
"""The rules for summaries that apply if there is too little in-domain data to learn rules from."""

SHOWN, LONGEST_SHOWN, SEED = 2, 3_000, 0
"""Number of in-domain examples in the prompt, the maximum number of characters in an example's
dialogue, and the seed for choosing the examples."""

ENOUGH = 100
"""Number of in-domain summaries that are needed to learn the rules."""


@dataclass(frozen=True, slots=True)
class SummaryCounts:
    """The numbers of dialogues with a usable summary and without one."""

    summaries: int
    refused: int


def summaries_of(
    conversations: Sequence[Conversation],
    spec: ModelSpec,
    asking: Asking,
    in_domain: Sequence[Example] = (),
) -> tuple[list[str], SummaryCounts]:
    """Return a summary for each conversation, and the counts of usable and refused summaries.

    A conversation without a usable summary has an empty string. The rules for summaries are learned
    from in-domain data if there is enough. As in the code of DiaSynth's authors, the prompt shows
    two in-domain dialogues with their summaries. Raises `RunFolderError` if the stored summaries
    describe other conversations.
    """
    known = [_known(one) for one in conversations]
    missing = [at for at, summary in enumerate(known) if not summary]
    if missing:
        pairs = [(one.dialogue, one.target) for one in in_domain]
        written = _written([conversations[at] for at in missing], spec, asking, pairs)
        for at, summary in zip(missing, written, strict=True):
            known[at] = summary
    refused = sum(not summary for summary in known)
    return known, SummaryCounts(len(known) - refused, refused)


def _written(
    conversations: Sequence[Conversation],
    spec: ModelSpec,
    asking: Asking,
    pairs: Sequence[tuple[str, str]],
) -> list[str]:
    """Request the missing summaries; `pairs` contains in-domain dialogues with their summaries."""
    rules = SummaryRules.learn(pairs) if len(pairs) >= ENOUGH else DEFAULT_RULES
    shown = _shown(pairs)
    prompt = load_prompt("augment/summary")
    labeller = Labeller({"summary": prompt}, REASKS, ROLE)
    scripts = [script(in_roles(one)) for one in conversations]

    async def ask(number: int, session: Session) -> dict[str, Any]:
        about = {"conversation": conversations[number].id}
        try:
            label = await labeller.summarise(session, scripts[number], rules, shown)
        except ModelFault as fault:
            return {**about, "summary": "", "fault": fault.kind, "detail": str(fault)[:200]}
        return {**about, "summary": label.value, "check": label.check}

    essence: dict[str, Any] = {
        "prompt": prompt.hash,
        "rules": asdict(rules),
        "reasks": REASKS,
        # When a run is extended, its first dialogues and their rows stay the same.
        "first": fingerprint_of(scripts[0]),
    }
    if shown:
        essence["shown"] = fingerprint_of(shown)
    role = role_of(spec, Sampling(temperature=0.3))
    rows = asking.rows("summaries", {ROLE: role}, essence, len(scripts), ask)
    for conversation, row in zip(conversations, rows, strict=True):
        if row["conversation"] != conversation.id:
            raise RunFolderError(
                f"{asking.folder}: the stored summaries describe other dialogues "
                f"({row['conversation']} instead of {conversation.id}); move the summaries-… "
                f"folders elsewhere"
            )
    return [row["summary"] for row in rows]


def _shown(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the in-domain examples for all prompts, chosen at random."""
    fit = [pair for pair in pairs if len(pair[0]) <= LONGEST_SHOWN]
    return random.Random(SEED).sample(fit, min(SHOWN, len(fit)))


def _known(one: Conversation) -> str:
    label = (one.labelled or {}).get("summary")
    return label.value if label and isinstance(label.value, str) else ""
