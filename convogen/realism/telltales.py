"""Features, words and turns that give generated conversations away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convogen.realism.features import Family, Feature
from convogen.realism.kernels import TfIdf, WordLists, terms
from convogen.realism.samples import Dialogue
from convogen.realism.two_sample import ALPHA, folds
from convogen.text.learning import learner

__all__ = ["TellingTurn", "TellingWord", "Telltale", "telling_turns", "telling_words", "telltales"]

PRIOR = 0.5
"""Pseudo-counts of conversations with and without a word, added to each corpus."""

LEAST_SHARE = 0.05
"""A word is shown only if at least this share of the conversations of one corpus contains it."""

LEAST_WORDS = 5
"""Minimum length of an example turn, in words."""


@dataclass(frozen=True, slots=True)
class Telltale:
    """A feature in which the corpora differ.

    Attributes:
        name: The key of the feature.
        family: The family of the feature.
        about: A description for readers.
        unit: `share` (0 to 1), or the unit of the number.
        generated: Mean of the feature over generated conversations.
        human: Mean of the feature over human conversations.
        effect: Cliff's delta, -1 to 1; positive if the values of generated conversations are
            higher.
    """

    name: str
    family: Family
    about: str
    unit: str
    generated: float
    human: float
    effect: float


@dataclass(frozen=True, slots=True)
class TellingWord:
    """A word, or a pair of successive words, that is more frequent in one corpus.

    Attributes:
        word: The word or the pair, in lower case.
        generated: Share of generated conversations that contain the word or pair.
        human: Share of human conversations that contain the word or pair.
        z: Log-odds ratio divided by its standard error; positive if the word is more frequent in
            generated conversations.
    """

    word: str
    generated: float
    human: float
    z: float


@dataclass(frozen=True, slots=True)
class TellingTurn:
    """A generated turn whose words a classifier, trained on other conversations, finds least
    human-like.

    Attributes:
        conversation: The id of the turn's conversation.
        text: The text of the turn, as it was compared.
        score: The turn's contribution to the classifier's score; only the order of scores is
            meaningful.
    """

    conversation: str
    text: str
    score: float


def telltales(
    features: Sequence[Feature], generated: NDArray[np.float64], human: NDArray[np.float64]
) -> list[Telltale]:
    """Return all features that vary, in order of decreasing effect."""
    stats: Any = import_module("scipy.stats")
    ranks = np.asarray(stats.rankdata(np.vstack([generated, human]), axis=0), dtype=float)
    n, m = len(generated), len(human)
    areas = (ranks[:n].sum(axis=0) - n * (n + 1) / 2) / (n * m)
    rows = [
        Telltale(
            feature.name,
            feature.family,
            feature.about,
            feature.unit,
            float(generated[:, column].mean()),
            float(human[:, column].mean()),
            float(2 * areas[column] - 1),
        )
        for column, feature in enumerate(features)
        if np.ptp(np.concatenate([generated[:, column], human[:, column]])) > 0
    ]
    return sorted(rows, key=lambda row: (-abs(row.effect), row.name))


def telling_words(
    generated: Sequence[WordLists], human: Sequence[WordLists], most: int
) -> list[TellingWord]:
    """Return up to `most` words per corpus whose log-odds of occurring in a conversation differ
    most between the corpora."""
    both = [*generated, *human]
    vectorizer = learner("feature_extraction.text", "realism").CountVectorizer(
        analyzer=terms, binary=True, min_df=LEAST_SHARE / 2
    )
    try:
        counts = vectorizer.fit_transform(both)
    except ValueError:  # no word is frequent enough
        return []
    n, m = len(generated), len(human)
    ours = np.asarray(counts[:n].sum(axis=0)).ravel()
    theirs = np.asarray(counts[n:].sum(axis=0)).ravel()
    with_ours, without_ours = ours + PRIOR, n - ours + PRIOR
    with_theirs, without_theirs = theirs + PRIOR, m - theirs + PRIOR
    odds = np.log(with_ours / without_ours) - np.log(with_theirs / without_theirs)
    error = np.sqrt(1 / with_ours + 1 / without_ours + 1 / with_theirs + 1 / without_theirs)
    z = odds / error
    names = vectorizer.get_feature_names_out()
    shown = np.flatnonzero(np.maximum(ours / n, theirs / m) >= LEAST_SHARE)
    ordered = sorted(shown, key=lambda at: (-z[at], names[at]))
    chosen = [at for at in ordered[:most] if z[at] > 0]
    chosen += [at for at in reversed(ordered[-most:]) if z[at] < 0]
    return [
        TellingWord(str(names[at]), float(ours[at] / n), float(theirs[at] / m), float(z[at]))
        for at in chosen
    ]


def telling_turns(
    dialogues: Sequence[Dialogue],
    conversations: Sequence[WordLists],
    labels: Sequence[bool],
    groups: Sequence[int],
    *,
    seed: int,
    most: int,
) -> list[TellingTurn]:
    """Return up to `most` generated turns whose words are least human-like, one per
    conversation."""
    family = TfIdf(conversations)
    targets = np.where(labels, 1.0, -1.0)
    found: list[TellingTurn] = []
    for train, test in folds(groups, seed):
        vectorizer, fitted, _ = family.vectors(train, test)
        ridge = learner("linear_model", "realism").Ridge(
            alpha=ALPHA, solver="sparse_cg", random_state=0
        )
        ridge.fit(fitted, targets[train])
        for row in map(int, test):
            if not labels[row]:
                continue
            turns = [
                (text, words)
                for text, words in zip(dialogues[row].texts, conversations[row], strict=True)
                if len(words) >= LEAST_WORDS
            ]
            if not turns:
                continue
            scores = vectorizer.transform([[words] for _, words in turns]) @ ridge.coef_
            best = int(np.argmax(scores))
            found.append(TellingTurn(dialogues[row].id, turns[best][0], float(scores[best])))
    return sorted(found, key=lambda turn: (-turn.score, turn.conversation))[:most]
