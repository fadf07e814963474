"""The records that convogen writes to run folders and reads from corpora.

All records are frozen, and a record that has been written never changes. Fields are written in a
fixed order, so that equal records have equal bytes. `task` is the index of the record's task in the
plan of the run. Records contain no times; times are in the ledger.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from convogen.inputs.keys import no_boolean
from convogen.text.lengths import Words

__all__ = [
    "PROPER_ENDS",
    "Conversation",
    "Experience",
    "Failure",
    "Label",
    "Persona",
    "PersonaCard",
    "Profile",
    "Record",
    "Rejected",
    "Score",
    "Selection",
    "Starter",
    "Turn",
    "Usage",
]


PROPER_ENDS = frozenset(("max_turns", "farewell", "complete", "concluded", "goal", "thanking"))
"""Values of `ended` for conversations that were not cut short by a fault."""


class Record(BaseModel):
    """Base class of all records, which are frozen and accept no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_line(self) -> bytes:
        """Return the record as one line of JSON in UTF-8, including the newline."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class Usage(Record):
    """Token counts for one or more model calls."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
        )

    def __sub__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens - other.prompt_tokens,
            completion_tokens=self.completion_tokens - other.completion_tokens,
            cached_tokens=self.cached_tokens - other.cached_tokens,
        )


def _line(most: int, about: str) -> Any:
    """Return a text field of a card; up to `most` words are requested, and 500 characters are
    accepted."""
    return Words(most).field(about, longest=500)


class PersonaCard(Record):
    """The structured description of a person (ConvoGen, section II-C-1).

    To add a field, define it here with a description and add it to the cards in `experiences/`. The
    generator's prompt and schema, the shots and the agents take their fields from this class. Each
    description ends with the number of words requested.
    """

    age: Annotated[int, BeforeValidator(no_boolean)] = Field(
        ge=1, le=110, description="age in years"
    )
    gender: str = _line(3, "gender")
    qualities: list[Annotated[str, _line(3, "a trait")]] = Field(
        min_length=2, max_length=4, description=f"two to four traits of character, each {Words(3)}"
    )
    lifestyle: str = _line(20, "what fills their days: work or school, home, a habit or hobby")
    speech_style: str = _line(15, "how they talk: rhythm, pet words, how direct they are")
    recent_memory: str = _line(25, "something of the last few days that is on their mind")
    long_term_memory: str = _line(25, "something from long ago that still shapes what they do")


class Persona(Record):
    """A person in a conversation, described by a structured card or by free text from a hub.

    `source` says where the persona comes from, and `licence` gives the terms of its use. If the
    persona was built from sociodemographic `features`, all of them are listed, including those that
    `text` does not mention. `id` is the same in all runs that include the same person.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)]
    card: PersonaCard | None = None
    text: str | None = None
    source: str = "generated"
    licence: str | None = None
    id: str | None = None
    features: dict[str, str] | None = None


class Profile(Record):
    """A persona from a hub that is not yet part of a conversation; the name may be missing."""

    name: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    card: PersonaCard | None = None
    text: str | None = None
    source: str
    licence: str | None = None

    def named(self, name: str) -> Persona:
        """Return the profile as a persona with this name."""
        return Persona(
            name=name, card=self.card, text=self.text, source=self.source, licence=self.licence
        )


class Starter(Record):
    """The utterance that opens a conversation, and its speaker."""

    speaker: str
    text: str


class Experience(Record):
    """A group of related personas and a situation that brings them together to talk.

    `acquainted` says whether the people know one another beforehand. None means that generated
    personas know one another, and that personas from a hub or a data set do not. `shots` names the
    experiences shown to the generator. `admitted` says whether this experience entered the few-shot
    hub (None if the hub does not grow). `similarity` (0 to 1) is the similarity to the nearest of
    the experiences that this one was compared with. `repairs` lists corrections to the model's
    reply, and `reasks` the reasons for rejecting earlier replies. `plan` contains those results of
    the task that other tasks use, in the method's format. `language` is the BCP 47 tag of the
    requested language; None if no language was requested.
    """

    id: str
    task: int | None = None
    personas: list[Persona]
    relations: str
    situation: str
    topic: str
    starter: Starter
    acquainted: bool | None = None
    shots: list[str] = Field(default_factory=list)
    admitted: bool | None = None
    similarity: float | None = None
    repairs: list[str] = Field(default_factory=list)
    reasks: list[str] = Field(default_factory=list)
    plan: list[dict[str, Any]] | None = None
    language: str | None = None
    model: str | None = None
    usage: Usage | None = None


class Selection(Record):
    """A record of how the manager of a group chat chose the speaker of a turn.

    `reply` is the selector's raw reply; None if only one person could speak. `repair` names the
    fallback that was used if the reply did not name exactly one candidate; otherwise None.
    """

    candidates: list[str]
    reply: str | None = None
    repair: str | None = None
    request: str | None = None
    usage: Usage | None = None
    left_out: int | None = None


class Turn(Record):
    """One utterance with its provenance.

    `origin` is `starter` for an opening, `agent` for an utterance by a model, `human` for an
    utterance by a study participant, `script` for an utterance from a dialogue written in one
    reply, and None for a turn from a corpus. `reasks` lists the faults of rejected attempts at this
    turn, and `tidied` lists what was removed from the reply to get `text`. `request` is the hash of
    the request that `text` answered. `target_words` is the requested number of words; None if no
    length was requested. `lapse` is the fault in an utterance that was kept because no other
    attempt was better. If several candidate replies were requested, `candidates` lists the fault of
    each, or an empty string for a reply without a fault. For methods that count faults, `faults`
    lists the faults of the output that the utterance was extracted from. `addressee` is the name of
    the person addressed, or `all`; None if it was not requested or not stated.

    If the conversation did not fit the model's context, the reply was limited to `capped_at`
    tokens, or the oldest `left_out` exchanges (in a group chat: turns) were not shown. Each of the
    two fields is None if the measure was not necessary.
    """

    speaker: str
    text: str
    origin: Literal["starter", "agent", "script", "human"] | None = None
    model: str | None = None
    request: str | None = None
    usage: Usage | None = None
    selection: Selection | None = None
    reasks: list[str] = Field(default_factory=list)
    tidied: list[str] = Field(default_factory=list)
    target_words: int | None = None
    lapse: str | None = None
    candidates: list[str] = Field(default_factory=list)
    faults: list[str] | None = None
    capped_at: int | None = None
    left_out: int | None = None
    addressee: str | None = None


class Label(Record):
    """A label for a conversation (summary, topic, intent), or a list with one label per turn
    (emotion).

    `planned` is the label that the conversation was meant to have, and `check` says how `value` was
    checked. `reasks` lists the reasons for rejecting earlier replies, and `request` is the hash of
    the request that received the accepted reply.
    """

    value: Any
    planned: Any = None
    check: str
    reasks: list[str] = Field(default_factory=list)
    model: str | None = None
    request: str | None = None
    usage: Usage | None = None


class Conversation(Record):
    """A conversation, generated by convogen or read from a corpus.

    `ended` says why the conversation stopped: one of `PROPER_ENDS`, or the fault that cut it short,
    such as `refusal` or `echo`. `complete` means that the whole conversation was written in one
    reply; `concluded` and `goal` mean that a simulated person had reached their goal. If a fault
    cut the conversation short, `refused` lists the faults of all attempts at the missing turn.
    `context` contains the grounding of the conversation (topic, situation, relations), or the
    labels of a corpus. `labelled` maps each kind of label to the label that a model assigned.
    `usage` is the total token usage of the conversation's own model calls. `language` is the BCP 47
    tag of the language that was requested or that a corpus states; None if unknown.
    """

    id: str
    task: int | None = None
    method: str | None = None
    experience: str | None = None
    participants: list[str] = Field(default_factory=list)
    context: dict[str, Any] = Field(default_factory=dict)
    language: str | None = None
    turns: list[Turn]
    labelled: dict[str, Label] | None = None
    ended: str | None = None
    refused: list[str] = Field(default_factory=list)
    usage: Usage | None = None


class Failure(Record):
    """A task that ended without a conversation, with the stage, the kind of fault and the evidence.

    `experience` is the id of the task's experience, if the task has one. `counts` contains counts
    for the task's outputs, if the method counts anything.
    """

    id: str
    task: int
    experience: str | None = None
    stage: str
    kind: str
    message: str
    evidence: str = ""
    counts: dict[str, int] | None = None
    usage: Usage | None = None


class Rejected(Record):
    """A finished conversation that a gate rejected, kept in full under the same `id`.

    `value` is the value that the gate based its decision on: a number such as a similarity or a
    score, or a string such as an entry of a word list. It is None if nothing could be measured.
    """

    id: str
    task: int
    gate: str
    reason: str
    value: float | str | None = None
    conversation: Conversation


class Score(Record):
    """A value from a judge or metric for one conversation and one aspect.

    If `value` is None, `reason` says why; otherwise `reason` says what was left out of the value.
    `method` says how the value was obtained: as the mean weighted by the probabilities of the score
    tokens (`logprobs`), or as the mean over sampled replies (`samples`). `distribution` gives the
    share of each score; the shares sum to 1. `mass` is the total probability of all score tokens (0
    to 1) before normalisation.

    For a protocol that asks for a choice, `choice` is that choice, and `index` (from 1) is the
    number of the utterance that it is based on. If two dialogues were shown, `place` (1 or 2) is
    the position of the judged dialogue; `choice` is recorded as if that position had been the
    second (`gteval`) or `A` (`arena`).

    For a protocol that labels turns, `turn_labels` contains the labels of each turn: None if the
    turn was not labelled, and an empty list if no label applies.
    """

    conversation: str
    judge: str
    aspect: str
    value: float | None = None
    method: Literal["logprobs", "samples"] | None = None
    distribution: dict[str, float] | None = None
    mass: float | None = None
    choice: str | None = None
    index: int | None = None
    place: Literal[1, 2] | None = None
    turn_labels: tuple[tuple[str, ...] | None, ...] | None = None
    explanation: str | None = None
    reason: str | None = None
