"""The shipped experiments of the ConvoGen paper have as many turns as its table III."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from convogen import Experiment, run
from convogen.published import published

CHATTY = ("GPFS", "GPIS", "SPFS", "SPIS")
SHORT = ("GPFS-s", "GPIS-s", "SPFS-s", "SPIS-s", "PCFS-s", "PCIS-s")


@pytest.mark.parametrize("name", [*CHATTY, *SHORT])
def test_the_turn_cap_is_the_first_whole_number_above_the_papers_mean(name: str) -> None:
    """Table III reports means from 6.2 to 6.4 turns for chatty conversations, and up to 9.85 for
    short ones."""
    kind = CHATTY if name in CHATTY else SHORT
    means = [float(published("convogen")["III"].rows[row]["nT"] or 0) for row in kind]
    assert Experiment.load(name).method.most_turns() == int(max(means)) + 1


def test_a_chatty_conversation_has_seven_turns(tmp_path: Path) -> None:
    made = run(Experiment.load("GPFS", {"n": 3, "models": "scripted"}), tmp_path / "run")
    assert mean(len(one.turns) for one in made.conversations()) == 7
