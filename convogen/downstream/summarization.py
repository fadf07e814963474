"""Dialogue summarization: a seq2seq model fine-tuned on generated dialogues (DiaSynth, 5.2).

    RUN/downstream/summaries-…/    summaries of the run's dialogues, written by the summarizer
    RUN/downstream/questions-…/    QAGS: questions about the held-out dialogues
    RUN/downstream/answers-…/      QAGS: answers from the summaries
    RUN/downstream/predictions-…/  summaries of the held-out dialogues, one file per arm and seed

All of these files are kept. If the same command is run again, it produces only the files that are
missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from convogen.downstream.data import (
    Example,
    examples_of,
    matched,
    names_of,
    read_examples,
    read_held_out,
    unseen,
)
from convogen.downstream.leaks import not_shown
from convogen.downstream.qags import ANSWERER, QUESTIONER, Questions, ask_questions, qags
from convogen.downstream.results import Drawn, Row, drawn_mean, results
from convogen.downstream.scoring import BertScore, check_encoder, rouge_l_scores
from convogen.downstream.seq2seq import Training, check_seq2seq, summarise_with
from convogen.downstream.summaries import ROLE, SummaryCounts, summaries_of
from convogen.engine.item_runner import Asking
from convogen.errors import ModelConfigError, SourceError
from convogen.experiment.fingerprint import fingerprint_of
from convogen.jsonl import make_folder, parse_row, write_whole
from convogen.models.spec import EMBEDDED, ModelSpec
from convogen.storage.run_folder import load_run
from convogen.text.counting import counted

__all__ = ["ROLES", "Summarization", "SummarizationResult", "summarization"]

ROLES = (ROLE, QUESTIONER, ANSWERER)


@dataclass(frozen=True)
class Summarization:
    """Settings for comparing a run with in-domain dialogues as training data for a checkpoint.

    `questions` is the number of questions per dialogue for QAGS (0 for no QAGS), and `qags_by` is
    the measure with which QAGS compares answers. `bertscore` names the encoder for BERTScore. `n`
    limits the number of generated dialogues, and `n_held_out` limits the number of dialogues from
    each file in `held_out`. Without `in_domain`, coverage cannot be computed.
    """

    run: Path
    held_out: str | Sequence[str]
    training: Training
    in_domain: str | None = None
    seeds: Sequence[int] = (0,)
    questions: int = 0
    qags_by: Literal["f1", "bertscore"] = "f1"
    bertscore: str | None = None
    n: int | None = None
    n_held_out: int | None = None
    column: str = "summary"
    models: Mapping[str, ModelSpec] = field(default_factory=dict[str, ModelSpec])

    def model(self, role: str) -> ModelSpec:
        """Return the model for a role."""
        return self.models.get(role) or self.models.get("default") or ModelSpec(name=EMBEDDED)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The names of the held-out files, and their number of dialogues."""

    source: str
    dialogues: int


@dataclass(frozen=True, slots=True)
class SummarizationResult:
    """Mean scores (0 to 1) for each kind of training data; see `Compared`.

    Attributes:
        training: The fields of `Training`, with the checkpoint's name instead of its path.
        seeds: Fine-tuning seeds, over which scores are averaged.
        trained_on: For each arm, the number of training dialogues for each seed.
        summaries: Numbers of generated dialogues with and without a usable summary.
        bertscore: The encoder for BERTScore, or None if BERTScore is not measured.
        questions: Number of questions per dialogue for QAGS, or 0 if QAGS is not measured.
        qags_by: The measure with which QAGS compares answers, or None if QAGS is not measured.
    """

    task: Literal["summarization"]
    run: str
    training: dict[str, Any]
    seeds: list[int]
    held_out: HeldOut
    trained_on: dict[str, list[int]]
    summaries: SummaryCounts
    bertscore: str | None
    questions: int
    qags_by: Literal["f1", "bertscore"] | None
    arms: dict[str, Row]
    improvement: dict[str, Row | None]
    coverage: dict[str, Row | None]


def summarization(
    task: Summarization, asking: Asking, say: Callable[[str], None] = lambda line: None
) -> SummarizationResult:
    """Fine-tune and evaluate a model for each arm.

    `say` receives a line of text for each step. Raises `SourceError` if data is missing,
    `ModelConfigError` if a model cannot be used, and `RunStopped` if the model calls end early.
    """
    _check(task)
    run = load_run(task.run)
    held_out = not_shown(run, read_held_out(task.held_out, task.column, task.n_held_out), say)
    in_domain = list[Example]()
    if task.in_domain is not None:
        in_domain = unseen(read_examples(task.in_domain, task.column), held_out)
        if not in_domain:
            raise SourceError(
                f"{task.in_domain}: all its dialogues are also held out; use other in-domain "
                "dialogues"
            )
    conversations = list(islice(run.conversations(), task.n))
    say(f"{counted(len(conversations), 'generated dialogue')}, {len(held_out)} held out")
    texts, counts = summaries_of(conversations, task.model(ROLE), asking, in_domain)
    synthetic = unseen(examples_of(conversations, texts), held_out)
    if not synthetic:
        raise SourceError(
            f"{task.run}: no dialogue with a usable summary is left to train on ({counts.refused} "
            f"of {len(conversations)} summaries refused); use another summarizer or another run"
        )
    say(f"summaries: {counts.summaries} usable, {counts.refused} refused")
    arms = _arms(synthetic, in_domain, task.seeds)
    written = _written(task, arms, held_out, asking.folder, say)
    found = results(_scores(task, written, held_out, asking, say))
    return SummarizationResult(
        task="summarization",
        run=str(task.run),
        training=task.training.model_dump() | {"checkpoint": task.training.name},
        seeds=list(task.seeds),
        held_out=HeldOut(names_of(task.held_out), len(held_out)),
        trained_on={arm: [len(part) for part in parts] for arm, parts in arms.items()},
        summaries=counts,
        bertscore=task.bertscore,
        questions=task.questions,
        qags_by=task.qags_by if task.questions else None,
        arms=found.arms,
        improvement=found.improvement,
        coverage=found.coverage,
    )


def _check(task: Summarization) -> None:
    """Raise an error if a model or an option cannot be used, before any cost is incurred."""
    if task.qags_by == "bertscore" and not (task.bertscore and task.questions):
        missing = "--questions 3" if task.bertscore else "--bertscore bert-base-uncased@9"
        raise ModelConfigError(f"--qags-by bertscore: requires {missing}")
    check_seq2seq(task.training.checkpoint)
    if task.bertscore:
        check_encoder(task.bertscore)


def _arms(
    synthetic: Sequence[Example], in_domain: Sequence[Example], seeds: Sequence[int]
) -> dict[str, list[list[Example]]]:
    """Return the training data for each arm and seed.

    The `in_domain` arm has as many examples as the `synthetic` arm, if enough are available.
    """
    arms: dict[str, list[list[Example]]] = {
        "base": [[] for _ in seeds],
        "synthetic": [list(synthetic) for _ in seeds],
    }
    if in_domain:
        drawn = [matched(in_domain, len(synthetic), seed) for seed in seeds]
        arms["in_domain"] = drawn
        arms["both"] = [[*synthetic, *part] for part in drawn]
    return arms


def _written(
    task: Summarization,
    arms: Mapping[str, Sequence[Sequence[Example]]],
    held_out: Sequence[Example],
    folder: Path,
    say: Callable[[str], None],
) -> dict[str, list[list[str]]]:
    """Return the summaries of the held-out dialogues for each arm and seed.

    The `base` arm has summaries for the first seed only, because an untuned model's summaries do
    not depend on the seed.
    """
    dialogues = [one.dialogue for one in held_out]
    written: dict[str, list[list[str]]] = {}
    for arm, parts in arms.items():
        seeds = task.seeds[:1] if arm == "base" else task.seeds
        written[arm] = []
        for seed, examples in zip(seeds, parts, strict=False):
            say(f"{arm}, seed {seed}: {counted(len(examples), 'dialogue')} to train on")
            written[arm].append(
                _kept(
                    task.training,
                    examples=examples,
                    dialogues=dialogues,
                    seed=seed,
                    folder=folder,
                    arm=arm,
                )
            )
    return written


def _kept(
    training: Training,
    *,
    examples: Sequence[Example],
    dialogues: Sequence[str],
    seed: int,
    folder: Path,
    arm: str,
) -> list[str]:
    """Return the fine-tuned model's summaries, which are read from their file if it exists."""
    learned = [[one.dialogue, one.target] for one in examples]
    mark = fingerprint_of([training.model_dump(), learned, list(dialogues), seed])
    path = folder / f"predictions-{training.name}" / f"{arm}-{seed}-{mark}.jsonl"
    if path.exists():
        return [
            str(parse_row(path, line, "summary")["summary"])
            for line in path.read_bytes().splitlines()
        ]
    summaries = summarise_with(training, examples, dialogues, seed)
    make_folder(path.parent)
    lines = [json.dumps({"summary": one}, ensure_ascii=False) + "\n" for one in summaries]
    write_whole(path, "".join(lines))
    return summaries


def _scores(
    task: Summarization,
    written: Mapping[str, Sequence[Sequence[str]]],
    held_out: Sequence[Example],
    asking: Asking,
    say: Callable[[str], None],
) -> dict[str, dict[str, Drawn | None]]:
    """Return the mean score for each arm and metric.

    The score of a held-out dialogue is the mean of its scores over the seeds.
    """
    references = [one.target for one in held_out]
    models = {role: task.model(role) for role in ROLES}
    asked: list[Questions] = []
    if task.questions:
        say("QAGS: questions about the held-out dialogues")
        dialogues = [one.dialogue for one in held_out]
        asked = ask_questions(dialogues, task.questions, models, asking)
    encoder = BertScore(task.bertscore) if task.bertscore else None
    alike = encoder.scores if encoder and task.qags_by == "bertscore" else None
    scores: dict[str, dict[str, Drawn | None]] = {}
    for arm, by_seed in written.items():
        say(f"scoring {arm}")
        row: dict[str, list[list[float | None]]] = {}
        for summaries in by_seed:
            if asked:
                row.setdefault("QAGS", []).append(qags(asked, summaries, models, asking, alike))
            if encoder is not None:
                found = encoder.scores(summaries, references)
                row.setdefault("BERTScore", []).append([*found])
            row.setdefault("ROUGE-L", []).append([*rouge_l_scores(summaries, references)])
        scores[arm] = {metric: drawn_mean(_over_seeds(values)) for metric, values in row.items()}
    return scores


def _over_seeds(by_seed: Sequence[Sequence[float | None]]) -> list[float | None]:
    return [
        None if None in of_one else sum(value or 0.0 for value in of_one) / len(of_one)
        for of_one in zip(*by_seed, strict=True)
    ]
