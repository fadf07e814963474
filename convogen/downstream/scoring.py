"""Summaries beside their references: ROUGE-L and BERTScore, one number a summary.

ROUGE-L (Lin, 2004): F1 without stemming, as by `rouge-score`. BERTScore (Zhang et al., 2020): F1 by
torchmetrics, without idf weights and rescaling, at the layer named or the model's last.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from convogen.errors import ModelConfigError
from convogen.metrics.rouge import rouge_l
from convogen.models.transformers_model import transformers_class

__all__ = ["bert_scores", "rouge_l_scores"]


def rouge_l_scores(summaries: Sequence[str], references: Sequence[str]) -> list[float]:
    """ROUGE-L F1 of each summary and its reference, 0 to 1."""
    return [rouge_l(*pair) for pair in zip(summaries, references, strict=True)]


def bert_scores(summaries: Sequence[str], references: Sequence[str], model: str) -> list[float]:
    """BERTScore F1 of each summary and its reference; 0 for an empty summary.

    `model` is the name or folder of an encoder, and after an @ the layer that is compared:
    `roberta-large@17`. Raises `ModelConfigError` where it cannot be loaded.
    """
    name, _, layer = model.rpartition("@")
    if not (name and layer.isdecimal()):
        name, layer = model, ""
    transformers_class("AutoModel")
    said = [at for at, summary in enumerate(summaries) if summary.strip()]
    scores = np.zeros(len(summaries))
    if not said:
        return scores.tolist()
    try:
        score: Any = import_module("torchmetrics.functional.text.bert").bert_score
        found = score(
            [summaries[at] for at in said],
            [references[at] for at in said],
            model_name_or_path=name,
            num_layers=int(layer) if layer else None,
            truncation=True,
        )
    except (OSError, ValueError, ImportError) as error:
        fault = " ".join(str(error).split())[:200]
        raise ModelConfigError(
            f"--bertscore {model}: cannot be used ({fault}); name an encoder that transformers "
            "loads, such as roberta-large@17, or leave BERTScore out"
        ) from error
    scores[said] = np.nan_to_num(np.atleast_1d(np.asarray(found["f1"], float)))
    return scores.tolist()
