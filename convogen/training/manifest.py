"""The content of a training's `manifest.json`, as far as it is read again."""

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

    `targets` are the learned tokens; `truncated` samples lost `cut_tokens` tokens and `cut_targets`
    targets; samples `without_target` are left out.
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
    """Counts of a source used for training or evaluation.

    `dropped` counts left-out dialogues by reason; `without_task` those learned without their
    person's task, which early versions do not record.
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
    """A perplexity, the mean negative log-likelihood in nats, and the number of targets."""

    value: float
    nll: float
    targets: int
    dialogues: int


class Perplexities(TypedDict):
    """Perplexities of the held-out source, before and after training."""

    before: PerplexityReport
    after: PerplexityReport


class TrainingManifest(TypedDict):
    """The manifest of a completed training."""

    fingerprint: str
    complete: bool
    packages: dict[str, str]
    training: dict[str, object]
    system_folded: bool
    data: Data
    perplexity: Perplexities
