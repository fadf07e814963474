"""Answers of simulated studies with known effects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from convogen.study.answers import PairAnswer
from convogen.study.assignment import Assignment
from convogen.study.candidates import Candidate, StudyDialogue, candidate_pairs
from convogen.study.pairing import draw_pairs
from convogen.study.verdicts import PairVerdict, predicted

__all__ = [
    "LOG_ODDS",
    "Pool",
    "Study",
    "answered",
    "answers_of",
    "pool",
    "simulated",
    "true_rates",
]

LOG_ODDS = {"Llama-2": 0.7, "Mixtral": 0.25, "Vicuna": 1.25, "GPT4": 0.6}
"""Condition -> log odds of detection for people of average ability."""


@dataclass(frozen=True, slots=True)
class Study:
    """The columns of a study with one answer per row: participant, source person, and answer."""

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
    """Return a study with normally distributed effects of participants and source persons."""
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


@dataclass(frozen=True, slots=True)
class Pool:
    """Pairs that participants may see, and a judge's predictions for them.

    `odds` are, for each pair, the log odds that people of average ability do not detect it.
    """

    candidates: list[Candidate]
    odds: dict[str, float]
    verdicts: list[PairVerdict]

    def predicted(self) -> dict[str, float]:
        return predicted(self.verdicts, self.candidates)


OF_PAIRS = 2.5
"""Standard deviation of the log odds of pairs, because some are far easier than others."""


def pool(
    seed: int,
    *,
    persons: int = 30,
    goals: int = 10,
    log_odds: Mapping[str, float] = LOG_ODDS,
    of_persons: float = 0.4,
    of_pairs: float = OF_PAIRS,
    skill: float = 1.0,
    off: float = 0.0,
) -> Pool:
    """Return pairs of every condition, person and goal.

    Args:
        seed: Seed of all random draws.
        persons: Number of source persons.
        goals: Number of goals per source person.
        log_odds: Condition -> log odds of detection.
        of_persons: Standard deviation of the effects of source persons.
        of_pairs: Standard deviation of the effects of pairs.
        skill: Approximate correlation of the judge's log odds with the pair's, 0 to 1.
        off: Constant bias that is added to the judge's log odds.
    """
    draw = np.random.default_rng(seed)
    cells = [(f"s{p:02}", f"g{g}") for p in range(persons) for g in range(goals)]
    natural = [StudyDialogue(f"n {s} {g}", s, g, "bot") for s, g in cells]
    models = [StudyDialogue(f"{c} {s} {g}", s, g, "bot", c) for s, g in cells for c in log_odds]
    ease = {f"s{p:02}": float(draw.normal(0, of_persons)) for p in range(persons)}
    found = Pool(candidate_pairs(natural, models, seed), {}, [])
    for one in found.candidates:
        own = float(draw.normal(0, of_pairs))
        found.odds[one.id] = own - ease[one.source_person] - log_odds[one.condition]
        noise = float(draw.normal(0, OF_PAIRS)) * np.sqrt(1 - skill**2)
        guessed = skill * found.odds[one.id] + noise + off
        verdict = PairVerdict(
            one.condition, 1 / (1 + np.exp(-guessed)), one.id, None, one.source_person
        )
        found.verdicts.append(verdict)
    return found


def answered(
    of: Pool, seed: int, assignment: Assignment, *, participants: int = 20, each: int = 20
) -> list[PairAnswer]:
    """Return the answers of people with different abilities to pairs drawn from a pool."""
    draw = np.random.default_rng([seed, 1])
    codes = [f"p{at:02}" for at in range(participants)]
    ability = dict(zip(codes, draw.normal(0, 0.5, participants).tolist(), strict=True))
    pairs = draw_pairs(
        of.candidates, codes, each, seed=seed, assignment=assignment, predicted=of.predicted()
    )
    found: list[PairAnswer] = []
    for pair in pairs:
        odds = of.odds[pair.pair] - ability[pair.participant]
        undetected = draw.random() < 1 / (1 + np.exp(-odds))
        row = pair.model_dump() | {"choice": "unsure" if undetected else pair.artificial_side}
        found.append(PairAnswer(**row, confidence="confident", utterance=1, seconds=30.0))
    return found


def true_rates(
    log_odds: Mapping[str, float] = LOG_ODDS,
    *,
    deviations: tuple[float, ...] = (0.5, 0.4, OF_PAIRS),
) -> dict[str, float]:
    """Return each condition's share of undetected pairs over all people, persons and pairs."""
    total = float(np.sqrt(np.sum(np.square(deviations))))
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()
    return {
        name: float(weights @ (1 / (1 + np.exp(odds + total * points))))
        for name, odds in log_odds.items()
    }
