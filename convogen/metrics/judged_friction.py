"""Behaviours labelled by the `friction` judge, and the judge's agreement with the rules."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from convogen.errors import RunFolderError
from convogen.interaction.analysis import analyse
from convogen.interaction.patterns import BEHAVIOURS
from convogen.metrics.agreement import cohen_kappa
from convogen.metrics.friction import BehaviourTally, Friction
from convogen.records import Conversation, Score
from convogen.storage.run_folder import Run
from convogen.storage.score_store import scores_manifest
from convogen.text.identify import language_of

__all__ = ["JUDGE", "BehaviourAgreement", "JudgedFriction", "judged_friction"]

JUDGE = "friction"
"""The name of the judge that labels turns."""

_OF_THE_DATA = ("dialogues", "beside")
"""Keys in a judge's manifest that describe the data, not the judge."""

TurnLabels = Sequence[Sequence[str] | None]


@dataclass(frozen=True, slots=True)
class BehaviourAgreement:
    """Agreement between the rules and a judge on a behaviour.

    Attributes:
        turns: Number of turns that both labelled.
        rules: Number of these turns that have the behaviour according to the rules.
        judge: Number of these turns that have the behaviour according to the judge.
        both: Number of these turns that have the behaviour according to both.
        kappa: Cohen's kappa, -1 to 1; None if all labels are the same.
    """

    turns: int
    rules: int
    judge: int
    both: int
    kappa: float | None

    @classmethod
    def of(cls, turns: int, rules: int, judge: int, both: int) -> BehaviourAgreement:
        """Return the agreement for these counts of turns."""
        cells = [both, rules - both, judge - both, turns - rules - judge + both]
        kappa = float(cohen_kappa(np.repeat([1, 1, 0, 0], cells), np.repeat([1, 0, 1, 0], cells)))
        return cls(turns, rules, judge, both, None if isnan(kappa) else kappa)


@dataclass(frozen=True, slots=True)
class JudgedFriction:
    """A judge's labels for a run or a corpus.

    Attributes:
        friction: The frequency of each labelled behaviour.
        without_labels: Number of turns without labels.
        agreement: For each behaviour, the judge's agreement with the rules.
        pooled: Agreement over all behaviours, with each turn counted once per behaviour; None if
            the rules cover none of the turns or behaviours.
    """

    friction: Friction
    without_labels: int
    agreement: dict[str, BehaviourAgreement]
    pooled: BehaviourAgreement | None


def judged_friction(run: Run) -> JudgedFriction | None:
    """Return the behaviours labelled by the `friction` judge; None if no turn has labels.

    Args:
        run: A run, or the score folder of a corpus.

    Raises:
        RunFolderError: The scores cannot be read or do not match the run's conversations.
    """
    manifest = scores_manifest(run.folder / "scores" / f"{JUDGE}.jsonl")
    if manifest is None:
        return None
    judged_by: dict[str, Any] = manifest.get("judged_by", {})
    names = tuple(judged_by.get("behaviours", BEHAVIOURS))
    tally, comparison, without = BehaviourTally(), _Comparison(names), 0
    for conversation, labels in _labelled(run):
        known = [turn for turn in labels if turn is not None]
        without += len(labels) - len(known)
        if known:
            tally.add(known)
            comparison.add(conversation, labels)
    friction = tally.friction(names, judged_by.get("model", "unknown"), _protocol(judged_by))
    if friction is None:
        return None
    by_behaviour = comparison.by_behaviour()
    return JudgedFriction(friction, without, by_behaviour, _pooled(by_behaviour.values()))


def _labelled(run: Run) -> Iterator[tuple[Conversation, TurnLabels]]:
    """Yield the judged conversations with the labels of their turns."""
    conversations = iter(run.conversations())
    scores: Iterator[Score] = run.scores(JUDGE)
    for score in scores:
        conversation = next(one for one in conversations if one.id == score.conversation)
        turns = len(conversation.turns)
        labels = score.turn_labels or (None,) * turns
        if len(labels) != turns:
            raise RunFolderError(
                f"{run.folder}/scores/{JUDGE}.jsonl: {conversation.id} has labels for "
                f"{len(labels)} turns but consists of {turns} turns; use evaluate --fresh to move "
                f"the scores aside and score again"
            )
        yield conversation, labels


class _Comparison:
    """Counts of the turns that the rules, the judge, or both label with each behaviour."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = [name for name in BEHAVIOURS if name in names]
        self._turns = 0
        self._rules, self._judge, self._both = Counter[str](), Counter[str](), Counter[str]()

    def add(self, conversation: Conversation, labels: TurnLabels) -> None:
        """Count the labelled turns, unless there are no rules for the conversation's language."""
        found = analyse(
            [turn.speaker for turn in conversation.turns],
            [turn.text for turn in conversation.turns],
            conversation.participants,
            stated=[turn.addressee for turn in conversation.turns],
            language=language_of(conversation),
        )
        if found.behaviours is None:
            return
        for rules, judge in zip(found.behaviours, labels, strict=False):
            if judge is not None:
                self._turns += 1
                self._rules.update(rules)
                self._judge.update(set(judge))
                self._both.update(rules & set(judge))

    def by_behaviour(self) -> dict[str, BehaviourAgreement]:
        if not self._turns:
            return {}
        return {
            name: BehaviourAgreement.of(
                self._turns, self._rules[name], self._judge[name], self._both[name]
            )
            for name in self._names
        }


def _pooled(agreements: Collection[BehaviourAgreement]) -> BehaviourAgreement | None:
    if not agreements:
        return None
    sums = (
        sum(getattr(one, key) for one in agreements) for key in ("turns", "rules", "judge", "both")
    )
    return BehaviourAgreement.of(*sums)


def _protocol(judged_by: Mapping[str, Any]) -> str:
    """Return a hash (16 hexadecimal digits) of a judge's prompt and parameters."""
    essence = {key: value for key, value in judged_by.items() if key not in _OF_THE_DATA}
    text = json.dumps(essence, sort_keys=True, ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
