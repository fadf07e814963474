"""Summaries of generated dialogues, by a model of the role `summarizer`.

What the run's own labeller wrote is taken as it is. A summary is asked for as in augmentation:
bounded in length, its names and words held against the dialogue, asked for again where it fails.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict
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

__all__ = ["ROLE", "summaries_of"]

ROLE = "summarizer"
REASKS = 2
DEFAULT_RULES = SummaryRules(low=5, high=60, grounded=0.4)
"""Where there is too little in-domain data to learn the lengths of summaries from."""

SHOWN, LONGEST_SHOWN, SEED = 2, 3_000, 0
"""In-domain pairs that are shown, the characters of a dialogue that may be, the seed they are drawn
with."""

ENOUGH = 100
"""Summaries of in-domain data from which the rules are learned."""


def summaries_of(
    conversations: Sequence[Conversation],
    spec: ModelSpec,
    asking: Asking,
    in_domain: Sequence[Example] = (),
) -> tuple[list[str], dict[str, int]]:
    """A summary of each conversation, empty where none could be used, and why not, counted.

    The rules a summary must keep to are learned from in-domain data where there is enough, and two
    in-domain dialogues are shown with their summaries, as in the code of DiaSynth's authors. Raises
    `RunFolderError` where what was kept is of other conversations.
    """
    pairs = [(one.dialogue, one.target) for one in in_domain]
    rules = SummaryRules.learn(pairs) if len(pairs) >= ENOUGH else DEFAULT_RULES
    shown = _shown(pairs)
    known = [_known(one) for one in conversations]
    missing = [at for at, summary in enumerate(known) if not summary]
    prompt = load_prompt("augment/summary")
    labeller = Labeller({"summary": prompt}, REASKS, ROLE)
    scripts = {at: script(in_roles(conversations[at])) for at in missing}

    async def ask(number: int, session: Session) -> dict[str, Any]:
        at = missing[number]
        about = {"conversation": conversations[at].id}
        try:
            label = await labeller.summarise(session, scripts[at], rules, shown)
        except ModelFault as fault:
            return {**about, "summary": "", "fault": fault.kind, "detail": str(fault)[:200]}
        return {**about, "summary": label.value, "check": label.check}

    if missing:
        essence: dict[str, Any] = {
            "prompt": prompt.hash,
            "rules": asdict(rules),
            "reasks": REASKS,
            # Of a run made longer, the first dialogues are the same: so are their rows.
            "first": fingerprint_of(scripts[missing[0]]),
        }
        if shown:
            essence["shown"] = fingerprint_of(shown)
        role = role_of(spec, Sampling(temperature=0.3))
        rows = asking.rows("summaries", {ROLE: role}, essence, len(missing), ask)
        for at, row in zip(missing, rows, strict=True):
            if row["conversation"] != conversations[at].id:
                raise RunFolderError(
                    f"{asking.folder}: the summaries kept in it are of other dialogues "
                    f"({row['conversation']} in place of {conversations[at].id}); move its "
                    "summaries-… aside"
                )
            known[at] = row["summary"]
    refused = sum(not summary for summary in known)
    return known, {"summaries": len(known) - refused, "refused": refused}


def _shown(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The in-domain pairs that the summariser is shown: drawn, the same for all dialogues."""
    fit = [pair for pair in pairs if len(pair[0]) <= LONGEST_SHOWN]
    return random.Random(SEED).sample(fit, min(SHOWN, len(fit)))


def _known(one: Conversation) -> str:
    label = (one.labelled or {}).get("summary")
    return label.value if label and isinstance(label.value, str) else ""
