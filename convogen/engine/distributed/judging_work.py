"""Computation of a judge's scores in workers. Any worker can compute any score.

Conversations are sent to the workers, because run folders are on the driver's file system. A batch
with several aspects of a conversation contains the conversation only once, because pickle writes an
object only once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from convogen.engine.scoring import ScorerContext, open_judge, score_one
from convogen.engine.workers import Part
from convogen.errors import ClusterError, ModelConfigError
from convogen.judges import Judge
from convogen.judges.base import ROLE
from convogen.models.base import ChatModel
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.plugins import registry
from convogen.records import Score
from convogen.storage.run_folder import differences

__all__ = ["JudgeConversations", "JudgingJob", "check_judging"]

IN_PROCESS = frozenset({"embedded", "transformers"})


def check_judging(judge: Judge, spec: ModelSpec) -> None:
    """Raise `UserError` if the workers of a cluster cannot run a judge with a given model."""
    if type(judge) is not registry.load("judges", judge.name):
        raise ClusterError(
            f"judge {judge.name}: workers open a judge by its name, but {type(judge).__name__} is "
            "not installed under that name; install it as a plugin, or judge without --ray"
        )
    for one in (spec, *spec.fallback):
        if one.kind in IN_PROCESS:
            raise ModelConfigError(
                f"model {one.identity}: judging with --ray needs an endpoint, because each worker "
                "would load this model into its own memory; serve the model and use --base-url, "
                "or judge without --ray"
            )


class JudgingJob:
    """A judge's scores, as seen by the driver."""

    lineages: int | None = None

    def __init__(self, context: ScorerContext) -> None:
        self._context = context
        self.name = f"judge {context.judge.name}"
        self.traffic = context.traffic
        self.tally = context.tally

    def work(self) -> JudgeConversations:
        """Return the judge in the form that is sent to a worker."""
        judge = self._context.judge
        parameters = judge.model_dump(mode="json", exclude_unset=True)
        return JudgeConversations(
            judge.name,
            parameters,
            judge.fingerprint_inputs,
            self._context.role,
            self._context.fingerprint,
        )

    def journal(self, number: int) -> Journal:
        """Return the journal of the model calls for a score."""
        return self._context.store.journal(number)

    @property
    def n_committed(self) -> int:
        """The number of committed scores."""
        return self._context.store.committed

    def lineage(self, number: int) -> int:
        """Raise `NotImplementedError`, because scores have no lineages."""
        raise NotImplementedError

    def row(self, result: Score) -> bytes | None:
        """Return None, because no score depends on another."""
        del result

    def rows(self, lineages: frozenset[int]) -> Iterator[bytes]:
        """Return an empty iterator, because no score depends on another."""
        del lineages
        return iter(())


@dataclass(frozen=True, slots=True)
class JudgeConversations:
    """A judge and its model, as sent to a worker.

    `fingerprint` is the fingerprint of the scores. `fingerprint_inputs` contains the fingerprint
    inputs of the driver's judge, with which the worker's judge is compared.
    """

    judge: str
    parameters: dict[str, Any]
    fingerprint_inputs: dict[str, Any]
    role: Role
    fingerprint: str

    def open(self) -> _Judging:
        """Open the judge; raise `ClusterError` if this node's judge differs from the driver's."""
        judge = open_judge(self.judge, self.parameters)
        if judge.fingerprint_inputs != self.fingerprint_inputs:
            changed = differences(self.fingerprint_inputs, judge.fingerprint_inputs)
            raise ClusterError(
                f"has a different judge {self.judge} ({changed}); the judge's package and prompt "
                "files must be identical on every node"
            )
        return _Judging(judge, self.role, self.fingerprint)


class _Judging(Part):
    """A judge in a worker. All scores that the worker computes form one part."""

    def __init__(self, judge: Judge, role: Role, fingerprint: str) -> None:
        self._judge = judge
        self._fingerprint = fingerprint
        self.roles: Mapping[str, Role] = {ROLE: role}

    def open_model(self, spec: ModelSpec) -> ChatModel:
        return self._judge.open_model(spec)

    def part(self) -> Part:
        return self

    async def do(
        self,
        number: int,
        given: Any,
        *,
        traffic: Traffic,
        journal: Journal,
        count: Callable[[str], None],
    ) -> Score:
        del count
        return await score_one(
            self._judge, self._fingerprint, number, given, traffic=traffic, journal=journal
        )
