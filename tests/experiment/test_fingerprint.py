"""Fingerprints depend on values, but not on the order of keys."""

from __future__ import annotations

from convogen.experiment.fingerprint import fingerprint_of


def test_the_order_of_keys_makes_no_difference() -> None:
    assert fingerprint_of({"a": 1, "b": ["ä"]}) == fingerprint_of({"b": ["ä"], "a": 1})
    assert fingerprint_of({"a": 1}) != fingerprint_of({"a": "1"})
    assert len(fingerprint_of([])) == 16
