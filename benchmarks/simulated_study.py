"""Answers of simulated studies, in which the effects are known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convogen.study.answers import PairAnswer

__all__ = ["LOG_ODDS", "Study", "answers_of", "simulated"]

LOG_ODDS = {"Llama-2": 0.7, "Mixtral": 0.25, "Vicuna": 1.25, "GPT4": 0.6}
"""Condition -> log odds of detection for people of no particular ability."""


@dataclass(frozen=True, slots=True)
class Study:
    """One answer per row: who answers, about whom, and what."""

    participants: list[str]
    persons: list[str]
    conditions: list[str]
    detected: list[bool]
    utterances: list[float]

    def groups(self) -> dict[str, list[str]]:
        return {"participant": self.participants, "source person": self.persons}


def simulated(
    seed: int,
    *,
    participants: int = 20,
    persons: int = 20,
    each: int = 40,
    log_odds: Mapping[str, float] = LOG_ODDS,
    of_participants: float = 0.6,
    of_persons: float = 0.4,
) -> Study:
    """Return a study whose log odds have normal effects of participants and of source persons."""
    draw = np.random.default_rng(seed)
    ability = draw.normal(0, of_participants, participants)
    ease = draw.normal(0, of_persons, persons)
    names = list(log_odds)
    rows = Study([], [], [], [], [])
    for who in range(participants):
        about = [at % persons for at in range(who, who + each)]
        draw.shuffle(about)
        for nth, whom in enumerate(about):
            condition = nth % len(names)
            effect = float(ability[who] + ease[whom])
            odds = log_odds[names[condition]] + effect
            rows.participants.append(f"p{who:02}")
            rows.persons.append(f"s{whom:02}")
            rows.conditions.append(names[condition])
            rows.detected.append(bool(draw.random() < 1 / (1 + np.exp(-odds))))
            rows.utterances.append(float(1 + condition + effect / 2 + draw.normal(0, 1.2)))
    return rows


def answers_of(study: Study, *, probability: float = 1.0) -> list[PairAnswer]:
    """Return the records of a study's answers."""
    columns = (study.participants, study.persons, study.conditions, study.detected)
    return [
        PairAnswer(
            pair=f"pair-{at}",
            participant=who,
            source_person=whom,
            goal=f"g{at}",
            condition=condition,
            natural=f"n-{whom}-{at}",
            simulated=f"{condition}-{whom}-{at}",
            artificial_side="left" if at % 2 else "right",
            choice=("left" if at % 2 else "right") if detected else "unsure",
            confidence=("somewhat", "confident", "very")[at % 3],
            utterance=max(1, round(study.utterances[at])),
            seconds=20 + at % 90,
            probability=probability,
        )
        for at, (who, whom, condition, detected) in enumerate(zip(*columns, strict=True))
    ]
