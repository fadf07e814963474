"""The keys of a training's `manifest.json` that are read again."""

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
    """Counts of a source's tokens.

    `targets` counts the tokens to learn. The `truncated` samples lost `cut_tokens` tokens, of which
    `cut_targets` were targets. The `without_target` samples are left out.
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

    `dropped` counts the omitted dialogues by reason; `without_task` counts those learned without
    the person's task (not recorded by early versions).
    """

    dropped: dict[str, int]
    without_task: NotRequired[int]


class Data(TypedDict):
    """The sources; `shared_left_out` counts the dialogues that both contain, which were not trained
    on."""

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
