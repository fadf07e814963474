"""A run's tasks in workers. Each lineage (lane or topic) stays on one worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from convogen.engine.distributed.worker_folder import WorkerFolder
from convogen.engine.playing import PlayerContext, play_one, start_play
from convogen.engine.task_setup import open_roles
from convogen.engine.workers import Part
from convogen.errors import ClusterError
from convogen.experiment.experiment import Experiment
from convogen.inputs.text_file import open_file
from convogen.inputs.yaml12 import parse_yaml
from convogen.jsonl import append_line
from convogen.methods.base import Play
from convogen.models.base import ChatModel
from convogen.models.opening import open_model
from convogen.models.spec import ModelSpec
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.storage.run_folder import Outcome, Run, differences

__all__ = ["PlayExperiment", "PlayingJob"]


class PlayingJob:
    """A run's tasks, as seen by the driver."""

    def __init__(self, context: PlayerContext) -> None:
        self._context = context
        self._method = context.experiment.method
        self.name = context.experiment.name
        self.traffic = context.traffic
        self.tally = context.tally
        self.lineages = self._method.lineages()

    def work(self) -> PlayExperiment:
        """Return the experiment in the form that is sent to a worker."""
        experiment = self._context.experiment
        return PlayExperiment(
            experiment.to_yaml(),
            experiment.fingerprint,
            experiment.fingerprint_inputs,
            self._context.begun,
        )

    def journal(self, number: int) -> Journal:
        """Return the journal of a task's calls."""
        return self._context.store.journal(number)

    def lineage(self, number: int) -> int:
        """Return the lineage of a task."""
        return self._method.lineage(number)

    @property
    def n_committed(self) -> int:
        """The number of committed tasks."""
        return self._context.store.committed

    def row(self, result: Outcome) -> bytes | None:
        """Return the line with a task's experience; None if the task has no experience."""
        return result.experience.to_line() if result.experience else None

    def rows(self, lineages: frozenset[int]) -> Iterator[bytes]:
        """Yield the lines with the committed experiences in the given lineages."""
        if not self.n_committed:
            return
        with open_file(self._context.store.folder / "experiences.jsonl") as lines:
            for line in lines:
                if self._method.lineage(json.loads(line)["task"]) in lineages:
                    yield line


@dataclass(frozen=True, slots=True)
class PlayExperiment:
    """An experiment to play, as sent to a worker.

    `experiment` is the text of a YAML file. `fingerprint_inputs` contains the fingerprint inputs of
    the driver's experiment, with which the worker's experiment is compared.
    """

    experiment: str
    fingerprint: str
    fingerprint_inputs: dict[str, Any]
    begun: str

    def open(self) -> _Playing:
        """Read the experiment; raise `ClusterError` if its fingerprint differs on this node."""
        where = "the experiment"
        experiment = Experiment.of(parse_yaml(self.experiment, where), {}, where)
        if experiment.fingerprint != self.fingerprint:
            changed = differences(self.fingerprint_inputs, experiment.fingerprint_inputs)
            raise ClusterError(
                f"reads a different experiment ({changed}); the files that the experiment names "
                "must be identical on every node"
            )
        return _Playing(experiment, self.begun)


class _Playing:
    def __init__(self, experiment: Experiment, begun: str) -> None:
        self._experiment = experiment
        self._begun = begun
        self.roles: Mapping[str, Role] = open_roles(experiment)

    def open_model(self, spec: ModelSpec) -> ChatModel:
        return open_model(spec)

    def part(self) -> Part:
        return _Lineages(self._experiment, self._begun)


class _Lineages(Part):
    """A worker's lineages, with their play and the folder for their committed experiences."""

    def __init__(self, experiment: Experiment, begun: str) -> None:
        self._experiment = experiment
        self._begun = begun
        self._folder = WorkerFolder()
        self._play: Play | None = None
        self._committed = 0

    def add_rows(self, lines: Iterable[bytes]) -> None:
        append_line(self._folder.path / "experiences.jsonl", b"".join(lines))

    def adopt(self, committed: int) -> None:
        """Restore the state of these lineages like a resumed run."""
        self._committed = committed
        self._play = start_play(self._experiment, Run(self._folder.path), committed)

    def commit(self, task: int, line: bytes | None) -> None:
        if line is not None:
            self.add_rows([line])
        self._committed = task + 1
        assert self._play is not None
        self._play.committed(task)

    async def do(
        self,
        number: int,
        given: Any,
        *,
        traffic: Traffic,
        journal: Journal,
        count: Callable[[str], None],
    ) -> Outcome:
        del given
        assert self._play is not None
        try:
            return await play_one(
                self._experiment,
                self._play,
                number,
                traffic=traffic,
                journal=journal,
                begun=self._begun,
                count=count,
            )
        finally:
            if number < self._committed:  # committed while the task was repeated
                self._play.committed(number)

    def close(self) -> None:
        self._folder.remove()
