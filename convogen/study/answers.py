"""The answers of people who were shown a natural and a simulated dialogue side by side."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Choice", "Confidence", "Pair", "PairAnswer", "Side"]

Side = Literal["left", "right"]
Choice = Literal["left", "right", "unsure"]
Confidence = Literal["somewhat", "confident", "very"]


class Pair(BaseModel):
    """A natural and a simulated dialogue as shown to one participant.

    Both are of the same source person, goal and responder (LLM Roleplay, section 3.4).

    Attributes:
        pair: The id of the pair within the study.
        participant: The code of the person who is shown it.
        source_person: The code of the person whose natural dialogue is shown.
        goal: The id of the goal that both dialogues pursue.
        condition: The simulator of the artificial dialogue, for example the inquirer's model.
        natural: The id of the natural dialogue.
        simulated: The id of the simulated dialogue.
        artificial_side: Side of the simulated dialogue.
        probability: The probability with which this pair was drawn, above 0 and at most 1.
        attention_check: Whether the simulated dialogue asks the reader to choose it, to check that
        dialogues are read; such answers are excluded from results.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: str
    participant: str
    source_person: str
    goal: str
    condition: str
    natural: str
    simulated: str
    artificial_side: Side
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0
    attention_check: bool = False


class PairAnswer(Pair):
    """A participant's choice of the artificial dialogue of a pair.

    Attributes:
        choice: The chosen dialogue.
        confidence: The participant's confidence; also asked after `unsure`.
        utterance: Number of the exchange that revealed the simulated dialogue, counted from 1; may
            be missing after `unsure`.
        seconds: From the page's delivery to the answer's arrival, measured on the server.
        answered_at: The time of the answer, ISO 8601 in UTC.
    """

    choice: Choice
    confidence: Confidence
    utterance: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seconds: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]  # squares are summed
    answered_at: str = ""

    @model_validator(mode="after")
    def _an_utterance_is_named_unless_unsure(self) -> Self:
        if self.utterance is None and self.choice != "unsure":
            raise ValueError("utterance: missing; it may be missing only after the choice unsure")
        return self

    @property
    def detected(self) -> bool:
        """Whether the simulated dialogue was chosen; `unsure` counts as undetected."""
        return self.choice == self.artificial_side
