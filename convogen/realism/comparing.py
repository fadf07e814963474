"""The comparison of a generated corpus with a human corpus: the distance, and the differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convogen.errors import UserError
from convogen.realism.embedding import Embeddings, Encoder, conversation_vectors
from convogen.realism.features import FAMILIES, FEATURES, Feature, measure
from convogen.realism.kernels import NamedFeatures, TfIdf, WordLists, word_lists
from convogen.realism.mauve import Mauve, mauve_beside_halves
from convogen.realism.normalising import Normalisation, normalised
from convogen.realism.samples import Dialogue, Turns, grouped
from convogen.realism.telltales import (
    TellingTurn,
    TellingWord,
    Telltale,
    telling_turns,
    telling_words,
    telltales,
)
from convogen.realism.two_sample import Control, KernelSource, Separation, control, separations

__all__ = ["HALVES", "PERMUTATIONS", "Realism", "compare", "families_of"]

PERMUTATIONS = 199
HALVES = 50
OF_ALL_TURNS = frozenset(("turn_taking", "interaction"))
"""Families of features that need the turns of all speakers."""

MOST_WORDS = 10
MOST_TURNS = 5


@dataclass(frozen=True, slots=True)
class Realism:
    """The comparison of a generated corpus with a human corpus.

    Attributes:
        generated: Number of generated conversations compared.
        human: Number of human conversations compared.
        groups: Number of groups of conversations; the conversations in a group always stay in the
            same fold.
        turns: Whose turns were compared.
        normalisations: Typographic differences that were removed before the comparison.
        separations: How well each family of features, and all families together (`all`), separate
            the corpora.
        controls: The two-sample test applied to random halves of the human corpus, as a control.
        telltales: Features that vary, in order of decreasing effect.
        words: Words that are typical of one corpus, beginning with words typical of the generated
            corpus.
        examples: The generated turns whose words are least human-like.
        mauve: MAUVE, the overlap of the two corpora; None if it was not requested.
    """

    generated: int
    human: int
    groups: int
    turns: Turns
    normalisations: list[Normalisation]
    separations: dict[str, Separation]
    controls: dict[str, Control]
    telltales: list[Telltale]
    words: list[TellingWord]
    examples: list[TellingTurn]
    mauve: Mauve | None = None


def compare(
    generated: Sequence[Dialogue],
    human: Sequence[Dialogue],
    *,
    turns: Turns = "all",
    permutations: int = PERMUTATIONS,
    halves: int = HALVES,
    seed: int = 0,
    encode: Encoder | None = None,
    mauve: bool = False,
) -> Realism:
    """Compare two samples from `convogen.realism.samples.sample`; requires the `realism` extra.

    Args:
        generated: Conversations written by a model.
        human: Conversations between people.
        turns: Whose turns the samples contain; turn-taking and interaction are compared only for
            `all`.
        permutations: Number of label permutations for the p-values; 0 for no p-values.
        halves: Number of times that the human corpus is split into random halves for the control.
        seed: Random seed.
        encode: A sentence encoder for the `embeddings` family; None to leave this family out.
        mauve: Whether to compute MAUVE from the encoder's vectors.

    Raises:
        UserError: If there are fewer than five groups, or MAUVE is requested without an encoder.
    """
    if mauve and encode is None:
        raise UserError("realism: MAUVE requires embeddings; specify a sentence encoder as well")
    ours, theirs, changes = normalised(generated, human)
    features = _features(turns)
    both = [*ours, *theirs]
    values = measure(both, features)
    words = word_lists(both)
    vectors = conversation_vectors(both, encode) if encode else None
    labels = [True] * len(ours) + [False] * len(theirs)
    groups = grouped(both)
    n = len(ours)
    return Realism(
        generated=n,
        human=len(theirs),
        groups=len(set(groups)),
        turns=turns,
        normalisations=changes,
        separations=separations(
            _families(values, words, features, vectors),
            labels,
            groups,
            permutations=permutations,
            seed=seed,
        ),
        controls=control(
            _families(values[n:], words[n:], features, None if vectors is None else vectors[n:]),
            grouped(theirs),
            halves=halves,
            seed=seed,
        ),
        telltales=telltales(features, values[:n], values[n:]),
        words=telling_words(words[:n], words[n:], MOST_WORDS),
        examples=telling_turns(both, words, labels, groups, seed=seed, most=MOST_TURNS),
        mauve=mauve_beside_halves(vectors[:n], vectors[n:], grouped(theirs), seed=seed)
        if mauve and vectors is not None
        else None,
    )


def families_of(dialogues: Sequence[Dialogue], turns: Turns = "all") -> dict[str, KernelSource]:
    """Return the families of features of dialogues; `turns` says whose turns are included."""
    features = _features(turns)
    return _families(measure(dialogues, features), word_lists(dialogues), features)


def _features(turns: Turns) -> list[Feature]:
    return [one for one in FEATURES if turns == "all" or one.family not in OF_ALL_TURNS]


def _families(
    values: NDArray[np.float64],
    words: Sequence[WordLists],
    features: Sequence[Feature],
    vectors: NDArray[np.float64] | None = None,
) -> dict[str, KernelSource]:
    families: dict[str, KernelSource] = {}
    for name in FAMILIES:
        columns = [at for at, feature in enumerate(features) if feature.family == name]
        if columns and not (named := NamedFeatures(values[:, columns])).empty:
            families[name] = named
    families["tfidf"] = TfIdf(words)
    if vectors is not None:
        families["embeddings"] = Embeddings(vectors)
    return families
