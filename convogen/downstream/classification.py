"""Topic or intent classification: a linear TF-IDF classifier trained on generated dialogues.

ConvoGen (section I) names intent classification among the uses of generated conversations. The
classifier is a logistic regression on word unigrams and bigrams (scikit-learn). Its hyperparameters
are not tuned, so the arms differ only in their training data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
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
from convogen.downstream.results import Drawn, Row, drawn_macro_f1, drawn_mean, results
from convogen.errors import ModelConfigError, SourceError
from convogen.records import Conversation
from convogen.storage.run_folder import load_run

__all__ = ["Classification", "ClassificationResult", "classification"]

MAX_WORDS = 50_000
MAX_ITERATIONS = 1_000


@dataclass(frozen=True)
class Classification:
    """Settings for comparing a run with in-domain dialogues as training data.

    `label` names the column whose values are predicted. For a generated conversation, the value is
    the labeller's label or, without a label, the value under the column's name in the
    conversation's `context`.
    """

    run: Path
    held_out: str | Sequence[str]
    label: str = "topic"
    in_domain: str | None = None
    seed: int = 0
    n: int | None = None
    n_held_out: int | None = None


@dataclass(frozen=True, slots=True)
class LabelledHeldOut:
    """The names of the held-out files, and the numbers of dialogues and of distinct labels."""

    source: str
    dialogues: int
    labels: int


@dataclass(frozen=True, slots=True)
class ClassificationResult:
    """Accuracy and macro-F1 (0 to 1) for each kind of training data; see `Compared`.

    Attributes:
        label: The column whose values are predicted.
        trained_on: Number of training dialogues for each arm.
        unknown: For each arm, the share (0 to 1) of held-out dialogues whose label does not occur
            in the arm's training data.
    """

    task: Literal["classification"]
    run: str
    label: str
    held_out: LabelledHeldOut
    trained_on: dict[str, int]
    unknown: dict[str, float]
    arms: dict[str, Row]
    improvement: dict[str, Row | None]
    coverage: dict[str, Row | None]


def classification(
    task: Classification, say: Callable[[str], None] = lambda line: None
) -> ClassificationResult:
    """Train and evaluate a classifier for each arm.

    `say` receives notes about held-out dialogues that are left out. Raises `SourceError` if data is
    missing or the labels cannot be compared, and `ModelConfigError` if scikit-learn is not
    installed.
    """
    run = load_run(task.run)
    held_out = not_shown(run, read_held_out(task.held_out, task.label, task.n_held_out), say)
    conversations = list(islice(run.conversations(), task.n))
    labels = [_label(one, task.label) for one in conversations]
    arms = {"synthetic": unseen(examples_of(conversations, labels), held_out)}
    if task.in_domain is not None:
        in_domain = unseen(read_examples(task.in_domain, task.label), held_out)
        arms["in_domain"] = matched(in_domain, len(arms["synthetic"]), task.seed)
        arms["both"] = [*arms["synthetic"], *arms["in_domain"]]
    for arm, examples in arms.items():
        if len({one.target for one in examples}) < 2:
            where = task.in_domain if arm == "in_domain" else task.run
            raise SourceError(
                f"{where}: the training data has fewer than two values of {task.label} (dialogues "
                f"to train on: {len(examples)}); choose another column with --label, or use more "
                "dialogues"
            )
    unknown = {arm: _unknown(examples, held_out) for arm, examples in arms.items()}
    for arm, share in unknown.items():
        if share == 1:
            raise SourceError(
                f"{names_of(task.held_out)}: no value of {task.label} in the held-out data "
                f"occurs in the training data ({arm}: {_few(arms[arm])}; held out: "
                f"{_few(held_out)}); choose another column with --label, or held-out data with the "
                "same values"
            )
    cells = {arm: _evaluated(examples, held_out, task.seed) for arm, examples in arms.items()}
    found, labels = results(cells), {one.target for one in held_out}
    return ClassificationResult(
        task="classification",
        run=str(task.run),
        label=task.label,
        held_out=LabelledHeldOut(names_of(task.held_out), len(held_out), len(labels)),
        trained_on={arm: len(examples) for arm, examples in arms.items()},
        unknown=unknown,
        arms=found.arms,
        improvement=found.improvement,
        coverage=found.coverage,
    )


def _label(one: Conversation, name: str) -> str:
    known = (one.labelled or {}).get(name)
    value = known.value if known else one.context.get(name)
    return " ".join(value.split()) if isinstance(value, str) else ""


def _few(examples: Sequence[Example]) -> str:
    return ", ".join([*dict.fromkeys(one.target for one in examples)][:3])


def _unknown(examples: Sequence[Example], held_out: Sequence[Example]) -> float:
    """Return the share (0 to 1) of held-out dialogues whose label does not occur in the examples.

    A classifier trained on the examples cannot predict such a label.
    """
    known = {one.target for one in examples}
    return sum(one.target not in known for one in held_out) / len(held_out)


def _evaluated(
    examples: Sequence[Example], held_out: Sequence[Example], seed: int
) -> dict[str, Drawn | None]:
    """Return the accuracy and macro-F1 of a classifier trained on the examples."""
    try:
        text: Any = import_module("sklearn.feature_extraction.text")
        linear: Any = import_module("sklearn.linear_model")
        pipeline: Any = import_module("sklearn.pipeline")
    except ImportError as error:
        raise ModelConfigError(
            "classification needs scikit-learn, which is not installed; run pip install "
            "'convogen[train]'"
        ) from error
    classifier = pipeline.make_pipeline(
        text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, max_features=MAX_WORDS),
        linear.LogisticRegression(max_iter=MAX_ITERATIONS, random_state=seed),
    )
    classifier.fit([one.dialogue for one in examples], [one.target for one in examples])
    predicted = [str(label) for label in classifier.predict([one.dialogue for one in held_out])]
    labels = [one.target for one in held_out]
    right = [float(ours == theirs) for ours, theirs in zip(predicted, labels, strict=True)]
    return {"accuracy": drawn_mean(right), "macro-F1": drawn_macro_f1(labels, predicted)}
