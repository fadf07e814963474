"""Plugins: classes in installed packages, discovered through entry points.

A package declares its plugins in pyproject.toml, in one group per kind:

    [project.entry-points."convogen.judges"]
    brevity = "my_package.judges:Brevity"

Discovery imports nothing. If a plugin cannot be used, a one-line message names the distribution,
the entry point and the reason. Only commands that request the plugin by name fail.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from functools import cache, reduce
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from traceback import walk_tb
from typing import Any, cast

from convogen.errors import PluginError

__all__ = ["Plugin", "blame", "explain", "find_plugins", "import_class", "load_plugin"]

GROUP = "convogen."

_NAME = re.compile(r"\w[\w.-]*")
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point of an installed distribution.

    `refused` is the reason why the plugin is never imported, or None if it may be imported.
    """

    kind: str
    name: str
    target: str
    distribution: str
    version: str
    refused: str | None = None

    def line(self, reason: str) -> str:
        """Return a one-line error message with the plugin and the reason."""
        point = f"{self.name} = {self.target} ({GROUP}{self.kind})"
        return f"plugin {self.distribution} {self.version}: entry point {point}: {reason}"


def find_plugins(taken: Mapping[str, Iterable[str]]) -> list[Plugin]:
    """Return the plugins of all installed distributions, sorted by kind, name and distribution.

    A plugin is refused if its kind is unknown, or if its name is in `taken` (the built-in names by
    kind), is used by several distributions for the same kind, or is not valid in a file name.
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
        return f"{point.name!r} is built in and cannot be replaced; use another name"
    if not _NAME.fullmatch(point.name):
        return (
            "a name may contain only letters, digits, '_', '-' and '.', and must not start with "
            "'-' or '.'"
        )
    if counts[point.kind, point.name] > 1:
        owners = [
            f"{other.distribution} {other.version}"
            for other in points
            if (other.kind, other.name) == (point.kind, point.name)
        ]
        return f"defined by {' and '.join(owners)}; uninstall all but one"
    return None


@cache
def _installed() -> tuple[Plugin, ...]:
    """Return the entry points in the groups `convogen.*`."""
    points = entry_points()
    plugins: list[Plugin] = []
    for group in sorted(group for group in points.groups if group.startswith(GROUP)):
        for point in points.select(group=group):
            name = getattr(point.dist, "name", None) or "?"
            version = getattr(point.dist, "version", None) or "?"
            kind = group.removeprefix(GROUP)
            plugins.append(
                Plugin(kind, point.name, target=point.value, distribution=name, version=version)
            )
    return tuple(sorted(plugins, key=lambda point: (point.kind, point.name, point.distribution)))


def blame(error: BaseException) -> str | None:
    """Return a message that names the plugin whose code raised an error, or None if no plugin's
    code raised it."""
    roots = {plugin.target.partition(":")[0].split(".")[0]: plugin for plugin in _installed()}
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        root = str(frame.f_globals.get("__name__")).split(".")[0]
        if root != "convogen" and (plugin := roots.get(root)):
            where = f"{Path(frame.f_code.co_filename).name}:{line}"
            owner = f"plugin {plugin.distribution} {plugin.version}"
            return f"{owner}: {where}: {explain(error)}; use --debug to show the traceback"
    if isinstance(error, BaseExceptionGroup):
        lines = (blame(one) for one in cast("BaseExceptionGroup[BaseException]", error).exceptions)
        return next((line for line in lines if line), None)
    return None


def explain(error: BaseException) -> str:
    """Return the type and message of a third-party error as one line of bounded length."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:_LONGEST_REASON]}"


def import_class(target: str) -> Any:
    """Import and return the attribute that `module:attribute` names."""
    module, _, attribute = target.partition(":")
    return reduce(getattr, attribute.split("."), import_module(module))


@cache
def load_plugin(plugin: Plugin, base: type[Any]) -> type[Any] | PluginError:
    """Return a plugin's class, or an error that says why the plugin cannot be used.

    The plugin is imported only once, even if the import fails. Its printed output goes to stderr.
    """
    if plugin.refused:
        return PluginError(plugin.line(plugin.refused))
    if not plugin.target.partition(":")[2]:
        return PluginError(plugin.line("the entry point names no class; write NAME = MODULE:CLASS"))
    try:
        with redirect_stdout(sys.stderr):
            loaded = import_class(plugin.target)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may even call sys.exit()
        return PluginError(plugin.line(explain(error)))
    fault = _fault(loaded, base, plugin.name) or _unmade(loaded, plugin.kind)
    return PluginError(plugin.line(fault)) if fault else loaded


def _fault(loaded: Any, base: type[Any], name: str) -> str | None:
    """Return the reason why an object is not a valid plugin class of its kind, or None if it is
    valid."""
    if not isinstance(loaded, type):
        return f"the entry point must name a class (found {type(loaded).__name__})"
    abstract: frozenset[str] = getattr(loaded, "__abstractmethods__", frozenset())
    if missing := [key for key in _required(base) if key in abstract or not hasattr(loaded, key)]:
        return f"the class must also define {', '.join(missing)}"
    if not issubclass(loaded, base):
        home = f"convogen.extend.{base.__name__}"
        return f"the class is not a subclass of {base.__name__}; derive it from {home}"
    if (own := getattr(loaded, "name", None)) != name:
        return f"the class has name = {own!r}, which must match the name of the entry point"
    return None


def _unmade(loaded: Any, kind: str) -> str | None:
    """Return the reason why a reader or metric cannot be created without arguments, or None if it
    can."""
    if kind not in ("readers", "metrics"):
        return None
    try:
        with redirect_stdout(sys.stderr):
            loaded()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a plugin may even call sys.exit()
        return f"cannot be created without arguments: {explain(error)}"
    return None


def _required(base: type[Any]) -> list[str]:
    """Return the names that subclasses of a base must define: class variables without a value, then
    abstract methods."""
    declared = [
        key
        for parent in reversed(base.__mro__)
        for key, kind in inspect.get_annotations(parent).items()
        if str(kind).startswith("ClassVar") and not key.startswith("_") and not hasattr(base, key)
    ]
    return [*declared, *sorted(getattr(base, "__abstractmethods__", ()))]
