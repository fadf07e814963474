"""Read a judge's score from its reply: the number in the text and the token probabilities.

In G-Eval (Liu et al., 2023, section 2.2), the score is the sum of k times p(k) over the scale,
where p(k) is the probability of the score token k.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, isnan

from convogen.models.base import ModelReply, TokenLogprob

__all__ = [
    "Scale",
    "ScoreMatch",
    "Weighed",
    "find_score",
    "mean_score",
    "token_at",
    "token_score",
    "weigh",
]

Scale = tuple[int, int]
"""The lowest and the highest score, both single digits."""

_RANGE = re.compile(r"\d+\s*(?:-|–|—|to|through)\s*\d+")
_MAXIMUM = re.compile(r"(?<=\d)\W{0,3}\s*(?:/|out\s+of|of)\s*\d+")
_NUMBER = re.compile(r"(?<![\w.,/−-])\d+(?![\w]|[.,]\d)")
_AROUND_DIGIT = " \t\n\r.,:;!*_\"'`()[]▁Ġ"


@dataclass(frozen=True, slots=True)
class ScoreMatch:
    """A score named in a reply and its character position."""

    score: int
    position: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """The mean score (`value`), the normalised probabilities of the scores (`shares`), and the
    total of these probabilities before normalisation (`mass`)."""

    value: float
    shares: dict[str, float]
    mass: float


def find_score(text: str, scale: Scale) -> ScoreMatch | None:
    """Return the only score on the scale that a reply names; None if the reply names no score or
    several.

    The scale itself (`1 to 5`) and its maximum (`4/5`, `4 out of 5`) are not scores.
    """
    blanked = _RANGE.sub(lambda match: " " * len(match[0]), text)
    blanked = _MAXIMUM.sub(lambda match: " " * len(match[0]), blanked)
    low, high = scale
    matches = [ScoreMatch(int(m[0]), m.start()) for m in _NUMBER.finditer(blanked)]
    matches = [match for match in matches if low <= match.score <= high]
    return matches[0] if len({match.score for match in matches}) == 1 else None


def token_score(token: str, scale: Scale) -> int | None:
    """Return the score that a token denotes (`4`, ` 4` and `4.` are all 4); None for other
    tokens."""
    digit = token.strip(_AROUND_DIGIT)
    if len(digit) != 1 or not ("0" <= digit <= "9"):
        return None
    return int(digit) if scale[0] <= int(digit) <= scale[1] else None


def weigh(reply: ModelReply, match: ScoreMatch, scale: Scale) -> Weighed | None:
    """Return the mean score, weighted by the probabilities of the score tokens at the position of
    the score that the reply names.

    Return None if the endpoint returned no alternatives for that position.
    """
    token = token_at(reply, match.position)
    if token is None or not token.top:
        return None
    alternatives = list(token.top)
    if token.token not in dict(alternatives):
        alternatives.append((token.token, token.logprob))
    weights = dict.fromkeys(range(scale[0], scale[1] + 1), 0.0)
    for text, logprob in alternatives:
        score = token_score(text, scale)
        if score is not None and not isnan(logprob):
            weights[score] += exp(min(logprob, 0.0))
    mass = sum(weights.values())
    if mass <= 0:
        return None
    shares = {str(score): weight / mass for score, weight in weights.items()}
    return Weighed(sum(int(k) * p for k, p in shares.items()), shares, min(mass, 1.0))


def token_at(reply: ModelReply, position: int) -> TokenLogprob | None:
    """Return the token that covers a character position of a reply's text.

    The tokens may begin with a reasoning model's thoughts, which are not part of the text.
    """
    tokens = reply.logprobs or ()
    start = "".join(token.token for token in tokens).rfind(reply.text.strip())
    lead = len(reply.text) - len(reply.text.lstrip())
    place = start + position - lead
    if start < 0:
        return None
    for token in tokens:
        if place < len(token.token):
            return token
        place -= len(token.token)
    return None


def mean_score(scores: Sequence[int], scale: Scale) -> Weighed:
    """Return the mean of sampled scores (at least one) and the share of each."""
    counts = Counter(scores)
    shares = {str(score): counts[score] / len(scores) for score in range(scale[0], scale[1] + 1)}
    return Weighed(sum(scores) / len(scores), shares, 1.0)
