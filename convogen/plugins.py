"""Plugins: classes that installed packages add, found by their entry points.

A package names them in its pyproject.toml, one group per kind:

    [project.entry-points."convogen.judges"]
    brevity = "my_package.judges:Brevity"

Finding them imports nothing. A plugin that cannot be used costs one line that names the
distribution, the entry point and the reason; it stops only what asks for it by name.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache, reduce
from importlib import import_module
from importlib.metadata import Distribution, distributions
from typing import Any

from convogen.errors import PluginError

__all__ = ["Plugin", "find_plugins", "import_class", "load_plugin"]

GROUP = "convogen."

_NAME = re.compile(r"\w[\w.-]*")
_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point of an installed distribution; `refused` says why it is never imported."""

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    refused: str | None = None

    def line(self, reason: str) -> str:
        """Return the line that says what is wrong with it."""
        point = f"{self.name} = {self.target} ({GROUP}{self.kind})"
        return f"plugin {self.distribution} {self.version}: entry point {point}: {reason}"


def find_plugins(taken: Mapping[str, Iterable[str]]) -> list[Plugin]:
    """Return the plugins of all installed distributions, by kind, name and distribution.

    Refused are: an unknown kind, a name in `taken` (the built-in ones by kind), a name that two
    distributions use for the same kind, and one that could not be part of a file's name.
    """
    points = _installed()
    counts = Counter((point.kind, point.name) for point in points)
    return [
        replace(point, refused=point.refused or _refusal(point, taken, counts, points))
        for point in points
    ]


def _refusal(
    point: Plugin,
    taken: Mapping[str, Iterable[str]],
    counts: Mapping[tuple[str, str], int],
    points: Sequence[Plugin],
) -> str | None:
    if point.kind not in taken:
        return f"unknown group; allowed: {', '.join(GROUP + kind for kind in taken)}"
    if point.name in taken[point.kind]:
        return f"{point.name!r} is built in, and stays what it is; give it another name"
    if not _NAME.fullmatch(point.name):
        return "a name holds letters, digits, '_', '-' and '.'"
    if counts[point.kind, point.name] > 1:
        owners = [
            f"{other.distribution} {other.version}"
            for other in points
            if (other.kind, other.name) == (point.kind, point.name)
        ]
        return f"named so by {' and '.join(owners)}; uninstall all but one"
    return None


@cache
def _installed() -> tuple[Plugin, ...]:
    """Return the entry points of the groups `convogen.*`; of two equal distributions the first."""
    found: dict[str, list[Plugin]] = {}
    for distribution in distributions():
        if f"[{GROUP}" in _entry_points_text(distribution):
            points = list(_points(distribution))
            key = re.sub(r"[-_.]+", "-", points[0].distribution).casefold()
            found.setdefault(key, points)
    every = (point for points in found.values() for point in points)
    return tuple(sorted(every, key=lambda point: (point.kind, point.name, point.distribution)))


def _entry_points_text(distribution: Distribution) -> str:
    try:
        return distribution.read_text("entry_points.txt") or ""
    except (OSError, ValueError):
        return ""


def _points(distribution: Distribution) -> Iterator[Plugin]:
    """Yield a distribution's plugins, at least one: what cannot be read is a refused one."""
    name, version = "?", "?"
    try:
        metadata = distribution.metadata
        name, version = metadata["Name"] or "?", metadata["Version"] or "?"
        points = [point for point in distribution.entry_points if point.group.startswith(GROUP)]
    except _UNREADABLE:
        reason = "entry_points.txt cannot be read: a line must be NAME = MODULE:CLASS"
        yield Plugin("*", "?", "?", name, version, reason)
        return
    for point in points:
        kind = point.group.removeprefix(GROUP)
        yield Plugin(kind, point.name, point.value, name, version)


def import_class(target: str) -> Any:
    """Return what `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return reduce(getattr, attribute.split("."), import_module(module))


@cache
def load_plugin(plugin: Plugin, base: type[Any]) -> type[Any] | PluginError:
    """Return a plugin's class, or why it cannot be used.

    It is imported once, whatever comes of it. What its import prints goes to stderr.
    """
    if plugin.refused:
        return PluginError(plugin.line(plugin.refused))
    if not plugin.target.partition(":")[2]:
        return PluginError(plugin.line("names no class; write NAME = MODULE:CLASS"))
    try:
        with redirect_stdout(sys.stderr):
            found = import_class(plugin.target)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may even call sys.exit()
        said = " ".join(str(error).split())[:_LONGEST_REASON]
        return PluginError(plugin.line(f"{type(error).__name__}: {said}"))
    fault = _fault(found, base, plugin.name)
    return PluginError(plugin.line(fault)) if fault else found


def _fault(found: Any, base: type[Any], name: str) -> str | None:
    """Return what a class lacks to be of its kind, None if nothing."""
    if not isinstance(found, type):
        return f"is no class (found {type(found).__name__})"
    abstract: frozenset[str] = getattr(found, "__abstractmethods__", frozenset())
    if missing := [key for key in _required(base) if key in abstract or not hasattr(found, key)]:
        return f"missing: {', '.join(missing)}"
    if not issubclass(found, base):
        return f"is no {base.__name__}; derive it from convogen.extend.{base.__name__}"
    if (own := getattr(found, "name", None)) != name:
        return f"its class has the name {own!r}; it must be that of the entry point"
    return None


def _required(base: type[Any]) -> list[str]:
    """Return what a base declares without a value: class variables, then abstract methods."""
    declared = [
        key
        for parent in reversed(base.__mro__)
        for key, kind in inspect.get_annotations(parent).items()
        if str(kind).startswith("ClassVar") and not key.startswith("_") and not hasattr(base, key)
    ]
    return [*declared, *sorted(getattr(base, "__abstractmethods__", ()))]
