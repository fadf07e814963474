"""Embeddings as a family of features, and MAUVE: closed-form cases, and the notes for readers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from math import factorial
from pathlib import Path

import numpy as np
import pytest
from command_line import convogen
from habits import converse
from hypothesis import given, settings
from hypothesis import strategies as st

from convogen.errors import UserError
from convogen.realism import compare, sample
from convogen.realism.embedding import conversation_vectors
from convogen.realism.mauve import SCALE, frontier_area, mauve
from convogen.realism.samples import Dialogue
from convogen.records import Conversation


def _sample(conversations: Iterable[Conversation]) -> list[Dialogue]:
    return sample(conversations, "corpus")


def encode(texts: Sequence[str]) -> np.ndarray:
    """Count letters, so that texts about the same things have similar embeddings."""
    counts = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts])
    return counts / np.maximum(1, np.linalg.norm(counts, axis=1, keepdims=True))


def test_the_area_of_equal_distributions_is_one() -> None:
    p = np.array([0.2, 0.5, 0.3])
    assert frontier_area(p, p) == pytest.approx(1.0)


def test_the_area_of_disjoint_distributions_is_a_beta_function() -> None:
    """The curve is (1 - a)^c, a^c, and the area under it is c B(c + 1, c)."""
    c = int(SCALE)
    expected = c * factorial(c) * factorial(c - 1) / factorial(2 * c)
    assert frontier_area(np.array([1.0, 0.0]), np.array([0.0, 1.0])) == pytest.approx(
        expected, rel=1e-4
    )


@settings(deadline=None)
@given(
    st.integers(2, 6).flatmap(
        lambda n: st.tuples(*(2 * (st.lists(st.floats(0.001, 1), min_size=n, max_size=n),)))
    )
)
def test_the_area_is_symmetric_and_between_disjoint_and_equal(
    weights: tuple[list[float], list[float]],
) -> None:
    p, q = (np.array(one) / sum(one) for one in weights)
    area = frontier_area(p, q)
    assert 0.0039 <= area <= 1
    assert area == pytest.approx(frontier_area(q, p), abs=1e-3)


def test_the_area_falls_as_distributions_part() -> None:
    areas = [
        frontier_area(np.array([0.5, 0.5]), np.array([0.5 + d, 0.5 - d]))
        for d in (0, 0.1, 0.2, 0.3, 0.4, 0.5)
    ]
    assert areas == sorted(areas, reverse=True)


def test_samples_that_are_far_apart_or_the_same() -> None:
    rng = np.random.default_rng(0)
    one, nought = rng.uniform(1, 2, (200, 4)), np.zeros((200, 4))
    there, elsewhere = np.hstack([one, nought]), np.hstack([nought, one])
    assert mauve(there, there, seed=0) == pytest.approx(1.0)
    assert mauve(there, elsewhere, seed=0) == pytest.approx(0.00397, abs=1e-4)
    sample, other = rng.normal(size=(2, 200, 8))
    assert 0.6 < mauve(sample, other, seed=0) < 1
    assert mauve(np.ones((40, 3)), np.ones((40, 3)), seed=0) == 1
    few = np.repeat(np.eye(3), 100, axis=0)
    assert mauve(few, few, seed=0) == pytest.approx(1.0)


def test_a_conversation_is_the_mean_of_its_turns() -> None:
    dialogues = _sample(converse(30, seed=1))
    vectors = conversation_vectors(dialogues, encode)
    assert vectors.shape == (30, 26)
    assert vectors[3] == pytest.approx(encode(dialogues[3].texts).mean(axis=0))


def test_a_family_and_the_overlap_tell_apart_what_differs_in_words_only() -> None:
    human = _sample(converse(120, seed=2))
    alike = compare(
        _sample(converse(120, seed=1)), human, permutations=0, halves=5, encode=encode, mauve=True
    )
    apart = compare(
        _sample(converse(120, seed=1, word="zzzzzz")),
        human,
        permutations=0,
        halves=5,
        encode=encode,
        mauve=True,
    )
    assert apart.separations["embeddings"].auc > 0.9
    assert 0.3 < alike.separations["embeddings"].auc < 0.7
    assert alike.mauve is not None
    assert apart.mauve is not None
    assert apart.mauve.value < alike.mauve.value
    assert apart.mauve.value < apart.mauve.low <= apart.mauve.halves <= apart.mauve.high
    assert "embeddings" in alike.controls
    without = compare(_sample(converse(40, seed=1)), human, permutations=0, halves=5)
    assert without.mauve is None
    assert "embeddings" not in without.separations


def test_the_overlap_needs_embeddings() -> None:
    dialogues = _sample(converse(40, seed=1))
    with pytest.raises(UserError, match="specify a sentence encoder"):
        compare(dialogues, dialogues, mauve=True)


def _write(path: Path, conversations: Iterable[Conversation]) -> Path:
    path.write_bytes(b"".join(one.to_line() for one in conversations))
    return path


def test_from_the_command_line(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `train` is not installed")
    from checkpoints import encoder

    place = encoder(tmp_path / "encoder")
    ours = _write(tmp_path / "ours.jsonl", converse(40, seed=1))
    people = _write(tmp_path / "people.jsonl", converse(40, seed=2))
    asked = ("realism", ours, "--against", people, "--permutations", "0")
    ended = convogen(*asked, "--mauve")
    assert ended.status == 2
    assert "--embeddings MODEL" in ended.err
    ended = convogen(*asked, "--embeddings", tmp_path)
    assert ended.status == 2
    assert len(ended.err.splitlines()) == 1
    assert "transformers cannot load it as an encoder" in ended.err
    with_both = (*asked, "--embeddings", place, "--mauve")
    numbers = json.loads(convogen(*with_both, "--json").out)
    [found] = numbers["corpora"]
    assert numbers["encoder"] == str(place)
    assert 0 <= found["separations"]["embeddings"]["auc"] <= 1
    assert 0 < found["mauve"]["value"] <= 1
    shown = convogen(*with_both).out
    assert "embeddings" in shown
    assert f"MAUVE: {found['mauve']['value']:.3f}; between random halves" in " ".join(shown.split())


def test_vectors_do_not_depend_on_what_is_encoded_with_them(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra `train` is not installed")
    from checkpoints import encoder

    from convogen.models.backends.sentence_encoder import sentence_vectors

    vectors = sentence_vectors(str(encoder(tmp_path / "encoder")))
    texts = ["anna left her keys", "ben", "anna left her keys on the table in the kitchen shop"]
    together, alone = vectors(texts), [vectors([text])[0] for text in texts]
    assert together == pytest.approx(np.stack(alone), abs=1e-5)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1)
