"""The page for a pair of dialogues, which asks which of them is artificial.

The page follows figure 12 of LLM Roleplay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from convogen.records import Turn
from convogen.study.answers import PairAnswer
from convogen.study.dialogues import exchanges
from convogen.web.study.rendering import shown_dialogue
from convogen.web.study.visit import Refused, Visit

__all__ = ["page", "take"]

_CHOICES = {"left": "1st", "right": "2nd", "unsure": "Not sure"}
_CONFIDENCES = {
    "somewhat": "Somewhat confident",
    "confident": "Confident",
    "very": "Very confident",
}
_CHECK = (
    "This text is not part of the dialogue. It checks whether the dialogues are read. Please "
    "choose this dialogue as the artificial one, whatever you think of it."
)
"""Text in the simulated dialogue of an attention check."""


def _sides(visit: Visit) -> dict[str, Sequence[Turn]]:
    """Return the dialogue for each side of the page."""
    item: dict[str, Any] = visit.item or {}
    store = visit.site.store
    natural, simulated = (store.dialogue(item[name]).turns for name in ("natural", "simulated"))
    if item["attention_check"]:
        first = simulated[0]
        simulated = [
            *simulated[:2],
            first.model_copy(update={"text": _CHECK}),
            *simulated[2:],
        ]
    if item["artificial_side"] == "left":
        return {"left": simulated, "right": natural}
    return {"left": natural, "right": simulated}


def page(visit: Visit, refused: Refused | None) -> Response:
    """Return the page for a pair."""
    sides = _sides(visit)
    return visit.page(
        "pair.html",
        refused,
        dialogues=[(_CHOICES[side], side, shown_dialogue(turns)) for side, turns in sides.items()],
        choices=_CHOICES,
        confidences=_CONFIDENCES,
        longest=max(len(exchanges(turns)) for turns in sides.values()),
    )


def take(visit: Visit, form: Mapping[str, str]) -> dict[str, object] | Refused:
    """Return the answer about a pair, or a `Refused` with the errors."""
    lengths = {side: len(exchanges(turns)) for side, turns in _sides(visit).items()}
    choice, confidence = form.get("choice", ""), form.get("confidence", "")
    errors: dict[str, str] = {}
    if choice not in _CHOICES:
        errors["choice"] = "Please say which dialogue you take to be artificial."
    if confidence not in _CONFIDENCES:
        errors["confidence"] = "Please say how confident you are."
    said, utterance = form.get("utterance", ""), None
    most = lengths.get(choice, max(lengths.values()))
    if said in {f"{number}" for number in range(1, max(lengths.values()) + 1)}:
        utterance = int(said)
        if utterance > most:
            errors["utterance"] = f"The {_CHOICES[choice]} dialogue has no utterance {utterance}."
    elif said or choice != "unsure":
        errors["utterance"] = "Please say which utterance gave it away."
    if errors:
        return Refused(errors, form)
    answer = {"choice": choice, "confidence": confidence, "utterance": utterance}
    PairAnswer.model_validate({**(visit.item or {}), **answer, "seconds": 0})  # as in the export
    return dict(answer)
