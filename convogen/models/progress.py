"""Progress of a run, for displays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["RunProgress"]


@dataclass
class RunProgress:
    """Counts since the start of a run, for the progress display."""

    counts: Counter[str] = field(default_factory=Counter[str])
    notice: str = ""
    """The reason why the run is held up; empty if it is not."""

    on_notice: Callable[[str], None] = lambda notice: None
    """Called with each notice."""

    on_line: Callable[[str], None] = lambda line: None
    """Called with each line that must be shown to the user."""

    def say(self, line: str) -> None:
        """Show the user a line."""
        self.on_line(line)

    def note(self, notice: str) -> None:
        """Report why the run is held up; an empty notice means that it no longer is."""
        self.notice = notice
        self.on_notice(notice)

    def add(self, what: str, n: int = 1) -> None:
        """Add `n` to the count of `what`, for example calls, tokens, retries or turns."""
        self.counts[what] += n
