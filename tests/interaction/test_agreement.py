"""Agreement of the rules with manual labels, with lower bounds; `pytest -s` prints the values.

A single annotator labelled all conversations before any rule was written, and then wrote the rules.
Even the held-out conversations therefore flatter the rules; agreement on other people's
conversations will be lower.
"""

from __future__ import annotations

from math import isnan
from pathlib import Path

import numpy as np
import pytest
from interaction.labelled import DATA, agreement, conversations

from convogen.corpora import open_corpus
from convogen.inputs.yaml12 import read_yaml
from convogen.interaction.accuracy import HELD_OUT, Accuracy
from convogen.interaction.analysis import analyse
from convogen.interaction.patterns import BEHAVIOURS


@pytest.fixture(scope="module", params=["tuning", "held_out"])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_rules_agree_with_labels(name: str) -> None:
    found = agreement(name)
    print(f"\n{name}: {found}")
    least = {"tuning": (0.90, 0.85, 0.80), "held_out": (0.85, 0.85, 0.60)}[name]
    assert found.addressee >= least[0]
    assert found.reply_to >= least[1]
    assert found.pooled_kappa >= least[2]
    assert found.addressee > found.previous_speaker + 0.05


def test_what_readers_are_told_of_the_accuracy_is_what_is_measured() -> None:
    found = agreement("held_out")
    assert (
        Accuracy(
            turns=found.turns,
            addressee=round(found.addressee, 2),
            previous_speaker=round(found.previous_speaker, 2),
            reply_to=round(found.reply_to, 2),
            behaviours=round(found.pooled_kappa, 2),
        )
        == HELD_OUT
    )


def test_there_are_enough_conversations_with_labels_that_exist() -> None:
    sizes = dict.fromkeys(("tuning", "held_out"), 0)
    for name in sizes:
        for turns, found in conversations(name):
            sizes[name] += 1
            for index, turn in enumerate(turns):
                assert {*turn.get("does", [])} <= {*BEHAVIOURS}
                assert turn.get("re") is None or 0 <= turn["re"] < index
                assert turn["by"] != turn["to"]
            assert 3 <= len(found.people) <= 5
    assert sizes["tuning"] >= 20
    assert sizes["held_out"] >= 10


@pytest.mark.parametrize("behaviour", ["interruption", "repair_request", "hesitation", "hedging"])
def test_what_rules_tell_well_they_tell_on_conversations_they_were_not_tuned_on(
    behaviour: str,
) -> None:
    kappa = agreement("held_out").kappa[behaviour]
    assert not isnan(kappa)
    assert kappa >= 0.7


MELD = Path(__file__).parents[3] / "shared" / "data" / "meld" / "dev_sent_emo.csv"


@pytest.mark.skipif(not MELD.exists(), reason="MELD's development split is missing")
@pytest.mark.parametrize("scenes", ["seen", "unseen"])
def test_television_dialogue_is_harder(scenes: str) -> None:
    """Scenes begin in the middle, and silent people on the stage are addressed, too."""
    labels = read_yaml(DATA / "meld.yaml")[scenes]
    right, previous = list[bool](), list[bool]()
    for conversation in open_corpus(MELD):
        known = labels.get(conversation.id.rpartition("-")[2])
        if known is None:
            continue
        speakers = [turn.speaker for turn in conversation.turns]
        found = analyse(speakers, [turn.text for turn in conversation.turns])
        for index, (to, address) in enumerate(zip(known, found.addresses, strict=True)):
            others = {*speakers} - {speakers[index]}
            wanted = others if to == "all" else {to} if isinstance(to, str) else {*to}
            before = speakers[index - 1] if index else speakers[0]
            right.append({*address.to} == wanted)
            previous.append((others if before == speakers[index] else {before}) == wanted)
    print(
        f"\nMELD, {scenes}: {len(right)} turns of {len(labels)} scenes: "
        f"addressee {np.mean(right):.3f} (previous speaker: {np.mean(previous):.3f})"
    )
    assert len(right) == sum(map(len, labels.values()))
    assert np.mean(right) >= {"seen": 0.7, "unseen": 0.55}[scenes]
