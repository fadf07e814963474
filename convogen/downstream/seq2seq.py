"""Fine-tuning of a seq2seq checkpoint on summaries, and summarization with it (transformers).

Any encoder-decoder that transformers supports can be used, such as BART, DistilBART, T5 or LED. The
checkpoint's own generation settings apply, except for the number of beams and the lengths.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from importlib import import_module
from math import ceil
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from convogen.downstream.data import Example
from convogen.errors import ModelConfigError
from convogen.models.backends.transformers_backend import transformers_class

__all__ = ["Training", "check_seq2seq", "load_seq2seq", "summarise_with"]


class Training(BaseModel):
    """Settings for fine-tuning a checkpoint and for generation, all of which affect the summaries.

    The defaults are taken from the code of DiaSynth's authors.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpoint: str = Field(min_length=1, description="name or folder of a seq2seq checkpoint")
    epochs: float = Field(default=2, gt=0, allow_inf_nan=False)
    steps: int | None = Field(default=None, ge=1, description="training steps; overrides epochs")
    batch: int = Field(default=8, ge=1, description="batch size, in dialogues")
    accumulation: int = Field(default=2, ge=1, description="batches per optimizer step")
    learning_rate: float = Field(default=5e-5, gt=0, allow_inf_nan=False)
    warmup_steps: int = Field(
        default=50, ge=0, description="number of warm-up steps, at most half of all steps"
    )
    weight_decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    dialogue_tokens: int = Field(
        default=1024, ge=16, description="dialogue length in tokens; longer dialogues are truncated"
    )
    summary_tokens: int = Field(
        default=128, ge=4, description="maximum number of tokens in a summary"
    )
    least_tokens: int = Field(default=30, ge=0, description="minimum number of tokens in a summary")
    length_penalty: float = Field(
        default=2.0,
        allow_inf_nan=False,
        description="length penalty in beam search; values above 0 favour longer outputs",
    )
    beams: int = Field(default=4, ge=1)

    @property
    def name(self) -> str:
        """Return the checkpoint's name without its folders."""
        return Path(self.checkpoint).name


def check_seq2seq(checkpoint: str) -> None:
    """Raise `ModelConfigError` if a checkpoint cannot be trained; the checkpoint is not loaded."""
    config_class = transformers_class("AutoConfig")
    try:
        import_module("accelerate")
    except ImportError as error:
        raise ModelConfigError(
            "fine-tuning needs accelerate, which is not installed; run pip install "
            "'convogen[train]'"
        ) from error
    try:
        if not config_class.from_pretrained(checkpoint).is_encoder_decoder:
            raise ValueError("it is not an encoder-decoder")
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _unusable(checkpoint, error) from error


def load_seq2seq(checkpoint: str) -> tuple[Any, Any]:
    """Return an encoder-decoder model and its tokenizer.

    Raises `ModelConfigError` if transformers cannot load the model or the tokenizer.
    """
    model_class = transformers_class("AutoModelForSeq2SeqLM")
    tokenizer_class = transformers_class("AutoTokenizer")
    try:
        tokenizer = tokenizer_class.from_pretrained(checkpoint)
        return model_class.from_pretrained(checkpoint, use_safetensors=True), tokenizer
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise _unusable(checkpoint, error) from error


def _unusable(checkpoint: str, error: Exception) -> ModelConfigError:
    said = " ".join(str(error).split())[:200]
    return ModelConfigError(
        f"--checkpoint {checkpoint}: is not a seq2seq checkpoint in safetensors format that "
        f"transformers can load ({said}); specify a checkpoint such as "
        f"sshleifer/distilbart-cnn-12-6, or a checkpoint folder"
    )


def summarise_with(
    training: Training, examples: Sequence[Example], dialogues: Sequence[str], seed: int
) -> list[str]:
    """Fine-tune a checkpoint on examples, and summarise dialogues with it.

    Without examples, the untuned checkpoint is used. The same seed on the same machine gives the
    same summaries.
    """
    transformers_class("set_seed")(seed)
    model, tokenizer = load_seq2seq(training.checkpoint)
    arguments = transformers_class("Seq2SeqTrainingArguments")
    collator = transformers_class("DataCollatorForSeq2Seq")(tokenizer, model=model)

    def collate(rows: list[dict[str, Any]]) -> Any:
        return _seeing_all(model, collator(rows))

    with tempfile.TemporaryDirectory(prefix="convogen-") as folder:
        trainer = transformers_class("Seq2SeqTrainer")(
            model=model,
            args=arguments(
                output_dir=folder,
                num_train_epochs=training.epochs,
                max_steps=training.steps or -1,
                per_device_train_batch_size=training.batch,
                gradient_accumulation_steps=training.accumulation,
                learning_rate=training.learning_rate,
                warmup_steps=_warmup(training, len(examples)),
                weight_decay=training.weight_decay,
                seed=seed,
                save_strategy="no",
                logging_strategy="no",
                report_to="none",
                disable_tqdm=True,
                dataloader_pin_memory=False,
            ),
            train_dataset=_rows(training, model, tokenizer, examples) if examples else None,
            data_collator=collate,
        )
        trainer.remove_callback(transformers_class("PrinterCallback"))
        if examples:
            trainer.train()
    return _write(training, model.eval(), tokenizer, dialogues)


def _warmup(training: Training, n: int) -> int:
    """Return the number of warm-up steps, at most half of all steps."""
    an_epoch = ceil(ceil(n / training.batch) / training.accumulation)
    steps = training.steps or ceil(training.epochs * an_epoch)
    return min(training.warmup_steps, steps // 2)


def _rows(
    training: Training, model: Any, tokenizer: Any, examples: Sequence[Example]
) -> list[dict[str, Any]]:
    read = _read(training, model, tokenizer, [one.dialogue for one in examples])
    targets = tokenizer(
        text_target=[one.target for one in examples],
        max_length=training.summary_tokens,
        truncation=True,
    ).input_ids
    end = tokenizer.eos_token_id
    ended = [ids if ids[-1:] == [end] else [*ids, end] for ids in targets]
    return [
        {**{name: values[at] for name, values in read.items()}, "labels": ended[at]}
        for at in range(len(examples))
    ]


def _read(training: Training, model: Any, tokenizer: Any, dialogues: Sequence[str]) -> Any:
    """Return the `input_ids` and `attention_mask` of dialogues, truncated to the model's limit."""
    kind = model.config.model_type
    limit = getattr(model.config, "max_encoder_position_embeddings", None) or getattr(
        model.config, "max_position_embeddings", training.dialogue_tokens
    )
    texts = [f"summarize: {one}" if kind == "t5" else one for one in dialogues]
    length = min(training.dialogue_tokens, limit)
    read = dict(tokenizer(texts, max_length=length, truncation=True))
    return {name: read[name] for name in ("input_ids", "attention_mask")}


def _seeing_all(model: Any, padded: Any) -> Any:
    """Return a padded batch, with global attention on the first token if the model is an LED.

    The mask is added after padding because the tokenizer cannot pad it.
    """
    if model.config.model_type == "led":
        mask = padded["input_ids"].new_zeros(padded["input_ids"].shape)
        mask[:, 0] = 1
        padded["global_attention_mask"] = mask
    return padded


def _lengths(training: Training) -> dict[str, Any]:
    """Return the settings for summary lengths and beams, which override the checkpoint's own."""
    most = training.summary_tokens
    of_beams = {"length_penalty": training.length_penalty, "early_stopping": True}
    return {
        "max_new_tokens": most,
        "min_length": min(training.least_tokens, most),
        "min_new_tokens": None,
        "num_beams": training.beams,
        **(of_beams if training.beams > 1 else {}),
    }


def _write(training: Training, model: Any, tokenizer: Any, dialogues: Sequence[str]) -> list[str]:
    torch: Any = import_module("torch")
    summaries: list[str] = []
    for start in range(0, len(dialogues), training.batch):
        part = dialogues[start : start + training.batch]
        padded = tokenizer.pad(_read(training, model, tokenizer, part), return_tensors="pt")
        read = _seeing_all(model, padded)
        with torch.inference_mode():
            written = model.generate(
                **{name: values.to(model.device) for name, values in read.items()},
                **_lengths(training),
            )
        texts = tokenizer.batch_decode(written, skip_special_tokens=True)
        summaries.extend(" ".join(text.split()) for text in texts)
    return summaries
