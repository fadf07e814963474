"""ROUGE-L of two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from convogen.text.rouge import rouge_l

TEXTS = st.text(alphabet="ab cD9.-é", max_size=30)


@given(TEXTS, TEXTS)
def test_it_is_that_of_rouge_score(text: str, reference: str) -> None:
    expected = RougeScorer(["rougeL"]).score(reference, text)["rougeL"].fmeasure
    assert rouge_l(text, reference) == pytest.approx(expected)
