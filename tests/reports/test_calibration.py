"""Pass rates put right with labels: right on average, and intervals that hold."""

from __future__ import annotations

import numpy as np
import pytest

from convogen.reports.calibration import Corrected, prediction_powered, rogan_gladen


def flags(*runs: tuple[bool, int]) -> np.ndarray:
    return np.concatenate([np.full(n, value) for value, n in runs])


def test_rogan_gladen_by_hand() -> None:
    """Right of 9 in 10 passes and of 8 in 10 failures; 48% judged to pass are 40% in truth."""
    truth = flags((True, 10), (False, 10))
    labelled = flags((True, 9), (False, 1), (True, 2), (False, 8))
    found = rogan_gladen(flags((True, 48), (False, 52)), labelled, truth)
    assert found.value == pytest.approx((0.48 + 0.8 - 1) / (0.9 + 0.8 - 1))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < 0.4 < found.high <= 1


def test_prediction_powered_by_hand() -> None:
    """A judge that is always right adds its many verdicts; one that guesses adds nothing."""
    truth = flags((True, 20), (False, 20))
    right = prediction_powered(flags((True, 300), (False, 100)), truth, truth)
    assert right.value == pytest.approx(0.5 + (40 / 440) * 0 + 0.25 * 400 / 440, abs=0.03)
    rng = np.random.default_rng(1)
    guessing = flags((True, 10), (False, 10), (True, 10), (False, 10))
    alone = prediction_powered(rng.random(400) < 0.9, guessing, truth)
    assert alone.value == pytest.approx(0.5)
    assert right.low is not None
    assert right.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert right.high - right.low < (alone.high - alone.low) / 2


@pytest.mark.parametrize("method", ["rogan_gladen", "prediction_powered"])
def test_the_interval_holds_the_truth_nearly_always(method: str) -> None:
    rng = np.random.default_rng(5)
    share, values, held = 0.35, [], 0
    for _ in range(300):
        truth = rng.random(413) < share
        judged = np.where(truth, rng.random(413) < 0.9, rng.random(413) < 0.25)
        if method == "rogan_gladen":
            found = rogan_gladen(judged, judged[:50], truth[:50])
        else:
            found = prediction_powered(judged[50:], judged[:50], truth[:50])
        assert found.value is not None
        assert found.low is not None
        assert found.high is not None
        assert 0 <= found.low <= found.value <= found.high <= 1
        values.append(found.value)
        held += found.low <= share <= found.high
    assert np.mean(values) == pytest.approx(share, abs=0.02)
    assert held / 300 > 0.92
    assert abs(float(np.mean(judged)) - share) > 0.05


def test_what_cannot_be_told_is_none() -> None:
    nothing = Corrected(None, None, None)
    judged = flags((True, 30), (False, 10))
    some, none = flags((True, 3), (False, 3)), np.array([], bool)
    assert rogan_gladen(judged, some, flags((True, 6))) == nothing
    assert rogan_gladen(judged, ~some, some) == nothing
    assert prediction_powered(judged, some[:1], some[:1]) == nothing
    assert prediction_powered(none, some, some) == nothing
    same = prediction_powered(judged, some, flags((True, 6)))
    assert same.value is not None
    assert same.low is None
