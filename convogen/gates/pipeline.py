"""An experiment's gates, which are applied in order; the first rejection decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from heapq import merge

from convogen.gates.base import Candidate, Gate, OrderedGate, Rejection
from convogen.models.base import encodable
from convogen.models.traffic.session import Session
from convogen.records import Conversation, Rejected
from convogen.storage.run_folder import Outcome, Run

__all__ = ["GateLine", "check_gates"]

LONGEST_REASON = 1000


class GateLine:
    """The state of the gates in one run.

    Call `decide` before a task is committed and `committed` afterwards, in the order of the plan.
    `check` may run concurrently.
    """

    def __init__(self, gates: Sequence[Gate], run: Run) -> None:
        self._gates = gates
        self._run = run
        self._filters = [(g.name, g.start(run)) for g in gates if isinstance(g, OrderedGate)]

    def restore(self) -> None:
        """Restore the state from the conversations in the run folder, which are read one by one in
        plan order."""
        if self._filters:
            accepted, rejected = self._run.conversations(), self._run.rejected()
            for row in merge(accepted, rejected, key=lambda row: row.task or 0):
                self._add(row)

    async def check(self, outcome: Outcome, session: Session) -> Outcome:
        """Return a task's outcome, marked as rejected if a gate rejects it."""
        return await check_gates(self._gates, outcome, session)

    def decide(self, outcome: Outcome) -> Outcome:
        """Return the outcome to commit, given everything committed before it."""
        if outcome.conversation is None:
            return outcome
        for name, one in self._filters:
            if (verdict := one.check(outcome.conversation)) is not None:
                return _reject(outcome, outcome.conversation, name, verdict)
        return outcome

    def committed(self, outcome: Outcome) -> None:
        """Add an outcome that is in the run folder."""
        if (row := outcome.conversation or outcome.rejected) is not None:
            self._add(row)

    def _add(self, row: Conversation | Rejected) -> None:
        for _, one in self._filters:
            if isinstance(row, Rejected):
                one.add_rejected(row)
            else:
                one.add(row)


async def check_gates(gates: Sequence[Gate], outcome: Outcome, session: Session) -> Outcome:
    """Return a task's outcome, marked as rejected by the first gate that rejects it.

    Ordered gates, which compare the conversation with earlier conversations, decide later.
    """
    if outcome.conversation is None:
        return outcome
    candidate = Candidate(outcome.conversation, outcome.experience)
    for gate in gates:
        if (verdict := await gate.check(candidate, session)) is not None:
            return _reject(outcome, outcome.conversation, gate.name, verdict)
    return outcome


def _reject(outcome: Outcome, conversation: Conversation, gate: str, verdict: Rejection) -> Outcome:
    rejected = Rejected(
        id=conversation.id,
        task=conversation.task or 0,
        gate=gate,
        reason=encodable(" ".join(verdict.reason.split())[:LONGEST_REASON]),
        value=encodable(verdict.value) if isinstance(verdict.value, str) else verdict.value,
        conversation=conversation,
    )
    return replace(outcome, conversation=None, rejected=rejected)
