"""Manually labelled conversations in `tests/data/interaction`, and what the rules find in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from convogen.inputs.yaml12 import read_yaml
from convogen.interaction.analysis import Interaction, analyse
from convogen.interaction.patterns import BEHAVIOURS
from convogen.metrics.agreement import cohen_kappa

DATA = Path(__file__).parents[1] / "data" / "interaction"


@dataclass(frozen=True)
class Agreement:
    """Shares of turns on which the rules and the labels agree, and Cohen's kappa by behaviour."""

    conversations: int
    turns: int
    addressee: float
    previous_speaker: float
    reply_to: float
    kappa: dict[str, float]
    labelled: dict[str, int]
    told: dict[str, int]
    pooled_kappa: float

    def __str__(self) -> str:
        lines = [
            f"{self.conversations} conversations, {self.turns} turns: addressee "
            f"{self.addressee:.3f} (previous speaker: {self.previous_speaker:.3f}), reply-to "
            f"{self.reply_to:.3f}, behaviours: kappa {self.pooled_kappa:.2f} pooled"
        ]
        lines += [
            f"  {name:17} {self.labelled[name]:3} labelled {self.told[name]:3} told   "
            f"kappa {self.kappa[name]:.2f}"
            for name in BEHAVIOURS
        ]
        return "\n".join(lines)


def conversations(name: str) -> Iterator[tuple[list[dict[str, Any]], Interaction]]:
    """Yield the labelled turns of each conversation in a file, and what the rules find in it."""
    for one in read_yaml(DATA / f"{name}.yaml"):
        turns = one["turns"]
        addressed = [to for turn in turns for to in _names(turn["to"])]
        people = [name for name in addressed if name != "all"]
        speakers, texts = [turn["by"] for turn in turns], [turn["text"] for turn in turns]
        yield turns, analyse(speakers, texts, people)


def agreement(name: str) -> Agreement:
    """Return the agreement of the rules with the labels in a file."""
    addressee, previous, reply = list[bool](), list[bool](), list[bool]()
    labelled = {name: list[int]() for name in BEHAVIOURS}
    told = {name: list[int]() for name in BEHAVIOURS}
    count = 0
    for turns, found in conversations(name):
        count += 1
        for index, (turn, address) in enumerate(zip(turns, found.addresses, strict=True)):
            others = {*found.people} - {turn["by"]}
            right = others if turn["to"] == "all" else {*_names(turn["to"])}
            addressee.append({*address.to} == right)
            reply.append(address.reply_to == turn.get("re"))
            before = turns[index - 1]["by"] if index else turn["by"]
            previous.append((others if before == turn["by"] else {before}) == right)
            assert found.behaviours is not None
            for behaviour in BEHAVIOURS:
                labelled[behaviour].append(behaviour in turn.get("does", []))
                told[behaviour].append(behaviour in found.behaviours[index])
    return Agreement(
        count,
        len(addressee),
        float(np.mean(addressee)),
        float(np.mean(previous)),
        float(np.mean(reply)),
        {one: _kappa(labelled[one], told[one]) for one in BEHAVIOURS},
        {one: sum(labelled[one]) for one in BEHAVIOURS},
        {one: sum(told[one]) for one in BEHAVIOURS},
        _kappa([*chain(*labelled.values())], [*chain(*told.values())]),
    )


def _names(to: str | list[str]) -> list[str]:
    return [to] if isinstance(to, str) else to


def _kappa(labels: list[int], rules: list[int]) -> float:
    return float(cohen_kappa(np.array(labels, int), np.array(rules, int)))
