"""The data for a conversation's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from convogen.errors import RunFolderError
from convogen.records import Conversation, Experience, Failure, Rejected, Turn, Usage
from convogen.web.viewer.calls import Call, Spent, calls_by_turn, calls_of, spent_on
from convogen.web.viewer.facts import CHECKS, Facts, facts_of, said_checks
from convogen.web.viewer.judged import Judged, judged_of
from convogen.web.viewer.opened import Opened, Outcome
from convogen.web.viewer.people import Person, people_of

__all__ = ["ConversationPage", "Passage", "ShownTurn", "conversation_page", "passages"]

LONG_TEXT = 1_600
"""Length in characters above which a turn is collapsed."""

BEGINNING = 700
MOST_REPLIES = 12
"""Maximum number of refused replies shown per turn."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a turn: prose, or code enclosed in fences."""

    text: str
    is_code: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """A refused reply: its fault, and its text if known."""

    fault: str
    text: str | None


@dataclass(frozen=True, slots=True)
class ShownTurn:
    """A turn with its provenance and refused replies; `number` counts from 1.

    `beginning` is None unless the text is long. `usage` and `usd` cover all model calls for the
    turn, and are None if unknown.
    """

    number: int
    turn: Turn
    person: Person
    passages: list[Passage]
    beginning: str | None
    attempts: list[Attempt]
    usage: Usage | None
    usd: float | None

    @property
    def notes(self) -> list[str]:
        """Unusual properties of the turn, each in a few words."""
        turn = self.turn
        notes = [f"kept despite {_words(turn.lapse)}"] if turn.lapse else []
        if turn.reasks:
            notes.append(f"requested again {len(turn.reasks)}×")
        if turn.tidied:
            notes.append("tidied")
        if turn.selection is not None and turn.selection.repair:
            notes.append("selector repaired")
        if turn.capped_at is not None or turn.left_out:
            notes.append("shortened to fit the context window")
        return notes


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """A conversation of any status, or a failure, with everything that its page shows."""

    run: str
    id: str
    prefix: str
    facts: Facts
    reason: str
    evidence: str
    value: str
    conversation: Conversation | None
    experience: Experience | None
    people: list[Person]
    scene: list[tuple[str, str]]
    labels: list[tuple[str, str]]
    turns: list[ShownTurn]
    checks: list[tuple[str, str]]
    judged: list[Judged]
    spent: list[Spent]
    from_turn: int | None

    @property
    def usd(self) -> float | None:
        """The cost of the task; None if no model calls are recorded or a price is unknown."""
        known = [row.usd for row in self.spent if row.usd is not None]
        return sum(known) if self.spent and len(known) == len(self.spent) else None

    @property
    def usage(self) -> Usage:
        """The token usage of the task."""
        return sum((row.usage for row in self.spent), Usage())

    @property
    def is_pair(self) -> bool:
        """Whether there are exactly two people, who are then shown on opposite sides."""
        return len(self.people) == 2


def conversation_page(
    opened: Opened, name: str, outcome: Outcome, prefix: str = ""
) -> ConversationPage:
    """Return the page data of a conversation or a failure.

    Args:
        opened: The run.
        name: The id of the conversation or failure.
        outcome: The record of the conversation or failure.
        prefix: Prefix for element ids, needed on pages that show several conversations.
    """
    conversation = _conversation_in(outcome)
    facts = facts_of(outcome, 0)
    experience = opened.experience(facts.experience)
    personas = experience.personas if experience else []
    turns = conversation.turns if conversation else []
    names = conversation.participants if conversation else [one.name for one in personas]
    people = people_of(names, personas, (turn.speaker for turn in turns), f"{prefix}p")
    rejected = outcome if isinstance(outcome, Rejected) else None
    failure = outcome if isinstance(outcome, Failure) else None
    return ConversationPage(
        run=opened.key,
        id=name,
        prefix=prefix,
        facts=facts,
        reason=rejected.reason if rejected else failure.message if failure else "",
        evidence=failure.evidence if failure else "",
        value="" if rejected is None or rejected.value is None else str(rejected.value),
        conversation=conversation,
        experience=experience,
        people=list(people.values()),
        scene=_scene(conversation, experience),
        labels=_labels(conversation),
        turns=_turns(opened, turns, people, facts.task),
        checks=_checks(conversation),
        judged=judged_of(opened, name),
        spent=_spent(opened, facts.task),
        from_turn=_from_turn(opened),
    )


def _conversation_in(outcome: Outcome) -> Conversation | None:
    if isinstance(outcome, Rejected):
        return outcome.conversation
    return outcome if isinstance(outcome, Conversation) else None


def _turns(
    opened: Opened, turns: Sequence[Turn], people: Mapping[str, Person], task: int | None
) -> list[ShownTurn]:
    calls: list[list[Call]] = [[] for _ in turns]
    if task is not None and (opened.run.folder / "calls.jsonl").exists():
        with suppress(RunFolderError):  # refused replies are then not shown
            calls = calls_by_turn(turns, calls_of(opened.run, task, opened.prices))
    return [
        _turn(number, turn, people[turn.speaker], own)
        for number, (turn, own) in enumerate(zip(turns, calls, strict=True), 1)
    ]


def _turn(number: int, turn: Turn, person: Person, calls: Sequence[Call]) -> ShownTurn:
    long = len(turn.text) > LONG_TEXT
    usages = [one.usage for one in (turn, turn.selection) if one is not None and one.usage]
    usage = sum((call.usage for call in calls), Usage()) if calls else None
    known = [call.usd for call in calls if call.usd is not None]
    return ShownTurn(
        number=number,
        turn=turn,
        person=person,
        passages=passages(turn.text),
        beginning=_beginning(turn.text) if long else None,
        attempts=_attempts(turn, calls),
        usage=usage or (sum(usages, Usage()) if usages else None),
        usd=sum(known) if calls and len(known) == len(calls) else None,
    )


def _attempts(turn: Turn, calls: Sequence[Call]) -> list[Attempt]:
    """Return the faults of refused replies, with the replies' texts if these can be determined."""
    asked = [call for call in calls[:-1] if call.role == calls[-1].role]
    texts = [call.text or call.fault for call in asked] if len(asked) == len(turn.reasks) else []
    pairs = enumerate(turn.reasks[:MOST_REPLIES])
    return [Attempt(fault, texts[at] if texts else None) for at, fault in pairs]


def _beginning(text: str) -> str:
    start = text[:BEGINNING]
    return start[: start.rfind(" ") + 1 or BEGINNING] + "…"


def passages(text: str) -> list[Passage]:
    """Split text into prose and code, which is enclosed in lines of three backticks."""
    found: list[Passage] = []
    is_code = False
    lines: list[str] = []
    for line in [*text.split("\n"), None]:
        fence = line is not None and line.lstrip().startswith("```")
        if line is not None and not fence:
            lines.append(line)
            continue
        if any(one.strip() for one in lines) or (is_code and lines):
            found.append(
                Passage("\n".join(lines) if is_code else "\n".join(lines).strip("\n"), is_code)
            )
        is_code, lines = is_code ^ fence, []
    return found or [Passage(text, False)]


def _scene(
    conversation: Conversation | None, experience: Experience | None
) -> list[tuple[str, str]]:
    """Return a conversation's scene and opening, as pairs of a label and a text."""
    context = dict(conversation.context) if conversation else {}
    if experience is not None:
        known = {name: getattr(experience, name) for name in ("topic", "situation", "relations")}
        context = {**known, **context}
        context["opening"] = f"{experience.starter.speaker}: {experience.starter.text}"
    rows = ((name.replace("_", " "), as_text(value)) for name, value in context.items())
    return [(name, text) for name, text in rows if text]


def as_text(value: Any) -> str:
    """Return a record's value in readable form."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return "; ".join(f"{name.replace('_', ' ')}: {as_text(one)}" for name, one in items)
    if isinstance(value, list | tuple):
        return ", ".join(as_text(one) for one in cast("list[Any]", value))
    return "" if value is None else str(value)


def _labels(conversation: Conversation | None) -> list[tuple[str, str]]:
    labelled = conversation.labelled if conversation else None
    return [
        (
            kind,
            as_text(label.value)
            + (f" (planned: {as_text(label.planned)})" if label.planned else ""),
        )
        for kind, label in (labelled or {}).items()
    ]


def _checks(conversation: Conversation | None) -> list[tuple[str, str]]:
    if conversation is None:
        return []
    return [
        (CHECKS[what], ", ".join(f"{_words(fault)} {n}" for fault, n in faults.items()))
        for what, faults in said_checks(conversation)
    ]


def _spent(opened: Opened, task: int | None) -> list[Spent]:
    if task is None:
        return []
    try:
        return spent_on(opened.run, task, opened.prices)
    except (RunFolderError, OSError):
        return []


def _from_turn(opened: Opened) -> int | None:
    """Return the number of the turn from which the run was replayed, or None for other runs."""
    origin = opened.manifest.get("replay_of")
    found = cast("dict[str, Any]", origin) if isinstance(origin, dict) else {}
    turn = found.get("from_turn")
    return turn if isinstance(turn, int) else None


def _words(fault: str | None) -> str:
    return (fault or "").replace("_", " ")
