"""The values of a record that the index contains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from convogen.judges.reference_dialogues import pairing_key
from convogen.metrics.turn_checks import TurnChecks
from convogen.records import PROPER_ENDS, Conversation, Failure, Rejected
from convogen.text.identify import language_of
from convogen.text.segmentation import count_words

__all__ = ["CHECKS", "Facts", "facts_of", "said_checks"]

CHECKS = {
    "asked_again": "requested again",
    "tidied": "tidied",
    "taken_with": "kept despite",
    "selector": "selector",
}
"""Turn events, and their names on the pages."""

PREVIEW = 220
"""Length of the excerpts and topics shown in the list, in characters."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The indexed values of a conversation, accepted or not, or of a failed task.

    Attributes:
        status: accepted, broken, rejected or failed.
        why: The fault that ended the conversation early, the gate that rejected it, or the stage
            and kind of a failure.
        scene, said: Text that is searched in addition to the people's names.
        checks: Pairs of a turn event (a key of `CHECKS`) and its fault.
    """

    status: str
    why: str
    id: str
    task: int | None
    experience: str | None
    pair: str | None
    topic: str
    people: list[str]
    n_turns: int
    n_words: int | None
    language: str | None
    preview: str
    scene: str
    said: str
    checks: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])


def facts_of(record: Conversation | Rejected | Failure, place: int) -> Facts:
    """Return the indexed values of a record; `place` is the record's position in its file."""
    if isinstance(record, Failure):
        return _failure(record)
    if isinstance(record, Rejected):
        return _conversation(record.conversation, place, ("rejected", record.gate), record.id)
    ended = record.ended
    broken = ended is not None and ended not in PROPER_ENDS
    return _conversation(record, place, ("broken", ended or "") if broken else ("accepted", ""))


def said_checks(conversation: Conversation) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield each kind of turn event (a key of `CHECKS`), with the number of events per fault."""
    checks = TurnChecks()
    checks.add(conversation)
    counts = checks.counts()
    for what in ("asked_again", "tidied", "taken_with"):
        if faults := getattr(counts, what):
            yield what, faults
    repairs = sum(
        turn.selection is not None and turn.selection.repair is not None
        for turn in conversation.turns
    )
    if repairs:
        yield "selector", {"repaired": repairs}


def _conversation(
    conversation: Conversation, place: int, outcome: tuple[str, str], name: str | None = None
) -> Facts:
    context, turns = conversation.context, conversation.turns
    language = language_of(conversation)
    counts = [count_words(turn.text, language) for turn in turns]
    known = [count for count in counts if count is not None]
    people = dict.fromkeys([*conversation.participants, *(turn.speaker for turn in turns)])
    scene = [str(value) for value in context.values() if isinstance(value, str | int | float)]
    checks = {(what, fault) for what, faults in said_checks(conversation) for fault in faults}
    return Facts(
        status=outcome[0],
        why=outcome[1],
        id=name or conversation.id,
        task=conversation.task,
        experience=conversation.experience,
        pair=str(pairing_key(conversation, place)),
        topic=_topic(conversation),
        people=list(people),
        n_turns=len(turns),
        n_words=sum(known) if len(known) == len(counts) else None,
        language=conversation.language or language,
        preview=turns[0].text[:PREVIEW] if turns else "",
        scene="\n".join(scene),
        said="\n".join(turn.text for turn in turns),
        checks=checks,
    )


def _topic(conversation: Conversation) -> str:
    """Return the topic of a conversation, as given by its method or corpus."""
    context = conversation.context
    for key in ("topic", "subtopic", "goal", "task", "situation"):
        value = context.get(key)
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:PREVIEW]
    return ""


def _failure(failure: Failure) -> Facts:
    return Facts(
        status="failed",
        why=f"{failure.stage}/{failure.kind}",
        id=failure.id,
        task=failure.task,
        experience=failure.experience,
        pair=None,
        topic=" ".join(failure.message.split())[:PREVIEW],
        people=[],
        n_turns=0,
        n_words=None,
        language=None,
        preview=failure.evidence[:PREVIEW],
        scene=failure.message,
        said=failure.evidence[:20_000],
    )
