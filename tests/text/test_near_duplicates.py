from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz import fuzz

from convogen.generation.example_experiences import load_experiences
from convogen.text.near_duplicates import NearCopyIndex, sorted_words

WORDS = " ".join(
    " ".join([str(value) for value in vars(persona.card).values()])
    for seed in load_experiences()
    for persona in seed.personas
).split()


@given(st.lists(st.text(min_size=1), min_size=1, unique=True), st.floats(0.05, 1), st.data())
def test_a_text_that_was_added_is_proposed(
    texts: list[str], threshold: float, data: st.DataObject
) -> None:
    index = NearCopyIndex(threshold)
    for number, text in enumerate(texts):
        index.add(number, text)
    number = data.draw(st.sampled_from(range(len(texts))))
    assert number in index.candidates(texts[number], len(texts))


def test_no_more_are_proposed_than_asked_for_the_first_added_first() -> None:
    index = NearCopyIndex(0.8)
    assert index.candidates("anything", 3) == []
    for number in range(5_000, 0, -1):  # in several blocks
        index.add(number, "the same words again" if number % 1_000 == 0 else f"number {number}")
    assert index.candidates("the same words again", 3) == [5_000, 4_000, 3_000]


@pytest.mark.parametrize("threshold", [0.8, 0.9])
def test_nearly_all_near_copies_are_proposed(threshold: float) -> None:
    rng = random.Random(1)
    index = NearCopyIndex(threshold)
    texts = [rng.choices(WORDS, k=150) for _ in range(3_000)]
    for number, words in enumerate(texts):
        index.add(number, sorted_words(" ".join(words)))
    found = copies = 0
    for number, words in enumerate(texts[:600]):
        share = rng.uniform(0, 0.5)
        changed = [rng.choice(WORDS) if rng.random() < share else word for word in words]
        one, other = sorted_words(" ".join(words)), sorted_words(" ".join(changed))
        if fuzz.ratio(one, other) >= 100 * threshold:
            copies += 1
            found += number in index.candidates(other, 3)
    assert copies > 100
    assert found >= 0.99 * copies


def test_texts_of_other_words_are_not_proposed() -> None:
    index = NearCopyIndex(0.8)
    for number in range(1_000):
        index.add(number, " ".join(f"{number * 7919 + nth:x}" for nth in range(100)))
    assert index.candidates(sorted_words(" ".join(WORDS[:150])), 3) == []
