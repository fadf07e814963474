"""Pass rates that are corrected with labels: unbiased estimates, and intervals with their
coverage."""

from __future__ import annotations

import numpy as np
import pytest

from convogen.reports.calibration import Corrected, prediction_powered, rogan_gladen


def flags(*runs: tuple[bool, int]) -> np.ndarray:
    return np.concatenate([np.full(n, value) for value, n in runs])


def test_rogan_gladen_by_hand() -> None:
    """The judge is correct for 9 in 10 passes and 8 in 10 failures, so 48% passes mean 40% in
    truth."""
    truth = flags((True, 10), (False, 10))
    labelled = flags((True, 9), (False, 1), (True, 2), (False, 8))
    found = rogan_gladen(flags((True, 48), (False, 52)), labelled, truth)
    assert found.value == pytest.approx((0.48 + 0.8 - 1) / (0.9 + 0.8 - 1))
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low < 0.4 < found.high <= 1


def test_prediction_powered_by_hand() -> None:
    """A judge that is always right adds its many verdicts; a judge that guesses adds nothing."""
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


def near(*values: float) -> Corrected:
    return Corrected(*(pytest.approx(value, abs=1e-6) for value in values))


def test_the_interval_of_lang_and_reiczigel_by_hand() -> None:
    """480 of 1,000 are judged to pass. The judge is correct for 90 of 100 passes and 80 of 100
    failures.

    AP' = (480 + z²/2)/(1000 + z²) = 0.4800765, Se' = 91/102 and Sp' = 81/102. The middle is
    therefore (AP' + Sp' - 1)/(Se' + Sp' - 1) = 0.3995401, its shift is -0.0044991, and half the
    width is 0.0892751.
    """
    truth = flags((True, 100), (False, 100))
    labelled = flags((True, 90), (False, 10), (True, 20), (False, 80))
    found = rogan_gladen(flags((True, 480), (False, 520)), labelled, truth)
    assert found == near(0.4, 0.3057658, 0.4843161)


def test_shares_and_intervals_end_at_0_and_1() -> None:
    truth, labelled = (
        flags((True, 5), (False, 5)),
        flags((True, 4), (False, 1), (True, 1), (False, 4)),
    )
    none = rogan_gladen(flags((False, 50)), labelled, truth)
    every = rogan_gladen(flags((True, 50)), labelled, truth)
    assert (none.value, none.low) == (0, 0)
    assert (every.value, every.high) == (1, 1)
    assert none.high == pytest.approx(1 - (every.low or 0))


def test_a_judge_hardly_better_than_chance_leaves_everything_open() -> None:
    """With 2 of 100 passes and 2 of 2 failures right, 0.02 + 1 - 1 > 0, but 3/102 + 3/4 - 1 < 0."""
    truth, labelled = flags((True, 100), (False, 2)), flags((True, 2), (False, 100))
    found = rogan_gladen(flags((True, 1), (False, 99)), labelled, truth)
    assert found == near(0.5, 0, 1)
    chance = flags((True, 1), (False, 1), (True, 1), (False, 1))
    nothing = Corrected(None, None, None)
    assert rogan_gladen(chance, chance, flags((True, 2), (False, 2))) == nothing


def test_prediction_powered_inference_by_hand() -> None:
    """Half of 40 labels are passes, half of which the judge finds; it passes 30 of 60 other
    dialogues.

    cov = 40/39 × (1/4 - 1/8), var = 100/99 × 0.24, and weight = cov / ((1 + 40/60) var) = 33/104,
    so the share is 1/2 + weight/4. Its variance is the sum of 0.000426628 (weight² × 60/59 × 1/4 /
    60) and 0.004860291 (from the 40 errors: ten of 1 - weight, ten of 1, and otherwise 0). The
    quantile of t with 39 degrees of freedom is 2.0226909.
    """
    truth, labelled = flags((True, 20), (False, 20)), flags((True, 10), (False, 30))
    found = prediction_powered(flags((True, 30), (False, 30)), labelled, truth)
    assert found == near(241 / 416, 0.4322546, 0.7263992)


def test_a_judge_that_always_says_the_same_leaves_the_interval_of_the_labels() -> None:
    """Half of 20 pass, so the interval is 1/2 ± 2.093024 × √(10/38 / 20), with 19 degrees of
    freedom."""
    truth = flags((True, 10), (False, 10))
    found = prediction_powered(flags((True, 7)), flags((True, 20)), truth)
    assert found == near(0.5, 0.2599136, 0.7400864)


def test_two_labels_and_one_verdict_are_the_fewest() -> None:
    """With both labels right, the weight is 1/2 / ((1 + 2/2) × 1/3) = 3/4; with one other
    verdict, it is 0.5 / (3 × 1/3)."""
    two = flags((True, 1), (False, 1))
    assert prediction_powered(two, two, two) == near(0.5, 0, 1)
    assert prediction_powered(two[:1], two, two) == near(0.5 * 1 + 0.25, 0, 1)


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
