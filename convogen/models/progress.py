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
    """What is holding up the run; empty if nothing is."""

    on_notice: Callable[[str], None] = lambda notice: None
    """Called with each notice."""

    on_line: Callable[[str], None] = lambda line: None
    """Called with each line that the user should see in any case."""

    def say(self, line: str) -> None:
        """Tell the user something once."""
        self.on_line(line)

    def note(self, notice: str) -> None:
        """Report what is holding up the run; empty if nothing is any more."""
        self.notice = notice
        self.on_notice(notice)

    def add(self, what: str, n: int = 1) -> None:
        """Count `n` more of `what`: calls, tokens, retries, turns, experiences, …"""
        self.counts[what] += n
