"""The gate `profile`: accepted conversations have people's distribution, within the allowed
redraws."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from habits import converse
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.errors import ExperimentError, SourceError
from convogen.experiment.experiment import Experiment
from convogen.gates import GateLine, place_gate
from convogen.gates.profile import Profile
from convogen.realism.features import features_named, measure
from convogen.realism.histograms import Histogram, total_variation
from convogen.realism.samples import dialogue_of
from convogen.records import Conversation
from convogen.storage.run_folder import Outcome, Run

FEATURES = ("question_turns", "exclaiming_turns")


def spread(conversations: list[Conversation]) -> np.ndarray:
    dialogues = [found for one in conversations if (found := dialogue_of(one))]
    return measure(dialogues, features_named(FEATURES))


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Write conversations, half of which have hardly any questions."""
    path = tmp_path / "people.jsonl"
    rows = [*converse(150, seed=1, questions=0.05), *converse(150, seed=2, questions=0.5)]
    path.write_bytes(b"".join(row.to_line() for row in rows))
    return path


def made(corpus: Path, **more: object) -> Profile:
    return Profile.model_validate({"corpus": str(corpus), "features": FEATURES, **more})


def decided(line: GateLine, candidates: list[Conversation]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for one in candidates:
        outcomes.append(line.decide(Outcome(conversation=one)))
        line.committed(outcomes[-1])
    return outcomes


def candidates(n: int = 200) -> list[Conversation]:
    """Return conversations of a model that asks too much, of which one in three is like
    people's."""
    much = converse(n, seed=3, questions=0.7)
    usual = converse(n, seed=4, questions=0.05)
    rows = [
        one if nth % 3 else other for nth, (one, other) in enumerate(zip(much, usual, strict=True))
    ]
    return [row.model_copy(update={"id": f"c{nth}", "task": nth}) for nth, row in enumerate(rows)]


def test_what_is_accepted_comes_nearer_to_the_corpus(corpus: Path, tmp_path: Path) -> None:
    gate, drawn = made(corpus), candidates()
    outcomes = decided(GateLine([gate], Run(tmp_path)), drawn)
    accepted = [one.conversation for one in outcomes if one.conversation]
    for at, histogram in enumerate(gate.histograms):
        before = total_variation(histogram.shares, histogram.shares_of(spread(drawn)[:, at]))
        after = total_variation(histogram.shares, histogram.shares_of(spread(accepted)[:, at]))
        assert after < 0.6 * before, histogram.feature.name


@pytest.mark.parametrize("redraws", [0, 0.25, 1, 3])
def test_no_more_is_rejected_than_allowed_at_any_time(
    corpus: Path, tmp_path: Path, redraws: float
) -> None:
    gate = made(corpus, max_redraws_per_accepted=redraws)
    accepted = rejected = 0
    for outcome in decided(GateLine([gate], Run(tmp_path)), candidates(60)):
        accepted += outcome.conversation is not None
        rejected += outcome.rejected is not None
        assert rejected <= redraws * accepted
    assert (rejected > 0) is (redraws > 0)


def test_what_is_as_people_are_is_hardly_rejected(corpus: Path, tmp_path: Path) -> None:
    rows = [*converse(100, seed=5, questions=0.05), *converse(100, seed=6, questions=0.5)]
    mixed = [rows[nth // 2 + 100 * (nth % 2)] for nth in range(200)]
    outcomes = decided(GateLine([made(corpus)], Run(tmp_path)), mixed)
    assert sum(one.rejected is not None for one in outcomes) < 0.35 * len(outcomes)


@pytest.mark.parametrize("stop", [0, 1, 2, 7, 30, 99])
def test_it_goes_on_from_the_rows_as_if_it_had_not_stopped(
    corpus: Path, tmp_path: Path, stop: int
) -> None:
    drawn = candidates(100)
    whole = decided(GateLine([made(corpus)], Run(tmp_path)), drawn)
    for outcome in whole[:stop]:
        name, row = outcome.row
        with (tmp_path / f"{name}.jsonl").open("ab") as rows:
            rows.write(row.to_line())
    line = GateLine([made(corpus)], Run(tmp_path))
    line.restore()
    assert decided(line, drawn[stop:]) == whole[stop:]


def test_rejections_by_other_gates_do_not_count_as_redraws(corpus: Path, tmp_path: Path) -> None:
    drawn = candidates(40)
    plain = GateLine([made(corpus)], Run(tmp_path))
    other = GateLine([made(corpus)], Run(tmp_path))
    for one in drawn:
        outcome = plain.decide(Outcome(conversation=one))
        plain.committed(outcome)
        assert other.decide(Outcome(conversation=one)) == outcome
        other.committed(outcome)
        if outcome.rejected is not None:
            by_guard = outcome.rejected.model_copy(update={"gate": "guard"})
            other.committed(Outcome(rejected=by_guard))


def test_a_feature_that_is_not_known_is_refused_with_the_nearest(corpus: Path) -> None:
    entry = {"gate": "profile", "corpus": str(corpus), "features": ["question_turn"]}
    with pytest.raises(ExperimentError) as caught:
        Experiment({"name": "x", "gates": [entry]}, "mine")
    assert "\n" not in str(caught.value)
    assert "mine: gates[0]: features" in str(caught.value)
    assert "'question_turn' is not known; did you mean question_turns" in str(caught.value)


def test_a_corpus_that_is_too_small_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "few.jsonl"
    path.write_bytes(b"".join(row.to_line() for row in converse(5, seed=1)))
    with pytest.raises(SourceError, match=r"too few conversations to compare \(5\)"):
        made(path).sources()


def test_what_the_corpus_holds_is_in_the_fingerprint_and_where_it_lies_is_not(
    corpus: Path, tmp_path: Path
) -> None:
    moved, other = tmp_path / "moved.jsonl", tmp_path / "other.jsonl"
    moved.write_bytes(corpus.read_bytes())
    other.write_bytes(corpus.read_bytes().replace(b"?", b"!"))
    inputs = [made(path).fingerprint_inputs for path in (corpus, moved, other)]
    assert inputs[0] == inputs[1] != inputs[2]


def test_a_corpus_of_the_hub_is_no_path(tmp_path: Path) -> None:
    entry = {"gate": "profile", "features": ["commas"]}
    assert place_gate({**entry, "corpus": "hf:a/b"}, tmp_path)["corpus"] == "hf:a/b"
    assert place_gate({**entry, "corpus": "c.jsonl"}, tmp_path)["corpus"] == f"{tmp_path}/c.jsonl"


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=1, max_size=60), st.integers(2, 8))
def test_every_value_is_in_one_bin_and_none_is_empty(values: list[float], bins: int) -> None:
    [feature] = features_named(["commas"])
    histogram = Histogram.of(feature, np.array(values), bins)
    assert 1 <= len(histogram.shares) <= bins
    assert min(histogram.shares) > 0
    assert sum(histogram.shares) == pytest.approx(1)
    assert histogram.shares_of(np.array(values)) == histogram.shares
    assert all(0 <= histogram.bin(value) < len(histogram.shares) for value in (*values, -1, 1e9))


def test_rows_say_why(corpus: Path, tmp_path: Path) -> None:
    outcomes = decided(GateLine([made(corpus)], Run(tmp_path)), candidates(60))
    row = next(json.loads(one.rejected.to_line()) for one in outcomes if one.rejected)
    assert row["gate"] == "profile"
    assert row["value"] > 0
    assert "question mark" in row["reason"] or "exclamation mark" in row["reason"]
