"""The base class for user-defined metrics.

A `Metric` receives the conversations in a corpus one by one and then returns one number. A package
adds a metric with an entry point in the `convogen.metrics` group. convogen's own measures are not
`Metric`s: they share a single pass over the text (`convogen.metrics.tally`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import isfinite
from numbers import Integral, Real
from typing import ClassVar, TypeVar

from convogen.plugins import registry
from convogen.plugins.discovery import Plugin, explain
from convogen.records import Conversation

__all__ = ["Measurement", "Metric", "measure_plugins"]

T = TypeVar("T")


class Metric(ABC):
    """Base class for metrics; each instance is created without arguments and measures one corpus.

    Conversations arrive in corpus order, regardless of the number of processes. Keep counts, not
    conversations: a corpus may be larger than memory.
    """

    name: ClassVar[str]
    about: ClassVar[str]
    """A one-line description of the metric."""

    unit: ClassVar[str] = ""
    """The unit of the value, such as `words` or `questions / turn`; empty if it has no unit."""

    @abstractmethod
    def add(self, conversation: Conversation) -> None:
        """Update the metric with a conversation."""

    @abstractmethod
    def value(self) -> float | None:
        """Return the metric's value for all added conversations; None if it is undefined."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of a metric for a corpus; `fault` is the error message if the metric failed."""

    value: float | int | None
    unit: str
    fault: str | None = None


def measure_plugins(conversations: Iterable[Conversation]) -> dict[str, Measurement]:
    """Return the measurement of each installed metric, keyed by the metric's name.

    If a metric fails, its measurement has the error as a one-line `fault`. If no metric is
    installed, the conversations are not read.
    """
    running = [_Running(plugin) for plugin in registry.plugins("metrics")]
    for conversation in conversations if running else ():
        for one in running:
            one.add(conversation)
    return {one.plugin.name: one.measured() for one in running}


class _Running:
    """A plugin's metric, applied to one corpus until the metric fails."""

    def __init__(self, plugin: Plugin) -> None:
        self.plugin = plugin
        self._fault = registry.fault(plugin)
        self._metric: Metric | None = self._attempt(self._start)

    def _start(self) -> Metric:
        return registry.load("metrics", self.plugin.name)()

    def add(self, conversation: Conversation) -> None:
        if (metric := self._metric) is not None:
            self._attempt(lambda: metric.add(conversation))

    def measured(self) -> Measurement:
        metric = self._metric
        value = self._attempt(lambda: _number(metric.value())) if metric else None
        unit = str(metric.unit) if metric else ""
        return Measurement(value, unit, self._fault)

    def _attempt(self, step: Callable[[], T]) -> T | None:
        if self._fault is not None:
            return None
        try:
            return step()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - this is third-party code
            self._fault = self.plugin.line(explain(error))
            return None


def _number(value: object) -> float | int | None:
    """Return a metric's value as a JSON number or None; raise an error for any other value."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"value() must return a number or None (found {type(value).__name__})")
    if not isfinite(value):
        raise ValueError(f"value() must return a finite number or None (found {value})")
    return int(value) if isinstance(value, Integral) else float(value)
