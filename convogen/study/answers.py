"""Answers from people who were shown a natural and a simulated dialogue side by side."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Choice", "Confidence", "Pair", "PairAnswer", "Side"]

Side = Literal["left", "right"]
Choice = Literal["left", "right", "unsure"]
Confidence = Literal["somewhat", "confident", "very"]


class Pair(BaseModel):
    """A natural and a simulated dialogue as shown to one participant.

    Both dialogues have the same source person, goal and responder (LLM Roleplay, section 3.4).

    Attributes:
        pair: The id of the pair within the study.
        participant: The name of the participant who sees the pair, such as r01.
        source_person: The id of the person whose natural dialogue is shown.
        goal: The name of the goal that both dialogues pursue.
        condition: The simulator of the artificial dialogue, for example the inquirer's model.
        natural: The id of the natural dialogue.
        simulated: The id of the simulated dialogue.
        artificial_side: The side on which the simulated dialogue is shown.
        probability: The probability with which this pair was drawn, above 0 and at most 1.
        attention_check: Whether the simulated dialogue tells the reader to choose it, to check that
            dialogues are read. Answers to attention checks are excluded from results.
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
    """A participant's judgement of which dialogue in a pair is artificial.

    Attributes:
        choice: The side of the dialogue judged artificial, or `unsure`.
        confidence: The participant's confidence, which is required even if the choice is `unsure`.
        utterance: Number of the exchange that revealed the artificial dialogue, counted from 1;
            optional if the choice is `unsure`.
        seconds: Seconds from the page's first delivery to the answer's arrival, measured on the
            server.
        answered_at: The time of the answer in UTC, in ISO 8601 format.
    """

    choice: Choice
    confidence: Confidence
    utterance: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    seconds: Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]  # squares are summed
    answered_at: str = ""

    @model_validator(mode="after")
    def _an_utterance_is_named_unless_unsure(self) -> Self:
        if self.utterance is None and self.choice != "unsure":
            raise ValueError("utterance: is missing; it is optional only if the choice is unsure")
        return self

    @property
    def detected(self) -> bool:
        """Whether the simulated dialogue was chosen; `unsure` counts as undetected."""
        return self.choice == self.artificial_side
