"""Fine-tuning from start to finish: data, perplexity before and after training, and exports.

manifest.json       base model, data, settings, versions, counts, perplexities
log.jsonl           one line per step: loss, learning rate, …
checkpoints/        only during training; the same command resumes from the last checkpoint
adapter/            the LoRA adapter, for PEFT, vLLM, …
merged/             the whole model with the adapter in its weights (safetensors)
<folder>.gguf       the whole model, for llama.cpp and `--model FILE`
lora.gguf           the adapter alone, which llama.cpp loads together with the base model
"""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

from convogen.corpora.seeds import Seed, open_seeds
from convogen.errors import RunFolderError, SourceError
from convogen.experiment.fingerprint import fingerprint_of
from convogen.jsonl import write_whole, writing
from convogen.storage.run_folder import Run, differences
from convogen.storage.task_log import claim, lock, moved_aside
from convogen.training import gguf_file, lora
from convogen.training.dialogues import TokenData, encode_all
from convogen.training.lessons import Lesson, Lessons, inquirer_lessons, sample, unshared
from convogen.training.loading import (
    check_installed,
    gguf_of,
    identity,
    load_trainable,
    weights_hash,
)
from convogen.training.manifest import SourceCounts, TrainingManifest
from convogen.training.perplexity import perplexity
from convogen.training.scenes import SceneForm, read_scenes, scene_lessons
from convogen.training.settings import Settings
from convogen.training.turn_samples import encode_turns
from convogen.version import __version__, installed_versions

__all__ = ["TrainingPlan", "check_plan", "fine_tune", "without_task"]

DATA_FORMAT = 1
"""Incremented when a new version of the code trains a different model from the same plan."""

ADAPTER = "lora.gguf"
ADAPTER_FOLDER = "adapter"
MIN_UTTERANCES = 2
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "gguf")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class TrainingPlan:
    """The base model, the data, the settings and the exports of a training run.

    `train` and `held_out` are sources that `open_corpus` accepts. `licence` names the training
    data's licence, for the manifest. `scenes` is the form in which the model learns the turns of
    group-chat agents; if it is None, the model learns the inquirer's turns instead. `start` is the
    folder of an earlier training run whose adapter is trained further; if it is None, a new adapter
    is trained. `tasks` maps the ids of dialogues without a `task_summary` to the person's task (see
    `without_task`).
    """

    base: str
    train: str
    held_out: str
    settings: Settings
    formats: tuple[str | None, str | None] = (None, None)
    licence: str | None = None
    merge: bool = False
    gguf: bool = False
    scenes: SceneForm | None = None
    start: Path | None = None
    tasks: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Data:
    train: Lessons
    held_out: Lessons
    shared: int
    chosen: list[Lesson] = field(default_factory=list[Lesson])
    measured: list[Lesson] = field(default_factory=list[Lesson])


def _silent(stage: str, done: int, total: int) -> None:
    """Ignore the progress."""


def fine_tune(
    plan: TrainingPlan, folder: Path, fresh: bool = False, progress: Progress = _silent
) -> TrainingManifest:
    """Train an adapter in `folder`, or resume its training, and return the manifest.

    Completed training and existing exports are not repeated.
    """
    check_plan(plan, folder)
    data = _read(plan)
    if fresh and (folder / "manifest.json").exists():
        moved_aside(folder)
    claim(folder)
    held = lock(folder)
    try:
        return _Tuning(plan, folder, data, progress).run()
    finally:
        held.release()


def check_plan(plan: TrainingPlan, folder: Path) -> None:
    """Check a plan as far as possible without reading data, calling models or loading libraries.

    Nothing is written. Raises `ModelConfigError` if a library is missing, or if the base or the
    adapter in `start` cannot be used. Raises `RunFolderError` if `folder` contains anything other
    than a training run.
    """
    for name in PACKAGES:
        check_installed(name)
    base = gguf_of(plan.base)
    if plan.gguf:
        gguf_file.check_exportable(base)
    if plan.start:
        lora.check_adapter(plan.start / ADAPTER_FOLDER, plan.settings)
    if (folder / "manifest.json").exists():
        _trained(folder)
    elif folder.exists():
        claim(folder)


def _trained(folder: Path) -> dict[str, Any]:
    """Return the manifest of a training run.

    Raises `RunFolderError` if the folder contains anything other than a training run.
    """
    manifest = Run(folder).manifest
    if not isinstance(manifest.get("training"), dict):
        raise RunFolderError(
            f"{folder}: its manifest.json does not describe a training run; choose another folder"
        )
    return manifest


def _read(plan: TrainingPlan) -> _Data:
    train, held_out = (
        _lessons(plan, source, form)
        for source, form in zip((plan.train, plan.held_out), plan.formats, strict=True)
    )
    own = unshared(train, held_out)
    settings = plan.settings
    return _Data(
        train,
        held_out,
        shared=len(train.lessons) - len(own),
        chosen=sample(own, settings.n, settings.seed),
        measured=sample(held_out.lessons, settings.n_held_out, settings.seed),
    )


def without_task(plan: TrainingPlan) -> list[Seed]:
    """Return the dialogues that an inquirer would learn without a task.

    Only dialogues that the plan uses for training or evaluation are included. Raises `SourceError`
    if a source cannot be read, or if no training dialogues are left.
    """
    data = _read(plan)
    return [lesson.untold for lesson in (*data.chosen, *data.measured) if lesson.untold]


def _lessons(plan: TrainingPlan, source: str, form: str | None) -> Lessons:
    if plan.scenes is None:
        return inquirer_lessons(open_seeds(source, form, MIN_UTTERANCES), plan.tasks)
    return scene_lessons(read_scenes(source, form), source, plan.scenes)


class _Tuning:
    def __init__(self, plan: TrainingPlan, folder: Path, data: _Data, progress: Progress) -> None:
        self._plan, self._folder, self._data, self._progress = plan, folder, data, progress
        self._adapter = folder / ADAPTER_FOLDER
        self._manifest: dict[str, Any] = {}

    def run(self) -> TrainingManifest:
        self._progress("loading", 0, 0)
        model, tokenizer = load_trainable(self._plan.base)
        block = self._plan.settings.block
        encode = encode_turns if self._plan.scenes is None else encode_all
        rows = encode(tokenizer, self._data.chosen, block)
        measured = encode(tokenizer, self._data.measured, block)
        for source, data in ((self._data.train, rows), (self._data.held_out, measured)):
            if not data.rows:
                raise SourceError(
                    f"{source.name}: in every dialogue, the first {block} tokens (`block`) end "
                    f"before the learner's first word; raise `block`, for example with "
                    f"--set block={Settings.load(None, {}).block}"
                )
        lora.check_settings(model, self._plan.settings, self._folder / "checkpoints")
        self._begin(model, rows, measured)
        if not self._manifest["complete"]:
            model = self._train(model, tokenizer, rows, measured)
        elif missing := self._missing():
            self._progress(f"writing {', '.join(missing)}", 0, 0)
            model = lora.load_adapter(model, self._adapter)
        self._export(model, tokenizer)
        return cast("TrainingManifest", self._manifest)

    def _begin(self, model: Any, rows: TokenData, measured: TokenData) -> None:
        """Record the plan in the folder's manifest.

        Raises `RunFolderError` if the folder contains a training run with a different plan.
        """
        essence = self._essence(model)
        fingerprint = fingerprint_of(essence)
        found: dict[str, Any] = {}
        if (self._folder / "manifest.json").exists():
            found = _trained(self._folder)
            if found["fingerprint"] != fingerprint:
                changed = differences(found["training"], essence)
                raise RunFolderError(
                    f"{self._folder}: contains a different training run (its fingerprint is "
                    f"{found['fingerprint']} instead of {fingerprint}; {changed}); choose another "
                    "--out, or use --fresh to move the existing run aside"
                )
        self._manifest = {"fingerprint": fingerprint, "complete": False, **found}
        self._note(
            packages=_packages(),
            training=essence,
            system_folded=rows.system_folded,
            data={
                "licence": self._plan.licence or "not known",
                "shared_left_out": self._data.shared,
                "train": _counts(self._data.train, self._data.chosen, rows),
                "held_out": _counts(self._data.held_out, self._data.measured, measured),
            },
        )

    def _inquirer(self) -> dict[str, Any]:
        """Return the inputs to an inquirer's lessons other than the sources; empty for scenes."""
        if self._plan.scenes is not None:
            return {}
        tasks = {"tasks": fingerprint_of(dict(self._plan.tasks))}
        return {"samples": "a turn each", **(tasks if self._plan.tasks else {})}

    def _essence(self, model: Any) -> dict[str, Any]:
        """Return everything that determines the weights and their evaluation."""
        settings, start = self._plan.settings.model_dump(exclude={"save_every"}), self._plan.start
        return {
            "format": DATA_FORMAT,
            "base": identity(self._plan.base, model),
            "train": {"name": self._data.train.name, "hash": self._data.train.hash},
            "held_out": {"name": self._data.held_out.name, "hash": self._data.held_out.hash},
            "prompts": self._data.train.prompts,
            **self._inquirer(),
            **({"start": weights_hash(start / ADAPTER_FOLDER)} if start else {}),
            **settings,
        }

    def _train(self, model: Any, tokenizer: Any, rows: TokenData, measured: TokenData) -> Any:
        if self._plan.start:
            model = lora.load_adapter(model, self._plan.start / ADAPTER_FOLDER, trainable=True)
        found = self._manifest.get("perplexity", {})
        if "before" not in found:
            before = self._measure("held-out perplexity before", model, measured)
            self._note(perplexity={"before": before})
        model = lora.train_adapter(
            model,
            tokenizer,
            rows.rows,
            settings=self._plan.settings,
            folder=self._folder,
            progress=partial(self._progress, "training"),
        )
        gguf = gguf_of(self._plan.base)
        lora.save_adapter(model, gguf.name if gguf else self._plan.base, self._adapter)
        after = self._measure("held-out perplexity after", model, measured)
        self._note(perplexity={**self._manifest["perplexity"], "after": after}, complete=True)
        shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)
        return model

    def _measure(self, stage: str, model: Any, data: TokenData) -> dict[str, float]:
        rows = data.rows
        self._progress(stage, 0, len(rows))
        found = perplexity(model, rows, lambda done: self._progress(stage, done, len(rows)))
        return {**found.as_dict(), "dialogues": data.dialogues}

    def _missing(self) -> list[str]:
        gguf = self._plan.gguf
        wanted = {"merged": self._plan.merge, self._gguf.name: gguf, ADAPTER: gguf}
        return [name for name, asked in wanted.items() if asked and not self._there(name)]

    def _there(self, name: str) -> bool:
        path = self._folder / name
        return (path / "config.json").exists() if name == "merged" else path.exists()

    @property
    def _gguf(self) -> Path:
        return self._folder / f"{self._folder.resolve().name}.gguf"

    def _export(self, model: Any, tokenizer: Any) -> None:
        missing = self._missing()
        if not missing:
            return
        base = gguf_of(self._plan.base)
        if ADAPTER in missing and base:
            matrices = lora.adapter_matrices(model)
            alpha = self._plan.settings.alpha
            gguf_file.write_adapter(base, matrices, alpha, self._folder / ADAPTER)
        adapted = lora.adapted_modules(model)
        merged = model.merge_and_unload()
        if "merged" in missing:
            path = self._folder / "merged"
            with writing(path):
                merged.save_pretrained(path)
                tokenizer.save_pretrained(path)
        if self._gguf.name in missing and base:
            gguf_file.write_gguf(base, lora.changed_weights(merged, adapted), self._gguf)

    def _note(self, **entries: Any) -> None:
        self._manifest |= entries
        text = json.dumps(self._manifest, indent=2, ensure_ascii=False)
        write_whole(self._folder / "manifest.json", text + "\n")


def _counts(source: Lessons, used: Sequence[Lesson], data: TokenData) -> SourceCounts:
    without_task = sum(lesson.untold is not None for lesson in used)
    return {"dropped": source.dropped, **data.counts(), "without_task": without_task}


def _packages() -> dict[str, str]:
    found = {"convogen": __version__, "python": platform.python_version()}
    return found | installed_versions(PACKAGES)
