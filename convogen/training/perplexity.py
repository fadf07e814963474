"""The perplexity of a model on the targets of held-out dialogues."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from convogen.errors import SourceError
from convogen.training.dialogues import Encoded

__all__ = ["Perplexity", "perplexity"]


@dataclass(frozen=True, slots=True)
class Perplexity:
    """A perplexity, which is exp(`nll`).

    `nll` is the mean negative log-likelihood in nats, and `targets` is the number of targets.
    """

    value: float
    nll: float
    targets: int

    def as_dict(self) -> dict[str, float]:
        """Return the values as a dictionary, rounded to 6 decimals."""
        return {key: round(value, 6) for key, value in asdict(self).items()}


def perplexity(
    model: Any, rows: Sequence[Encoded], done: Callable[[int], None] = lambda _: None
) -> Perplexity:
    """Return the perplexity of a model on the targets of all rows.

    All targets have the same weight, whatever the length of their row. Rows are processed one at a
    time, without padding, and `done` receives the number of processed rows. Raises `SourceError` if
    there are no targets.
    """
    torch: Any = import_module("torch")
    was_training = model.training
    model.eval()
    total, targets = 0.0, 0
    with torch.inference_mode():
        for nth, row in enumerate(rows, 1):
            ids = torch.tensor([row.input_ids], device=model.device)
            # A label is predicted from the preceding tokens, so the first token never is.
            labels = torch.tensor(row.labels[1:], device=model.device)
            wanted = labels >= 0
            logits = model(input_ids=ids).logits[0, :-1][wanted].float()
            nll = torch.nn.functional.cross_entropy(logits, labels[wanted], reduction="none")
            total += float(nll.double().sum())
            targets += int(wanted.sum())
            done(nth)
    model.train(was_training)
    if not targets:
        raise SourceError(
            "perplexity: the dialogues contain no target tokens; use other dialogues or a larger "
            "block"
        )
    mean = total / targets
    return Perplexity(math.exp(min(mean, 700)), mean, targets)
