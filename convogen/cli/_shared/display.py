"""The output of `run` and `show`: live progress, summaries and conversations."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import Any, cast

from rich.console import Console  # noqa: TID251 - only for type hints
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.terminal import say
from convogen.costs.ledger_costs import JUDGE, Spending, total_usd
from convogen.experiment.experiment import Experiment
from convogen.models.progress import RunProgress
from convogen.records import PROPER_ENDS, Conversation, Experience
from convogen.reports.summary import RunSummary, summarise
from convogen.storage.run_folder import Run
from convogen.text.counting import counted
from convogen.text.language_tags import language_name
from convogen.visible import visible

__all__ = [
    "live",
    "print_conversation",
    "print_failures",
    "print_notices",
    "print_rejected",
    "print_summary",
    "usd_text",
]

REFRESH_S = 0.25
NARROW = 60
"""Minimum terminal width, in columns, for tables; narrower terminals get lines of text."""

PRICED = (
    ("own", "at the price you gave"),
    ("list", "at list price"),
    (
        "assumed",
        "list price of the model's maker (assumed); set your endpoint's price with --price",
    ),
)
"""Pairs of a price source and the note on prices from that source."""


COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
"""Speaker colours, assigned in the order of the participants."""


@contextmanager
def live(
    experiment: Experiment, tally: RunProgress, console: Console | None = None
) -> Generator[None]:
    """Show the progress of a run; without a terminal, print only the reasons for delays."""
    console = console or terminal(stderr=True)
    if not console.is_terminal:
        print_notices(tally)
        yield
        return
    view = _View(experiment, tally)
    tally.on_line = lambda line: console.print(styled((line, "yellow")))
    with Live(view, console=console, refresh_per_second=1 / REFRESH_S, transient=False):
        yield


def print_notices(tally: RunProgress) -> None:
    """Print a line when a run is delayed and another line when it continues."""
    tally.on_notice = lambda notice: say(notice or "continuing", err=True)
    tally.on_line = lambda line: say(line, err=True)


class _View:
    """A progress bar with a line of figures, which `Live` redraws several times per second."""

    def __init__(self, experiment: Experiment, tally: RunProgress) -> None:
        self._experiment, self._tally = experiment, tally
        self._started = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("conversations, time left"),
            TimeRemainingColumn(),
        )
        self._bar = self._progress.add_task(visible(experiment.name), total=experiment.n)

    def __rich__(self) -> Table:
        counts = self._tally.counts
        others = counts["failures"] + counts["rejected"]
        done = self._experiment.progress(counts["conversations"], others)
        self._progress.update(self._bar, completed=done)
        seconds = max(time.monotonic() - self._started, 1e-3)
        figures = [
            counted(counts["experiences"], "experience"),
            counted(counts["turns"], "turn"),
            counted(counts["tokens"], "token"),
            f"{counts['generated'] / seconds:.0f} generated/s",
            counted(counts["failures"], "failure"),
        ]
        if counts["rejected"]:
            figures.append(f"{counts['rejected']} rejected")
        if counts["retries"]:
            figures.append(f"{counts['retries']} retried")
        if counts["replayed"]:
            figures.append(f"{counts['replayed']} answered earlier")
        grid = Table.grid()
        grid.add_row(self._progress)
        # Without these counts, the run was already complete.
        if counts["experiences"] or counts["turns"] or counts["tokens"]:
            grid.add_row(" · ".join(figures), style="dim")
        if self._tally.notice:
            grid.add_row(visible(self._tally.notice), style="yellow")
        return grid


def print_summary(run: Run, console: Console | None = None) -> None:
    """Print a run's contents and failures, and the tokens and cost for each role and model."""
    console = console or terminal()
    manifest = run.manifest
    summary = summarise(run)
    state = "complete" if manifest.get("complete") else "not complete"
    done = f"{summary.conversations} of {counted(manifest.get('n', 0), 'conversation')}"
    console.print(styled((f"{manifest.get('name')}", "bold"), f" in {run.folder}: {state}, {done}"))
    if console.width < NARROW:
        for label, value in _lines(summary):
            console.print(f"{label}: {value}")
    else:
        table = Table(show_header=False, box=None, pad_edge=False)
        for label, value in _lines(summary):
            table.add_row(label, value)
        console.print(table)
    for warning in _warnings(summary):
        console.print(warning, style="yellow")
    own = [row for row in summary.ledger if row.role != JUDGE]
    judges = [row for row in summary.ledger if row.role == JUDGE]
    _print_ledger(own, console)
    if judges:
        console.print("judging:")
        _print_ledger(judges, console)


def _print_ledger(rows: Sequence[Spending], console: Console) -> None:
    """Print the calls for each role and model, as a table or, on a narrow terminal, as lines."""
    if console.width >= NARROW:
        console.print(_ledger_table(rows))
        return
    for row in rows:
        console.print(
            f"{row.role}, {row.model}: {counted(row.calls, 'call')}, "
            f"{counted(row.prompt_tokens, 'token')} in, {row.completion_tokens:,} out, "
            f"{usd_text(row.cost_usd)}"
        )
    for remark in _remarks(rows):
        console.print(remark)


def _lines(summary: RunSummary) -> list[tuple[str, str]]:
    turns, n = summary.turns, max(summary.conversations, 1)
    return [
        *([("experiences", _experiences(summary))] if summary.experiences else []),
        ("turns", f"{turns}, {turns / n:.1f} per conversation"),
        ("words", _words(summary.words, turns)),
        *([("language", _languages(summary))] if summary.stated_languages else []),
        ("ended by", _counted(summary.ended)),
        ("requested again for", _counted(summary.reasks)),
        *([("tidied", _counted(summary.tidied))] if summary.tidied else []),
        *([("kept despite", _counted(summary.lapses))] if summary.lapses else []),
        *([("ended early by", _counted(summary.broken_off))] if summary.broken_off else []),
        *([("selector repaired", _repaired(summary))] if summary.selections else []),
        ("rejected", _rejected(summary)),
        ("failures", _counted(summary.failures)),
        *([("waiting", _waiting(summary))] if summary.waiting else []),
        *([("per conversation", _per_conversation(summary))] if summary.conversations else []),
    ]


def _languages(summary: RunSummary) -> str:
    """Return the share of turns in each requested language."""
    return "; ".join(
        f"{language_name(tag)}, "
        + ("share unknown" if found.share is None else f"{found.share:.1%} of turns")
        for tag, found in summary.stated_languages.items()
    )


def _waiting(summary: RunSummary) -> str:
    return (
        f"{counted(summary.waiting, 'conversation')} finished, but an earlier task is unfinished; "
        "to include finished conversations in an export, use convogen export --partial"
    )


def _per_conversation(summary: RunSummary) -> str:
    """Return the cost per conversation, including failed and rejected tasks but not judging."""
    rows = [row for row in summary.ledger if row.role != JUDGE]
    tokens = sum(row.prompt_tokens + row.completion_tokens for row in rows)
    usd, n = total_usd(rows), summary.conversations
    return f"{tokens / n:,.0f} tokens, {usd_text(None if usd is None else usd / n)}"


def _warnings(summary: RunSummary) -> Generator[str]:
    """Yield warnings about group chats with poor speaker selection."""
    if silent := summary.silent:
        yield f"{silent} of {summary.participants} participants never spoke."
    if 2 * summary.selector_repairs > summary.selections:
        yield (
            f"{_repaired(summary)} speaker selections were repaired because the selector's model "
            f"does not follow the prompt; use another model with --model selector=NAME."
        )


def _repaired(summary: RunSummary) -> str:
    return f"{summary.selector_repairs} of {summary.selections}"


def _rejected(summary: RunSummary) -> str:
    text = _counted(summary.rejected)
    if summary.rejected and summary.acceptance_rate is not None:
        text += f"; {summary.acceptance_rate:.1%} of the finished conversations accepted"
    return text


def _experiences(summary: RunSummary) -> str:
    text = f"{summary.experiences}, {summary.repaired} of them repaired"
    if again := summary.experiences_asked_again:
        text += f", requested again for {_counted(again)}"
    admitted, copies = summary.admitted, summary.near_copies
    if plan := summary.plan:
        text += (
            f"; {counted(plan.subtopics, 'subtopic')} and {counted(plan.personas, 'persona')} "
            f"found in {plan.requests} {'reply' if plan.requests == 1 else 'replies'}, "
            f"near-copies left out: {plan.near_copies}"
        )
    if admitted or copies:
        text += f"; {admitted} entered the hub; near-copies left out: {copies}"
    return text


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} {n}" for kind, n in counts.items()) or "none"


def _ledger_table(rows: Sequence[Spending]) -> Table:
    """Return a table of the calls for each role and model, with totals; unknown costs are
    marked."""
    lost = any(row.lost_attempts for row in rows)
    figures = ["calls", "tried", *(["lost"] if lost else []), "tokens in", "cached", "out"]
    table = Table(pad_edge=False, caption=" ".join(_remarks(rows)), caption_justify="left")
    for column in ("role", "model"):
        table.add_column(column)
    for column in (*figures, "cost"):
        table.add_column(column, justify="right", no_wrap=True)
    counts = [_ledger_counts(row, lost) for row in rows]
    for row, numbers in zip(rows, counts, strict=True):
        shown = (f"{number:,}" for number in numbers)
        table.add_row(row.role, row.model, *shown, usd_text(row.cost_usd))
    if len(rows) > 1:
        table.add_section()
        total = (f"{sum(column):,}" for column in zip(*counts, strict=True))
        table.add_row("all", "", *total, usd_text(total_usd(rows)))
    return table


def _ledger_counts(row: Spending, lost: bool) -> list[int]:
    """Return the counts in a row of the ledger table: calls, attempts, lost attempts and tokens."""
    attempts = [row.attempts, *([row.lost_attempts] if lost else [])]
    return [row.calls, *attempts, row.prompt_tokens, row.cached_tokens, row.completion_tokens]


def _remarks(rows: Sequence[Spending]) -> Generator[str]:
    """Yield the sources of the prices, and the amount that may have been billed for lost calls."""
    for whose, text in PRICED:
        if models := {row.model for row in rows if row.price == whose}:
            yield f"{', '.join(sorted(models))}: {text}."
    if any(row.lost_prompt_tokens for row in rows):
        known = [row.lost_usd for row in rows if row.lost_usd is not None]
        usd = usd_text(sum(known) if len(known) == len(rows) else None)
        yield (
            "Lost calls are calls without a reply, replies without usage counts, and probes; "
            f"their cost is at most {usd}."
        )


def usd_text(usd: float | None) -> str:
    """Return an amount in US dollars as text, with four decimals below one dollar, otherwise two.

    None is shown as `unknown`.
    """
    if usd is None:
        return "unknown"
    return f"${usd:,.2f}" if usd >= 1 or usd == 0 else f"${usd:.4f}"


def _words(words: int | None, turns: int) -> str:
    if words is None:
        return "–, not available for this language; `convogen stats` explains why"
    return f"{words}, {words / max(turns, 1):.1f} per turn"


def print_conversation(
    conversation: Conversation,
    experience: Experience | None,
    console: Console | None = None,
    number: str | None = None,
) -> None:
    """Print a conversation for reading, with its scene and one colour per speaker.

    The heading is the conversation's `number` in the run, if given, otherwise the id and the reason
    why the conversation ended. Model output is printed literally.
    """
    console = console or terminal()
    if number is None:
        console.print(styled((conversation.id, "bold"), f" {conversation.ended}"))
    else:
        console.print(styled((number, "bold")))
    for key, value in conversation.context.items():
        if isinstance(value, dict):
            about = cast("dict[str, Any]", value).items()
            value = "; ".join(f"{name.replace('_', ' ')}: {one}" for name, one in about)
        console.print(styled((f"{key}:", "dim"), f" {value}"))
    for persona in experience.personas if experience else ():
        card = persona.card
        about = f"{card.age}, {card.lifestyle}" if card else persona.text or ""
        console.print(styled((f"{persona.name}:", "dim"), f" {about}"))
    console.print()
    speakers = dict.fromkeys([*conversation.participants, *(t.speaker for t in conversation.turns)])
    colours = dict(zip(speakers, cycle(COLOURS), strict=False))
    for turn in conversation.turns:
        said = styled((f"{turn.speaker}:", f"bold {colours[turn.speaker]}"), f" {turn.text}")
        console.print(said)
    if number is not None:
        console.print(styled((_ending(conversation) + conversation.id, "dim")))


def _ending(conversation: Conversation) -> str:
    """Return the reason why a conversation ended, or an empty string if it reached its maximum
    number of turns."""
    if (ended := conversation.ended or "max_turns") == "max_turns":
        return ""
    how = "ended by" if ended in PROPER_ENDS else "ended early by"
    return f"{how} {ended.replace('_', ' ')} · "


def print_failures(run: Run, console: Console | None = None, most: int = 20) -> None:
    """Print up to `most` failures with their causes and evidence."""
    console = console or terminal()
    for number, failure in enumerate(run.failures()):
        if number == most:
            console.print(f"… see the rest in {run.folder / 'failures.jsonl'}")
            return
        console.print(styled((failure.id, "bold"), f" {failure.stage}: {failure.kind}"))
        console.print(f"  {failure.message}")
        if failure.evidence:
            console.print(f"  {failure.evidence[:300]}", style="dim")


def print_rejected(run: Run, console: Console | None = None, most: int = 20) -> None:
    """Print up to `most` rejected conversations with the gates and the reasons."""
    console = console or terminal()
    for number, rejected in enumerate(run.rejected()):
        if number == most:
            console.print(f"… see the rest in {run.folder / 'rejected.jsonl'}")
            return
        console.print(styled((rejected.id, "bold"), f" rejected by {rejected.gate}"))
        console.print(f"  {rejected.reason}")
