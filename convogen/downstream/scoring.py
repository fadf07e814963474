"""Scores of summaries against their references: ROUGE-L and BERTScore, one value per summary.

ROUGE-L (Lin, 2004) is the F1 without stemming, as in `rouge-score`. BERTScore (Zhang et al., 2020)
is the F1 without idf weights or rescaling, at the given layer or, by default, the last layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from convogen.errors import ModelConfigError
from convogen.models.backends.transformers_backend import transformers_class
from convogen.text.rouge import rouge_l

__all__ = ["BertScore", "check_encoder", "rouge_l_scores"]

BATCH = 32
MOST_TOKENS = 510
"""Maximum length of a text, in tokens: an encoder's 512 positions minus two special tokens. Longer
texts are truncated."""


def rouge_l_scores(summaries: Sequence[str], references: Sequence[str]) -> list[float]:
    """Return the ROUGE-L F1 (0 to 1) of each summary against its reference."""
    return [rouge_l(*pair) for pair in zip(summaries, references, strict=True)]


def check_encoder(model: str) -> None:
    """Raise `ModelConfigError` if BERTScore cannot use the model; the model is not loaded."""
    name, layer = _named(model)
    try:
        config = transformers_class("AutoConfig").from_pretrained(name)
        if config.is_encoder_decoder:
            raise ValueError("it is an encoder-decoder")
        layers = getattr(config, "num_hidden_layers", None)
        if layer is not None and isinstance(layers, int) and layer > layers:
            raise ValueError(f"it has only {layers} layers")
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _unusable(model, error) from error


class BertScore:
    """BERTScore with one encoder, given as NAME or NAME@LAYER, such as `roberta-large@17`.

    NAME may also be a folder. The torchmetrics library is not used, because it sorts summaries and
    references by length separately and therefore scores summaries against the wrong references
    (torchmetrics issue 2728). Raises `ModelConfigError` if the encoder cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        name, layer = _named(model)
        check_encoder(model)
        try:
            self._tokenizer: Any = transformers_class("AutoTokenizer").from_pretrained(name)
            encoder = transformers_class("AutoModel").from_pretrained(name)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise _unusable(model, error) from error
        torch: Any = import_module("torch")
        self._encoder = encoder.to("cuda" if torch.cuda.is_available() else "cpu").eval()
        self._layer = -1 if layer is None else layer
        room = getattr(encoder.config, "max_position_embeddings", None) or MOST_TOKENS + 2
        self._most = min(MOST_TOKENS, room - 2, self._tokenizer.model_max_length)

    def scores(self, summaries: Sequence[str], references: Sequence[str]) -> list[float]:
        """Return the F1 of each summary against its reference, or 0 if either text is empty."""
        found: list[float] = []
        for start in range(0, len(summaries), BATCH):
            ours = self._vectors(summaries[start : start + BATCH])
            theirs = self._vectors(references[start : start + BATCH])
            found.extend(_f1(*pair) for pair in zip(ours, theirs, strict=True))
        return found

    def _vectors(self, texts: Sequence[str]) -> list[Any]:
        """Return the unit vectors of the tokens in each text, without special tokens."""
        torch: Any = import_module("torch")
        read = self._tokenizer(
            [text.strip() or "." for text in texts],
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._most,
            return_special_tokens_mask=True,
        ).to(self._encoder.device)
        inputs = {key: read[key] for key in ("input_ids", "attention_mask")}
        with torch.inference_mode():
            states = self._encoder(**inputs, output_hidden_states=True).hidden_states[self._layer]
        units = torch.nn.functional.normalize(states.float(), dim=-1)
        said = (read["attention_mask"] == 1) & (read["special_tokens_mask"] == 0)
        return [
            units[at][said[at]] if text.strip() else units[at][:0] for at, text in enumerate(texts)
        ]


def _f1(ours: Any, theirs: Any) -> float:
    """Return the F1 of two texts, based on each token's best match in the other text."""
    if not (len(ours) and len(theirs)):
        return 0.0
    alike = ours @ theirs.T
    precision, recall = float(alike.amax(1).mean()), float(alike.amax(0).mean())
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _named(model: str) -> tuple[str, int | None]:
    name, _, layer = model.rpartition("@")
    return (name, int(layer)) if name and layer.isdecimal() else (model, None)


def _unusable(model: str, error: Exception) -> ModelConfigError:
    fault = " ".join(str(error).split())[:200]
    return ModelConfigError(
        f"--bertscore {model}: cannot be used ({fault}); specify an encoder that transformers can "
        "load, such as roberta-large@17, or omit --bertscore"
    )
