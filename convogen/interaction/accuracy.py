"""Agreement of the rules with a human annotator, measured by
`tests/interaction/test_agreement.py`."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HELD_OUT", "Accuracy", "accuracy_text"]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Agreement of the rules with manual labels, on English conversations of three to five people.

    Attributes:
        turns: Number of labelled turns.
        addressee: Share of turns for which the addressee is correct, 0 to 1.
        previous_speaker: Share of turns for which the previous speaker is the correct addressee
            (baseline), 0 to 1.
        reply_to: Share of turns for which the turn replied to is correct, 0 to 1.
        behaviours: Cohen's kappa, pooled over the behaviours.
    """

    turns: int
    addressee: float
    previous_speaker: float
    reply_to: float
    behaviours: float


HELD_OUT = Accuracy(
    turns=115, addressee=0.87, previous_speaker=0.77, reply_to=0.87, behaviours=0.61
)
"""The agreement on conversations that were not used for tuning, labelled by the rules' author."""


def accuracy_text() -> str:
    """Return a few sentences for readers about the accuracy of the rules."""
    found = HELD_OUT
    return (
        f"Rules infer who is addressed. On {found.turns} turns labelled by hand, the addressee was "
        f"correct in {found.addressee:.0%} (always the previous speaker: "
        f"{found.previous_speaker:.0%}), and the turn replied to in {found.reply_to:.0%}. For "
        f"behaviours, the pooled kappa is {found.behaviours:.2f}, but it is much lower for "
        f"disagreement and evasion. The same person wrote the labels and the rules, so these "
        f"figures are optimistic."
    )
