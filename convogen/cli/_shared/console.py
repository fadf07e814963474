"""A console that prints text literally, for tables, progress bars and styled lines.

Text is never interpreted as markup: tags, `:emoji:` names and control characters have no effect.
Styles are given separately.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, cast

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult
from rich.segment import Segment
from rich.text import Text

from convogen.storage.remote.shown import shown
from convogen.visible import isolated, visible

__all__ = ["styled", "terminal"]

_ISOLATES = ("\u2068", "\u2069")
_SPLIT = re.compile("([\u2068\u2069])").split
_SIZE = re.compile("[1-9][0-9]{0,3}").fullmatch


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return a text composed of parts, each of which is a string or a pair (text, style)."""
    pairs = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((isolated(visible(shown(text))), style) for text, style in pairs))


def terminal(*, stderr: bool = False) -> Console:
    """Return a console for stdout or stderr."""
    console = _Console(stderr=stderr, markup=False, emoji=False, _environ=_environment())
    console.push_render_hook(cast("RenderHook", _Cleaner()))
    return console


def _environment() -> dict[str, str]:
    """Return the environment without COLUMNS and LINES values that are not positive numbers."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "LINES") or _SIZE(value)
    }


class _Console(Console):
    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as a rich text whose control characters are made visible before
        layout."""
        return super().render_str(isolated(visible(shown(text))), **options)


class _Cleaner:
    """A render hook that removes control characters from everything that rich draws."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Return the renderables without control characters; called by rich."""
        return [_Clean(one) for one in renderables]


@dataclass(frozen=True, slots=True)
class _Clean:
    inner: ConsoleRenderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for text, style, control in console.render(self.inner, options):
            # These isolates were added by convogen; all others have already been made visible.
            parts = (part if part in _ISOLATES else visible(part) for part in _SPLIT(text))
            yield Segment(text if control else "".join(parts), style, control)
