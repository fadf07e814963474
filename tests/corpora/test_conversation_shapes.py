"""The shapes of a corpus: learned from the corpus, drawn as a whole, and identified by a hash."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convogen.corpora import open_corpus
from convogen.corpora.conversation_shapes import Shape, Shapes
from convogen.records import Conversation, Turn


def conversation(*turns: tuple[str, int]) -> Conversation:
    said = [Turn(speaker=name, text=" ".join(["word"] * words)) for name, words in turns]
    return Conversation(id="c", turns=said)


def test_a_shape_has_words_and_speakers_of_each_turn() -> None:
    shapes = Shapes.from_corpus([conversation(("Bo", 3), ("Ada", 12), ("Bo", 0))])
    assert shapes[0] == Shape((3, 12, 1), (0, 1, 0))
    assert shapes[0].n_speakers == 2


def test_conversations_without_turns_are_left_out() -> None:
    assert len(Shapes.from_corpus([conversation(), conversation(("Bo", 1))])) == 1


def test_nothing_can_be_drawn_of_nothing() -> None:
    with pytest.raises(IndexError):
        Shapes([]).draw(random.Random(0))


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 70)), min_size=1, max_size=9),
        min_size=1,
        max_size=9,
    )
)
def test_what_is_drawn_is_a_whole_conversation_of_the_corpus(
    corpus: list[list[tuple[str, int]]],
) -> None:
    shapes = Shapes.from_corpus(conversation(*turns) for turns in corpus)
    known = {tuple(max(1, words) for _, words in turns) for turns in corpus}
    drawn = [shapes.draw(random.Random(seed)) for seed in range(20)]
    assert {shape.turn_words for shape in drawn} <= known
    assert drawn == [shapes.draw(random.Random(seed)) for seed in range(20)]


def test_the_hash_follows_the_shapes_and_not_the_text() -> None:
    one = Shapes.from_corpus([conversation(("Bo", 3), ("Ada", 2))])
    renamed = Shapes.from_corpus([conversation(("Cem", 3), ("Dora", 2))])
    longer = Shapes.from_corpus([conversation(("Bo", 3), ("Ada", 4))])
    assert one.hash == renamed.hash != longer.hash


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("08a-zh.jsonl", [(12, 9, 9), (4, 9, 10)]),
        ("08c-ja.jsonl", [(8, 11), (7, 9)]),
        ("08e-ar.jsonl", [(5, 6), (3, 4)]),
    ],
)
def test_lengths_are_in_words_of_the_corpus(name: str, words: list[tuple[int, ...]]) -> None:
    folder = Path(__file__).parents[1] / "data" / "files"
    shapes = Shapes.from_corpus(open_corpus(folder / name))
    assert [shapes[at].turn_words for at in range(len(shapes))] == words
