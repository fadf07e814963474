"""The progress of a run, for the progress display."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["RunProgress"]


@dataclass
class RunProgress:
    """Counts since the start of a run, and the reason why the run is held up, if it is."""

    counts: Counter[str] = field(default_factory=Counter[str])
    notice: str = ""
    """The reason why the run is held up; empty if the run is proceeding."""

    on_notice: Callable[[str], None] = lambda notice: None
    """Function that is called with each notice."""

    on_line: Callable[[str], None] = lambda line: None
    """Function that is called with each line that must be shown to the user."""

    def say(self, line: str) -> None:
        """Show the user a line."""
        self.on_line(line)

    def note(self, notice: str) -> None:
        """Report why the run is held up; an empty notice means that the run is proceeding again."""
        self.notice = notice
        self.on_notice(notice)

    def add(self, what: str, n: int = 1) -> None:
        """Add `n` to the count of `what`, such as calls, tokens, retries or turns."""
        self.counts[what] += n
