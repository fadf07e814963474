"""What the `manifest.json` of a training holds, as far as it is read again."""

from __future__ import annotations

from typing import NotRequired, TypedDict

__all__ = [
    "Data",
    "Perplexities",
    "PerplexityReport",
    "SourceCounts",
    "TokenCounts",
    "TrainingManifest",
]


class TokenCounts(TypedDict):
    """Counts of a source as tokens.

    `targets` are the tokens that are learned; of `truncated` samples, `cut_tokens` tokens and
    `cut_targets` targets are lost; samples `without_target` are left out.
    """

    dialogues: int
    samples: int
    tokens: int
    targets: int
    truncated: int
    cut_tokens: int
    cut_targets: int
    without_target: int


class SourceCounts(TokenCounts):
    """What was learned or measured of a source.

    `dropped` counts the dialogues left out, by reason; `without_task` those learned without what
    their person wants, which early versions do not say.
    """

    dropped: dict[str, int]
    without_task: NotRequired[int]


class Data(TypedDict):
    """The sources; `shared_left_out` dialogues are in both and were not trained on."""

    licence: str
    shared_left_out: int
    train: SourceCounts
    held_out: SourceCounts


class PerplexityReport(TypedDict):
    """A perplexity, the mean negative log-likelihood in nats, and what they are over."""

    value: float
    nll: float
    targets: int
    dialogues: int


class Perplexities(TypedDict):
    """Those of the held-out source, before training and after it."""

    before: PerplexityReport
    after: PerplexityReport


class TrainingManifest(TypedDict):
    """The manifest of a training that is complete."""

    fingerprint: str
    complete: bool
    packages: dict[str, str]
    training: dict[str, object]
    system_folded: bool
    data: Data
    perplexity: Perplexities
