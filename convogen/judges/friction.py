"""Friction: behaviours in each turn that keep a conversation from running smoothly.

The behaviours are those that `convogen.interaction.friction` detects by rules, and two that only a
reader can detect: sarcasm, and misreading what somebody meant. Each model call labels a range of
turns, which is shown together with earlier turns. If a reply omits turns or gives them unknown
labels, only these turns are requested again. A turn that never gets valid labels is not counted.

A turn may have several labels or an empty list, since dialogue acts are multifunctional (Bunt et
al., 2012, "ISO 24617-2: A semantically-based standard for dialogue annotation"). The definitions
and their wording are convogen's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from pydantic import Field, field_validator

from convogen.errors import ModelFault
from convogen.judges.base import Judge, JudgeInput, fault_reason
from convogen.judges.human_likeness import numbered
from convogen.models.base import Message, Sampling
from convogen.models.traffic.context_window import ask_whole
from convogen.models.traffic.session import Session
from convogen.records import Experience, Score, Turn
from convogen.text.objects import NoObject, find_object

__all__ = ["BEHAVIOURS", "FrictionJudge"]

BEHAVIOURS = {
    "interruption": "breaks in before another speaker has finished, or announces an interruption",
    "disagreement": "contradicts, rejects or doubts what somebody else said",
    "misunderstanding": "corrects how others understood something the speaker said earlier",
    "misinterpretation": "understands something differently from how it was meant",
    "repair_request": "asks what was said or meant, or whether the speaker understood it correctly",
    "evasion": "ought to answer a question and dodges it: by being vague, by answering another "
    "question, or by asking back",
    "refusal": "declines a request, an offer or a proposal",
    "complaint": "voices annoyance, or reproaches somebody",
    "topic_change": "moves to another subject",
    "silence": "says nothing, or almost nothing, when an answer or a reaction is due",
    "self_repair": "breaks off to correct or rephrase what the speaker is saying",
    "hesitation": "has fillers, pauses or repeated beginnings, as in 'um' or 'the, the'",
    "hedging": "makes a statement weaker or less certain, as in 'maybe' or 'I guess'",
    "backchannel": "only shows attention while somebody else is speaking, as in 'mm-hm'",
    "sarcasm": "means the opposite of what it says, or mocks",
}
"""The labels and their meanings."""

MOST_LABELS = 5
"""Maximum number of labels per turn in the schema, which keeps models from listing them endlessly.
"""

_TOKENS, _TOKENS_PER_TURN = 60, 40
_LONGEST_REPLY = 4_000
_LONGEST_REASON = 500
_MOST_NAMED = 8
"""Maximum number of turns that a complaint or a reason names."""

Labels = tuple[str, ...]


class FrictionJudge(Judge):
    """Parameters of the friction judge."""

    name: ClassVar[str] = "friction"
    prompt_names: ClassVar[tuple[str, ...]] = ("label",)
    sampling: ClassVar[Sampling] = Sampling(temperature=0.0)

    behaviours: dict[str, str] = Field(
        default=BEHAVIOURS,
        min_length=1,
        max_length=30,
        description="labels that turns may get: a mapping from each label to its meaning",
    )
    turns_per_call: int = Field(
        default=30, ge=1, le=40, description="maximum number of turns labelled per model call"
    )
    context_turns: int = Field(
        default=30,
        ge=0,
        description="maximum number of earlier turns shown to the judge as context",
    )
    turn_chars: int = Field(
        default=2_000,
        ge=100,
        description="maximum number of characters of a turn that are shown to the judge",
    )
    reasks: int = Field(
        default=1,
        ge=0,
        le=10,
        description="maximum number of retries for turns without valid labels",
    )

    @field_validator("behaviours")
    @classmethod
    def _apart(cls, behaviours: dict[str, str]) -> dict[str, str]:
        if len({_folded(label) for label in behaviours}) < len(behaviours):
            raise ValueError(
                "two labels differ only in case, spaces or hyphens; rename one of them"
            )
        return behaviours

    @property
    def highest(self) -> float:
        return 1.0

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        del experience
        return ("friction",)

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        turns = judged.conversation.turns
        labels: list[Labels | None] = [None] * len(turns)
        reasons: list[str] = []
        for first in range(0, len(turns), self.turns_per_call):
            last = min(first + self.turns_per_call, len(turns))
            reasons += await self._label(session, turns, labels, (first, last))
        return self._score(judged.conversation.id, aspect, labels, reasons)

    def _score(
        self,
        conversation: str,
        aspect: str,
        labels: Sequence[Labels | None],
        reasons: Sequence[str],
    ) -> Score:
        """Return the score: among the validly labelled turns, the share with at least one label."""
        known = [turn for turn in labels if turn is not None]
        return Score(
            conversation=conversation,
            judge=self.name,
            aspect=aspect,
            value=sum(map(bool, known)) / len(known) if known else None,
            turn_labels=tuple(labels) if known else None,
            reason="; ".join(reasons)[:_LONGEST_REASON] or (None if labels else "it has no turns"),
        )

    async def _label(
        self,
        session: Session,
        turns: Sequence[Turn],
        labels: list[Labels | None],
        stretch: tuple[int, int],
    ) -> list[str]:
        """Fill in the labels of a range of turns, whose last index is excluded.

        A range that does not fit into the model's context is halved. Returns the reasons why turns
        have no valid labels; the list is empty if all turns have valid labels.
        """
        first, last = stretch
        try:
            return await self._ask(session, turns, labels, stretch)
        except ModelFault as fault:
            if fault.kind != "context_length" or last - first == 1:
                return [fault_reason(fault)]
        middle = (first + last) // 2
        left = await self._label(session, turns, labels, (first, middle))
        return left + await self._label(session, turns, labels, (middle, last))

    async def _ask(
        self,
        session: Session,
        turns: Sequence[Turn],
        labels: list[Labels | None],
        stretch: tuple[int, int],
    ) -> list[str]:
        first, last = stretch
        begin = max(0, first - min(self.context_turns, 2 * (last - first)))
        shown = numbered(turns[:last], self.turn_chars).split("\n")[begin:]
        asked = self.prompts["label"].render(
            behaviours=self.behaviours, transcript="\n".join(shown), first=first + 1, last=last
        )
        missing, asking = list(range(first + 1, last + 1)), asked
        why = ""
        for _ in range(1 + self.reasks):
            room = Sampling(max_tokens=_TOKENS + _TOKENS_PER_TURN * len(missing))
            schema = _schema(self.behaviours, missing)
            answer = await ask_whole(session, self.role, asking, room, schema=schema)
            read, why = self._read(answer.text, missing)
            for number, found in read.items():
                labels[number - 1] = found
            missing = [number for number in missing if number not in read]
            if not missing:
                return []
            wanted = ", ".join(map(str, missing))
            again = (
                f"That is not complete: {why}. Answer with the object for these turns: {wanted}."
            )
            reply = answer.text[:_LONGEST_REPLY].strip()
            asking = [*asked, *([Message("assistant", reply)] if reply else [])]
            asking.append(Message("user", again))
        return [f"labels_invalid: {len(missing)} of {len(turns)} turns have no labels: {why}"]

    def _read(self, text: str, wanted: Sequence[int]) -> tuple[dict[int, Labels], str]:
        """Return the labels in a reply, keyed by turn number, and a complaint about the other
        requested turns.

        Numbers that were not requested are ignored.
        """
        try:
            data = find_object(text, [f"{number}" for number in wanted])
        except NoObject as fault:
            return {}, "it was cut off" if fault.unclosed else f"{fault}"
        read: dict[int, Labels] = {}
        faults: list[str] = []
        for number in wanted:
            found = self._labels(data.get(f"{number}"))
            if isinstance(found, str):
                faults.append(f"turn {number} {found}")
            else:
                read[number] = found
        return read, "; ".join(faults[:_MOST_NAMED])

    def _labels(self, value: Any) -> Labels | str:
        """Return the labels in a value, without duplicates and in the judge's order, or a
        complaint."""
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list):
            return "is not there" if value is None else "has no list of labels"
        known = {_folded(label): label for label in self.behaviours}
        found = set[str]()
        for one in cast("list[Any]", values):
            label = known.get(_folded(one)) if isinstance(one, str) else None
            if label is None:
                return f"has {one!r:.40}, which is none of the labels"
            found.add(label)
        return tuple(label for label in self.behaviours if label in found)


def _folded(label: str) -> str:
    return "_".join(label.casefold().replace("-", " ").replace("_", " ").split())


def _schema(behaviours: Mapping[str, str], numbers: Sequence[int]) -> dict[str, Any]:
    label = {"type": "string", "enum": list(behaviours)}
    labels = {"type": "array", "items": label, "maxItems": MOST_LABELS}
    return {
        "type": "object",
        "properties": {f"{number}": labels for number in numbers},
        "required": [f"{number}" for number in numbers],
        "additionalProperties": False,
    }
