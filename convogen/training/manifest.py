"""The keys in a training run's `manifest.json` that convogen reads."""

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
    """Counts of dialogues, samples and tokens in a source.

    `targets` counts the tokens to learn. The `truncated` samples lost `cut_tokens` tokens, of which
    `cut_targets` were targets. The `without_target` samples have no targets and are left out.
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
    """Counts for a source used for training or evaluation.

    `dropped` maps each reason for omitting dialogues to the number of dialogues. `without_task`
    counts the dialogues that are learned without the person's task; early versions did not record
    this number.
    """

    dropped: dict[str, int]
    without_task: NotRequired[int]


class Data(TypedDict):
    """The training and evaluation sources.

    `shared_left_out` counts the dialogues that both sources contain. They are excluded from
    training.
    """

    licence: str
    shared_left_out: int
    train: SourceCounts
    held_out: SourceCounts


class PerplexityReport(TypedDict):
    """A perplexity, the mean negative log-likelihood in nats, and the numbers of targets and
    dialogues."""

    value: float
    nll: float
    targets: int
    dialogues: int


class Perplexities(TypedDict):
    """Perplexities on the held-out source, before and after training."""

    before: PerplexityReport
    after: PerplexityReport


class TrainingManifest(TypedDict):
    """The manifest of a completed training run."""

    fingerprint: str
    complete: bool
    packages: dict[str, str]
    training: dict[str, object]
    system_folded: bool
    data: Data
    perplexity: Perplexities
