"""Model calls for a list of items outside a run. The replies are stored, so that no answered call
is paid for twice.

    <name>-<fingerprint>/rows.jsonl      one row per item, in order
    <name>-<fingerprint>/manifest.json   the inputs and the models
    <name>-<fingerprint>/ledger.jsonl    as in a run folder, like calls.jsonl and journal/

A different model, prompt or set of items results in a different fingerprint and therefore in a
separate folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from convogen.engine.ordered_tasks import WINDOW, OrderedTaskRunner, run_until_complete
from convogen.engine.run_budget import charge_calls, describe_asking_stop, role_prices
from convogen.errors import BudgetReached
from convogen.experiment.fingerprint import fingerprint_of
from convogen.jsonl import parse_row, write_whole
from convogen.models.base import ChatModel, Sampling
from convogen.models.opening import open_model
from convogen.models.prices import Pricer
from convogen.models.progress import RunProgress
from convogen.models.spec import EMBEDDED_SAMPLING, ModelSpec
from convogen.models.traffic.admission import AdmissionQueue
from convogen.models.traffic.budget import NO_LIMITS, Budget, Limits
from convogen.models.traffic.journal import Journal
from convogen.models.traffic.router import Role, Traffic
from convogen.models.traffic.session import Session
from convogen.storage.run_folder import Run
from convogen.storage.task_log import TaskLog, claim, lock

__all__ = ["Asking", "role_of"]

Ask = Callable[[int, Session], Coroutine[Any, Any, dict[str, Any]]]
"""A function that returns the row for an item, given the item's number and a session for model
calls."""


def role_of(spec: ModelSpec, sampling: Sampling) -> Role:
    """Return a role with a model and sampling settings, completed with the model's defaults."""
    suits = EMBEDDED_SAMPLING["judge"] if spec.is_shipped else Sampling()
    return Role(spec, sampling.with_defaults(suits))


@dataclass(frozen=True)
class Asking:
    """A runner that makes the model calls for items concurrently and writes the rows in order.

    Attributes:
        folder: Parent folder of the result folders.
        concurrency: Maximum number of in-flight calls per endpoint.
        tally: Progress counts to update.
        open_model: Function that creates the model that a spec describes.
        limits: Limits on the cost of all calls that this object makes, including the cost of
            earlier calls in the same folders.
    """

    folder: Path
    concurrency: int = 8
    tally: RunProgress | None = None
    open_model: Callable[[ModelSpec], ChatModel] = open_model
    limits: Limits = NO_LIMITS
    _prices: dict[str, Pricer] = field(init=False, default_factory=dict[str, Pricer])
    _charged: set[Path] = field(init=False, default_factory=set[Path])

    @cached_property
    def _budget(self) -> Budget:
        return Budget(self.limits, self._prices)

    def rows(
        self, name: str, roles: Mapping[str, Role], essence: Mapping[str, Any], n: int, ask: Ask
    ) -> list[dict[str, Any]]:
        """Return the rows for `n` items, and compute the rows that are missing.

        Args:
            name: Prefix for the result folder's name.
            roles: The model and sampling settings for each role.
            essence: Inputs that the fingerprint covers in addition to the models.
            n: Number of items.
            ask: Function that returns the row for an item.

        Raises:
            RunFolderError: If the folder cannot be written.
            ModelConfigError: If a budget in USD requires a price that is unknown.
            RunStopped: If the model calls ended early. Calling this method again resumes them.
        """
        models = {role: one.spec for role, one in roles.items()}
        self._prices.update(role_prices(models, self.limits))
        whole = {
            **essence,
            "models": {
                role: [one.spec.identity, one.sampling.model_dump(exclude_none=True)]
                for role, one in roles.items()
            },
        }
        mark = fingerprint_of(whole)
        return run_until_complete(self._rows(self.folder / f"{name}-{mark}", whole, roles, n, ask))

    def _charge(self, folder: Path) -> None:
        """Charge the cost of the calls that a folder contained before this object used it."""
        if folder not in self._charged:
            self._charged.add(folder)
            charge_calls(self._budget, Run(folder).ledger(), self._prices)

    async def _rows(
        self, folder: Path, whole: Mapping[str, Any], roles: Mapping[str, Role], n: int, ask: Ask
    ) -> list[dict[str, Any]]:
        claim(folder)
        held, path = lock(folder), folder / "rows.jsonl"
        tally = self.tally or RunProgress()
        try:
            log = TaskLog(folder, [], [path], key="item")
            done = log.recover(complete=False).committed
            self._charge(folder)
            if done < n:
                write_whole(folder / "manifest.json", json.dumps(whole, ensure_ascii=False) + "\n")
                gate = AdmissionQueue(self._budget)
                traffic = Traffic(roles, self.concurrency, tally, self.open_model, gate)
                try:
                    await _Asked(log, path, traffic, folder.name, ask).run(
                        done, n, WINDOW * self.concurrency
                    )
                except BudgetReached as reached:
                    done = path.read_bytes().count(b"\n")
                    raise describe_asking_stop(reached, done, n, "items", folder) from None
                finally:
                    await traffic.close()
                    log.sync()
        finally:
            held.release()
        lines = path.read_bytes().split(b"\n")[:n]
        return [
            parse_row(f"{path} line {at}", line, "item") for at, line in enumerate(lines, 1) if line
        ]


class _Asked:
    """One invocation of the item runner."""

    def __init__(self, log: TaskLog, path: Path, traffic: Traffic, mark: str, ask: Ask) -> None:
        self._log = log
        self._path = path
        self._traffic = traffic
        self._mark = mark
        self._ask = ask

    async def run(self, done: int, n: int, window: int) -> None:
        async with OrderedTaskRunner(self._start, done, self._traffic.drain) as line:
            for number in range(done, n):
                row, journal = await line.next(min(n - number, window))
                text = json.dumps({"item": number, **row}, ensure_ascii=False)
                self._log.commit(number, journal, [(self._path, text.encode() + b"\n")])
                self._traffic.tally.add("items")

    async def _start(self, number: int) -> tuple[dict[str, Any], Journal]:
        digest = hashlib.blake2b(f"{self._mark}/{number}".encode(), digest_size=8).digest()
        journal = self._log.journal(number)
        session = self._traffic.session(number, int.from_bytes(digest), journal)
        return await self._ask(number, session), journal
