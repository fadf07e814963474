"""The records of convogen: what is written to a run folder and read from any corpus.

All are frozen; a committed record never changes. Fields are written in a fixed order, so that equal
records have equal bytes. `task` is a record's index in the plan of its run. Records contain no
times; those are in the ledger.
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
"""Values of `ended` for conversations that no fault cut short."""


class Record(BaseModel):
    """Base of all records: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_line(self) -> bytes:
        """Return the record as one line of JSON in UTF-8, ending in a newline."""
        return self.model_dump_json(exclude_none=True).encode() + b"\n"


class Usage(Record):
    """Tokens of one or more model calls."""

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
    """Return a text field of a card: `most` words are requested, 500 characters accepted."""
    return Words(most).field(about, longest=500)


class PersonaCard(Record):
    """What makes a person who they are (ConvoGen, section II-C-1).

    To add a field, add it here with its description and to the cards in `experiences/`: the
    generator's prompt and schema, the shots and the agents all pick it up from this class. A
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
    """A person in a conversation: a structured card, or the free text of a hub.

    `source` says where the persona came from, and `licence` the terms of its use. A persona built
    from sociodemographic `features` has all of them, including those that `text` does not mention.
    `id` is the same in all runs that include the same person.
    """

    name: Annotated[str, Field(min_length=1, max_length=80)]
    card: PersonaCard | None = None
    text: str | None = None
    source: str = "generated"
    licence: str | None = None
    id: str | None = None
    features: dict[str, str] | None = None


class Profile(Record):
    """A persona of a hub, not yet in a conversation: its name may still be missing."""

    name: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    card: PersonaCard | None = None
    text: str | None = None
    source: str
    licence: str | None = None

    def named(self, name: str) -> Persona:
        """Return the persona with a name; everything else is as in the hub."""
        return Persona(
            name=name, card=self.card, text=self.text, source=self.source, licence=self.licence
        )


class Starter(Record):
    """The utterance that opens a conversation, and the persona who says it."""

    speaker: str
    text: str


class Experience(Record):
    """A group of related personas and a situation that brings them together to talk.

    `acquainted` says whether the people know one another beforehand. If it is None, that depends on
    their origin: generated people do, and people from a hub or a data set do not. `shots` names the
    experiences shown to the generator. `admitted` says whether this experience entered the few-shot
    hub (None if the hub does not grow), and `similarity` (0 to 1) how close it is to the nearest
    experience it was compared with. `repairs` lists corrections to the model's reply, and `reasks`
    the reasons for rejecting earlier replies. `plan` holds results of its task that other tasks
    use, in the method's format. `language` is the BCP 47 tag of the requested language; None if
    none was requested.
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
    """How a group chat's manager chose the speaker of a turn.

    `reply` is the selector's raw response; None if only one person could speak. `repair` names the
    fallback that was used if the response did not name exactly one candidate; otherwise None.
    """

    candidates: list[str]
    reply: str | None = None
    repair: str | None = None
    request: str | None = None
    usage: Usage | None = None
    left_out: int | None = None


class Turn(Record):
    """One utterance with its provenance.

    `origin` is `starter` for an opening, `agent` for a model's utterance, `human` for a study
    participant's, `script` for an utterance of a dialogue written in one reply, and None for a turn
    of a corpus. `reasks` lists the faults of rejected attempts at this turn, and `tidied` what was
    removed from the reply to get `text`. `request` is the hash of the request that `text` answered.
    `target_words` is the requested number of words; None if no length was requested. `lapse` is the
    fault of an utterance that was kept because no attempt was better. If several candidate replies
    were requested, `candidates` has the fault of each, empty if it has none. `faults` are those of
    the output that the utterance was extracted from, for methods that count them. `addressee` is
    the name of the person addressed, or `all`; None if it was not requested or not stated.

    To fit the model's context, the reply was limited to `capped_at` tokens, and the oldest
    `left_out` exchanges (in a group chat: turns) were not shown; None if neither was necessary.
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
    """A label of a conversation (summary, topic, intent) or a list of labels, one per turn
    (emotion).

    `planned` is the label that the conversation was meant to get, `check` how `value` was checked.
    `reasks` lists why earlier replies were rejected, `request` is the hash of the request for the
    accepted one.
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

    `ended` says why it stopped: one of `PROPER_ENDS` (`complete` if it was written to its end in
    one reply; `concluded` or `goal` if a simulated person had what it wanted), or the fault that
    cut it short, such as `refusal` or `echo`. In the latter case `refused` has the faults of all
    attempts at the missing turn. `context` holds what the conversation is grounded in (topic,
    situation, relations), or a corpus' own labels. `labelled` has the labels that a model assigned,
    by kind. `usage` is the total over the conversation's own calls. `language` is the BCP 47 tag of
    the language that was requested or that a corpus states; None if unknown.
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
    """A task without a conversation: the stage, the kind of fault, and the evidence.

    `experience` is the id of the task's experience, if it has one. `counts` has the method's counts
    over the task's outputs, if the method counts any.
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
    """A finished conversation that a gate rejected, kept in full; `id` is the conversation's.

    `value` is what the gate decided on: a number such as a similarity or a score, or a string such
    as an entry of a word list; None if nothing could be measured.
    """

    id: str
    task: int
    gate: str
    reason: str
    value: float | str | None = None
    conversation: Conversation


class Score(Record):
    """A judge's or metric's value for one conversation and aspect; None if `reason` says why.

    `method` says how the value was obtained: weighted by the probabilities of the score tokens
    (`logprobs`), or as the mean of sampled replies (`samples`). `distribution` has the share of
    each score, summing to 1. `mass` is the total probability of all score tokens (0 to 1) before
    this normalisation. If there is a value, `reason` says what was left out of it.

    For a protocol that asks for a choice, `choice` is that choice, and `index` (from 1) is the
    utterance it rests on. If two dialogues were shown, `place` (1 or 2) is the position of the
    judged one; `choice` is recorded as if that position had been the second (`gteval`) or `A`
    (`arena`).

    For a protocol that labels turns, `turn_labels` has the labels of each turn: None if the turn
    was not labelled, an empty list if no label applies.
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
