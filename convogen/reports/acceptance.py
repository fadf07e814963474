"""Acceptance of conversations by a run's gates."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from convogen.storage.run_folder import Run

__all__ = ["Acceptance", "acceptance_of"]


class Acceptance(NamedTuple):
    """Acceptance of conversations by a run's gates.

    Attributes:
        rejected: Number of conversations rejected by each gate, in descending order of this number.
        rate: Share of the finished conversations that were accepted, 0 to 1; None if no
            conversation is finished.
    """

    rejected: dict[str, int]
    rate: float | None


def acceptance_of(run: Run, conversations: int) -> Acceptance:
    """Return the acceptance by a run's gates, given the number of accepted conversations."""
    rejected = Counter(one.gate for one in run.rejected())
    finished = conversations + rejected.total()
    return Acceptance(dict(rejected.most_common()), conversations / finished if finished else None)
