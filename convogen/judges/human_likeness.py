"""Shared parts of the judges of human likeness: rendering dialogues and parsing verdicts.

Utterances are numbered, one per line. Line breaks within an utterance are replaced by a mark, so
one utterance cannot pass for several. In a dialogue between a person and a chatbot, only the
person's utterances are judged; without a chatbot, all utterances are judged.
"""

from __future__ import annotations

import hashlib
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from pydantic import Field

from convogen.errors import ModelFault
from convogen.generation.structured_output import find_json
from convogen.judges.base import Judge, JudgeInput, excerpt, fault_reason
from convogen.models.base import Message, Sampling, printable
from convogen.models.traffic.session import Session, SessionReply
from convogen.records import Experience, Score, Turn
from convogen.text.lengths import BoundedText, Words, is_cut, lacks_end, trimmed
from convogen.text.objects import NoObject, find_object

__all__ = [
    "CHATBOTS",
    "REASON",
    "Choice",
    "Paired",
    "TuringJudge",
    "drawn_place",
    "in_question",
    "numbered",
    "read_choice",
    "read_place",
]

CHATBOTS = frozenset({"assistant", "bot", "gpt", "chatgpt", "model", "chatbot"})
"""Speakers known to be machines, in lower case."""

REASON = Words(60)
"""The requested length of a reason."""

LINE_BREAK = " ⏎ "
"""The replacement for a line break within an utterance, which the prompts explain."""

_SHORTER = 4
_SHORTEST = 100
_LONGEST_NAME = 40
_LONGEST_REPLY = 2_000
_AROUND = " .!*\"'`"
_PLACE = re.compile(r"(?:utterance )?[\[(#]?(\d{1,9})(?:\.0+)?[\])]?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Choice:
    """A parsed verdict."""

    choice: str
    index: int | None
    reason: str


class TuringJudge(Judge):
    """The base class of judges that reply with a choice and a reason."""

    sampling: ClassVar[Sampling] = Sampling()
    prompt_names: ClassVar[tuple[str, ...]] = ("verdict",)
    choices: ClassVar[tuple[str, ...]]
    """The allowed choices."""

    aspect: ClassVar[str]
    """The only aspect that is scored: 1 if it applies, otherwise 0."""

    asking: Sampling = Sampling(temperature=0.0, max_tokens=400)
    reasks: int = Field(
        default=1, ge=0, le=10, description="maximum number of retries after an unusable reply"
    )
    reason_first: bool = Field(
        default=False,
        description="whether the judge states its reason before its choice; in the paper, the "
        "reason comes after the choice",
    )
    utterance_chars: int = Field(
        default=4_000,
        ge=_SHORTEST,
        description="maximum number of characters of an utterance that are shown to the judge; "
        "reduced to a quarter, repeatedly if necessary, if the request does not fit into the "
        "model's context",
    )

    @property
    def highest(self) -> float:
        return 1.0

    def aspects(self, experience: Experience | None) -> tuple[str, ...]:
        del experience
        return (self.aspect,)

    @abstractmethod
    def shown(self, judged: JudgeInput, longest: int) -> list[Message]:
        """Return the request, with utterances cut to `longest` characters."""

    @abstractmethod
    def scored(self, judged: JudgeInput, verdict: Choice) -> dict[str, Any]:
        """Return the fields of the score that follow from a verdict."""

    def indices(self, judged: JudgeInput) -> list[int]:
        """Return the numbers of the utterances that a verdict may name; empty if verdicts name no
        utterances."""
        del judged
        return []

    async def judge(self, session: Session, judged: JudgeInput, aspect: str) -> Score:
        empty = Score(conversation=judged.conversation.id, judge=self.name, aspect=aspect)
        longest, fields = self.utterance_chars, {}
        for _ in range(_SHORTER):
            try:
                read = await self._ask(session, self.shown(judged, longest), self.indices(judged))
            except ModelFault as fault:
                fields = {"reason": fault_reason(fault)}
                if fault.kind != "context_length" or longest == _SHORTEST:
                    break
                longest = max(_SHORTEST, longest // 4)
                continue
            if isinstance(read, str):
                fields = {"reason": read}
                break
            fields = {**self.scored(judged, read), "explanation": read.reason or None}
            if longest < self.utterance_chars:
                fields["reason"] = f"utterances shown up to {longest} characters"
            break
        return empty.model_copy(update=fields)

    async def _ask(
        self, session: Session, asked: list[Message], indices: Sequence[int]
    ) -> Choice | str:
        """Return a verdict, or a complaint about the last reply.

        If the reason for a verdict was cut off, the verdict is requested once more. If the second
        verdict is no better, the first verdict is kept with the complete sentences of its reason.
        """
        schema = _schema(self.choices, indices, self.reason_first)
        complaint, asking = "", asked
        verdict: Choice | None = None
        for _ in range(1 + self.reasks):
            answer = await session.ask(self.role, asking, schema=schema, sampling=self.asking)
            read = read_choice(_closed(answer), self.choices, indices)
            if isinstance(read, str):
                complaint = read
            elif not _reason_is_cut(read, answer):
                return read
            else:
                complaint = BoundedText(("reason",), read.reason, REASON.max_chars).complaint()
                if verdict is not None:
                    break
                verdict = replace(read, reason=trimmed(read.reason))
            again = f"That cannot be used: {complaint}. Answer with the object alone."
            shown = answer.text[:_LONGEST_REPLY].strip()
            refused = [Message("assistant", shown), Message("user", again)] if shown else []
            asking = [*asked, *refused]
        return verdict or complaint


class Paired(TuringJudge):
    """The base class of judges that compare two dialogues on the same seed."""

    needs: ClassVar[Literal["experience", "reference"] | None] = "reference"

    def place(self, judged: JudgeInput) -> Literal[1, 2]:
        """Return the position, 1 or 2, at which the judged dialogue is shown."""
        raise NotImplementedError

    def shown(self, judged: JudgeInput, longest: int) -> list[Message]:
        both = [judged.reference, judged.conversation.turns]
        if self.place(judged) == 1:
            both.reverse()
        first, second = (numbered(turns, longest) for turns in both)
        return self.prompts["verdict"].render(
            first=first, second=second, words=REASON, reason_first=self.reason_first
        )


def drawn_place(seed: int, conversation: str) -> Literal[1, 2]:
    """Return a pseudo-random position for a conversation, which is the same for every judge."""
    digest = hashlib.blake2b(f"{seed}/{conversation}".encode(), digest_size=1).digest()
    return 1 if digest[0] % 2 else 2


def numbered(turns: Sequence[Turn], longest: int) -> str:
    """Return a dialogue as text for judges, with its utterances numbered from 1, one per line.

    Line breaks within an utterance become `LINE_BREAK`.
    """
    lines = zip(_labels(turns), turns, strict=True)
    return "\n".join(
        f"[{at}] {label}: {_clipped(turn.text, longest)}"
        for at, (label, turn) in enumerate(lines, 1)
    )


def in_question(turns: Sequence[Turn]) -> list[int]:
    """Return the numbers of the utterances that are attributed to a person, or the numbers of
    all utterances if none is."""
    machine = [turn.speaker.casefold() in CHATBOTS for turn in turns]
    if all(machine):
        return list(range(1, len(turns) + 1))
    return [at for at, one in enumerate(machine, 1) if not one]


def _labels(turns: Sequence[Turn]) -> list[str]:
    """Return the labels Human and Chatbot if one person talks to a chatbot; otherwise, return the
    speakers' names."""
    people = {turn.speaker for turn in turns if turn.speaker.casefold() not in CHATBOTS}
    if len(people) != 1 or len(people) == len({turn.speaker for turn in turns}):
        return [_clipped(turn.speaker, _LONGEST_NAME) for turn in turns]
    return ["Human" if turn.speaker in people else "Chatbot" for turn in turns]


def _clipped(text: str, longest: int) -> str:
    lines = (" ".join(part.split()) for part in text.strip().splitlines())
    line = " ".join(LINE_BREAK.join(lines).split())
    return line if len(line) <= longest else f"{line[:longest]} […]"


def _schema(choices: Sequence[str], indices: Sequence[int], reason_first: bool) -> dict[str, Any]:
    """Return the JSON Schema for a verdict, with its keys in the order in which the model should
    write them."""
    verdict: dict[str, Any] = {"choice": {"type": "string", "enum": list(choices)}}
    if indices:
        number = {"type": "integer", "enum": list(indices)}
        verdict["index"] = {"anyOf": [number, {"type": "null"}]}
    reason = {"reason": {"type": "string", "maxLength": REASON.max_chars}}
    properties = reason | verdict if reason_first else verdict | reason
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_choice(text: str, choices: Sequence[str], indices: Sequence[int]) -> Choice | str:
    """Return the verdict in a reply, or a complaint about the reply.

    If `indices` is not empty, the first of `choices` must be accompanied by one of the indices; the
    other choices need no index.
    """
    try:
        verdict = find_object(text, ["choice"])
    except NoObject as fault:
        why = "it was cut off" if fault.unclosed else f"{fault}"
        return f"{why}: {excerpt(text)!r}"
    raw_choice = verdict.get("choice")
    known = {choice.casefold(): choice for choice in choices}
    word = (
        " ".join(raw_choice.strip(_AROUND).split()).casefold()
        if isinstance(raw_choice, str)
        else ""
    )
    choice = known.get(word)
    if choice is None:
        return f"choice {raw_choice!r:.60}; allowed: {', '.join(choices)}"
    index = None
    if indices and choice == choices[0]:
        index = read_place(verdict.get("index"))
        if index not in indices:
            raw_index: Any = verdict.get("index")
            allowed = ", ".join(map(str, indices))
            return f"index {raw_index!r:.60} with {choice}; allowed: {allowed:.200}"
    reason = verdict.get("reason")
    reason = printable(reason).strip() if isinstance(reason, str) else ""
    if len(reason) > _LONGEST_REPLY:
        reason = trimmed(reason[:_LONGEST_REPLY])
    return Choice(choice, index, reason)


def _closed(answer: SessionReply) -> str:
    """Return the text of a reply, with its JSON object closed if the last string was truncated."""
    text = answer.text
    cut = answer.cut_off and find_json(text) is None
    return f'{text}"}}' if cut and find_json(f'{text}"}}') else text


def _reason_is_cut(verdict: Choice, answer: SessionReply) -> bool:
    at_its_bound = is_cut(verdict.reason, REASON.max_chars)
    return at_its_bound or (answer.cut_off and lacks_end(verdict.reason))


def read_place(value: Any) -> int | None:
    """Return the number of the utterance that a reply names; None if the reply names no utterance
    or several."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        place = _PLACE.fullmatch(" ".join(value.strip(_AROUND).split()))
        return int(place[1]) if place else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) else None
