"""Local coherence, global coherence and speaker consistency, measured by words that turns share.

The measures resemble those of MPCEval (Zhang et al., 2026, arXiv:2603.04969), with four
differences:

- MPCEval embeds turns with a sentence encoder. Here, a turn is a TF-IDF vector with the idf of its
  own conversation. This needs neither a model nor a corpus, but paraphrases count as dissimilar.
- MPCEval's local measures rate a predicted next turn against a window of context. Here, every turn
  is compared with the turn that it replies to.
- MPCEval's global content measures follow the path of the embeddings (progression distance). Here,
  every turn is compared with the sum of all other turns.
- MPCEval's speaker consistency is the similarity of a speaker's turns to their centroid. Here, the
  similarity to other speakers' turns is subtracted. Otherwise, every conversation on a single
  subject would look consistent.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from convogen.interaction.addressing import Address

__all__ = ["Coherence", "coherence"]

Vector = dict[str, float]


@dataclass(frozen=True, slots=True)
class Coherence:
    """Similarities between turns, as cosines of TF-IDF vectors; each is None if there is nothing to
    compare.

    Attributes:
        local: Mean similarity of a turn to the turn that it replies to, 0 to 1.
        overall: Mean similarity of a turn to the sum of all other turns, 0 to 1.
        consistency: Mean similarity of two turns by the same speaker minus the mean similarity of
            two turns by different speakers, -1 to 1; positive if people keep to their own topics.
    """

    local: float | None
    overall: float | None
    consistency: float | None


def coherence(
    speakers: Sequence[str], words: Sequence[Sequence[str]], found: Sequence[Address]
) -> Coherence:
    """Return the coherence of turns, in time linear in the number of words.

    Args:
        speakers: The speaker of each turn.
        words: The words of each turn, without function words.
        found: The address of each turn.
    """
    vectors = _vectors(words)
    return Coherence(_local(vectors, found), _overall(vectors), _consistency(speakers, vectors))


def _vectors(words: Sequence[Sequence[str]]) -> list[Vector]:
    """Return smoothed TF-IDF vectors of unit length, as in scikit-learn; turns without words have
    empty vectors."""
    n = len(words)
    counts = [Counter(turn) for turn in words]
    turns_with = Counter(word for turn in counts for word in turn)
    idf = {word: log((1 + n) / (1 + count)) + 1 for word, count in turns_with.items()}
    vectors: list[Vector] = []
    for turn in counts:
        weights = {word: count * idf[word] for word, count in turn.items()}
        norm = sqrt(sum(weight * weight for weight in weights.values()))
        vectors.append({word: weight / norm for word, weight in weights.items()} if norm else {})
    return vectors


def _local(vectors: Sequence[Vector], found: Sequence[Address]) -> float | None:
    pairs = [
        (vectors[at], vectors[one.reply_to])
        for at, one in enumerate(found)
        if one.reply_to is not None
    ]
    values = [_dot(turn, replied) for turn, replied in pairs if turn and replied]
    return sum(values) / len(values) if values else None


def _overall(vectors: Sequence[Vector]) -> float | None:
    turns = [turn for turn in vectors if turn]
    if len(turns) < 2:
        return None
    whole = _sum(turns)
    square = _dot(whole, whole)
    values: list[float] = []
    for turn in turns:
        dot = _dot(turn, whole) - 1  # without the turn itself, whose norm is 1
        rest = sqrt(max(0.0, square - 2 * dot - 1))
        values.append(max(0.0, dot) / rest if rest > 1e-9 else 0.0)
    return sum(values) / len(values)


def _consistency(speakers: Sequence[str], vectors: Sequence[Vector]) -> float | None:
    """Return the speaker consistency. Sums of cosines are computed from the norms of vector
    sums."""
    own = defaultdict[str, list[Vector]](list)
    for speaker, turn in zip(speakers, vectors, strict=True):
        if turn:
            own[speaker].append(turn)
    alike, pairs = 0.0, 0
    for turns in own.values():
        alike += _pair_sum(turns)
        pairs += len(turns) * (len(turns) - 1) // 2
    everything = [turn for turns in own.values() for turn in turns]
    rest = len(everything) * (len(everything) - 1) // 2 - pairs
    if not pairs or not rest:
        return None
    return alike / pairs - (_pair_sum(everything) - alike) / rest


def _pair_sum(turns: Sequence[Vector]) -> float:
    whole = _sum(turns)
    return max(0.0, (_dot(whole, whole) - len(turns)) / 2)


def _sum(vectors: Sequence[Vector]) -> Vector:
    whole = defaultdict[str, float](float)
    for vector in vectors:
        for word, weight in vector.items():
            whole[word] += weight
    return whole


def _dot(one: Vector, other: Vector) -> float:
    if len(one) > len(other):
        one, other = other, one
    return sum(weight * other[word] for word, weight in one.items() if word in other)
