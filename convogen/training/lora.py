"""The training loop: LoRA (PEFT) with TRL's `SFTTrainer`, checkpoints and a log."""

from __future__ import annotations

import json
import math
import re
import shutil
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convogen.errors import ExperimentError, ModelConfigError
from convogen.jsonl import append_line, mend_last_line, write_whole, writing
from convogen.training.dialogues import Encoded
from convogen.training.loading import library
from convogen.training.settings import Settings

__all__ = [
    "adapted_modules",
    "adapter_matrices",
    "changed_weights",
    "check_adapter",
    "check_settings",
    "load_adapter",
    "save_adapter",
    "train_adapter",
]

Progress = Callable[[int, int], None]

_PREFIX = "base_model.model."
"""The prefix that PEFT adds to the base model's module names."""


def check_settings(model: Any, settings: Settings, folder: Path) -> None:
    """Raise `ModelConfigError` or `ExperimentError` if a training library rejects the settings.

    The libraries check whether the model has the target modules (using the model's structure,
    without weights), and whether the optimizer and the precision are available. Nothing is written
    to `folder`.
    """
    torch, transformers = library("torch"), library("transformers")
    with torch.device("meta"):
        shape = type(model)(model.config)
    try:
        with _known_warnings():
            library("peft").get_peft_model(shape, _adapter(settings))
    except (ValueError, re.error) as error:
        said = " ".join(str(error).split())[:200]
        raise ModelConfigError(
            f"target_modules {settings.target_modules!r}: do not fit this model ({said}); use "
            f"all-linear or [q_proj, v_proj]"
        ) from error
    try:
        with _known_warnings():
            arguments = _arguments(library("trl"), settings, folder, 1)
        transformers.Trainer.get_optimizer_cls_and_kwargs(arguments, shape)
    except (ValueError, ImportError, RuntimeError) as error:
        said = " ".join(str(error).split())[:200]
        raise ExperimentError(
            f"optimizer {settings.optimizer}, precision {settings.precision}: cannot be used "
            f"({said}); change the optimizer or the precision"
        ) from error


def train_adapter(
    model: Any,
    tokenizer: Any,
    rows: Sequence[Encoded],
    *,
    settings: Settings,
    folder: Path,
    progress: Progress,
) -> Any:
    """Train the model's adapter, or a new adapter, on `rows`, and return the adapted model.

    Training resumes from the last checkpoint in `folder` and appends lines to `log.jsonl` there.
    `progress` receives the number of completed steps and the total number of steps. An exception
    raised by `progress` ends the training.
    """
    last = _last_checkpoint(folder / "checkpoints")
    _mend_log(folder / "log.jsonl", _step(last) if last else 0)
    trl, datasets = library("trl"), library("datasets")
    transformers = library("transformers")
    data = datasets.Dataset.from_list(
        [{"input_ids": row.input_ids, "labels": row.labels} for row in rows]
    )
    with _known_warnings():
        trainer = trl.SFTTrainer(
            model=model,
            args=_arguments(trl, settings, folder / "checkpoints", len(rows)),
            train_dataset=data,
            processing_class=tokenizer,
            peft_config=None if adapted_modules(model) else _adapter(settings),
            callbacks=[_log_to(folder / "log.jsonl", progress)],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    # Without the casting wrapper, so that perplexity is measured in 32 bits, as before training.
    return trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)


def save_adapter(model: Any, base: str, folder: Path) -> None:
    """Save an adapter for PEFT, with `base` as the name of its base model."""
    model.peft_config["default"].base_model_name_or_path = base
    with writing(folder):
        model.save_pretrained(folder, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)  # an empty model card


def load_adapter(model: Any, folder: Path, *, trainable: bool = False) -> Any:
    """Return the model with the adapter that is stored in a folder."""
    with _known_warnings():
        adapted = library("peft").PeftModel.from_pretrained(model, folder, is_trainable=trainable)
    adapted.peft_config["default"].base_model_name_or_path = None  # else PEFT queries the hub
    return adapted


def check_adapter(folder: Path, settings: Settings) -> None:
    """Raise `ModelConfigError` if a folder's adapter is missing or does not fit the settings."""
    try:
        found = json.loads((folder / "adapter_config.json").read_text("utf-8"))
        shape = {"rank": found["r"], "alpha": found["lora_alpha"]}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ModelConfigError(
            f"{folder}: is not a LoRA adapter; specify the folder of a training run"
        ) from error
    for key, value in shape.items():
        if value != (asked := getattr(settings, key)):
            raise ModelConfigError(
                f"{folder}: the adapter's {key} is {value}, but the settings specify {asked}; to "
                f"train this adapter further, use --set {key}={value}"
            )


def adapted_modules(model: Any) -> list[str]:
    """Return the base model's names for the modules with an adapter."""
    names = (name for name, module in model.named_modules() if hasattr(module, "lora_A"))
    return [str(name).removeprefix(_PREFIX) for name in names]


def adapter_matrices(model: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the name and the 32-bit matrices of each adapted module.

    The matrices are A, of shape (rank, in), and B, of shape (out, rank).
    """
    modules: dict[str, Any] = dict(model.named_modules())
    for name in adapted_modules(model):
        module = modules[f"{_PREFIX}{name}"]
        down, up = module.lora_A["default"].weight, module.lora_B["default"].weight
        yield name, down.detach().float().cpu().numpy(), up.detach().float().cpu().numpy()


def changed_weights(merged: Any, adapted: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the name and the 32-bit weights of each module that the adapter changed."""
    modules: dict[str, Any] = dict(merged.named_modules())
    for name in adapted:
        yield name, modules[name].weight.detach().float().cpu().numpy()


@contextmanager
def _known_warnings() -> Generator[None]:
    """Suppress warnings about TRL's own defaults and about a base that is a single GGUF file."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*gradient_checkpointing` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", "Could not find a config file in", UserWarning)
        yield


def _adapter(settings: Settings) -> Any:
    return library("peft").LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=settings.target_modules,
    )


def _arguments(trl: Any, settings: Settings, folder: Path, n_rows: int) -> Any:
    """Return the training arguments; without a GPU, training uses fp32 unless bf16 is set."""
    on_gpu = bool(library("torch").cuda.is_available())
    batches = math.ceil(n_rows / settings.batch)
    total = settings.steps or math.ceil(
        math.ceil(batches / settings.accumulation) * settings.epochs
    )
    return trl.SFTConfig(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        max_steps=settings.steps or -1,
        per_device_train_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.scheduler,
        warmup_steps=math.ceil(total * settings.warmup),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        optim=settings.optimizer,
        fp16=on_gpu and settings.precision == "fp16",
        bf16=settings.precision == "bf16",
        use_cpu=not on_gpu,
        gradient_checkpointing=on_gpu,
        seed=settings.seed,
        data_seed=settings.seed,
        max_length=settings.block,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        save_strategy="steps",
        save_steps=settings.save_every,
        save_total_limit=1,
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
        push_to_hub=False,
    )


def _log_to(path: Path, progress: Progress) -> Any:
    """Return a callback that writes a line of JSON and reports progress at each step."""
    transformers = library("transformers")

    class Log(transformers.TrainerCallback):
        def on_log(
            self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any
        ) -> None:
            del args, control
            if "loss" in logs:
                row = {"step": state.global_step, **logs}
                append_line(path, json.dumps(row, default=float).encode() + b"\n")

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            del args, control
            progress(state.global_step, state.max_steps)

    return Log()


def _last_checkpoint(folder: Path) -> Path | None:
    """Return the last complete checkpoint, and remove checkpoints that a crash left incomplete."""
    whole: list[Path] = []
    for path in folder.glob("checkpoint-*"):
        if (path / "trainer_state.json").is_file():
            whole.append(path)
        else:
            with writing(path):
                shutil.rmtree(path)
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _mend_log(path: Path, step: int) -> None:
    """Remove the log lines for steps after the checkpoint, since these steps will be repeated."""
    if path.exists():
        mend_last_line(path)
        lines = path.read_text("utf-8").splitlines(keepends=True)
        write_whole(path, "".join(line for line in lines if json.loads(line)["step"] <= step))
