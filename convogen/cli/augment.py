"""The command `convogen augment`: generate more rows of a labelled data set in the same columns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.limits import limit_options
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import (
    OutPath,
    base_url_option,
    language_option,
    model_option,
    models_from,
    price_option,
)
from convogen.cli._shared.terminal import say
from convogen.cli.run import notices, play, read_settings
from convogen.text.counting import counted

if TYPE_CHECKING:
    from convogen.corpora.labelled import LabelledSource
    from convogen.corpora.writing import Layout
    from convogen.experiment.experiment import Experiment
    from convogen.methods.augment.method import Augment
    from convogen.models.traffic.budget import Limits
    from convogen.storage.run_folder import Run

__all__ = ["command"]

KINDS = ("summary", "topic", "intent", "emotion")


@click.command("augment")
@click.argument("dataset")
@click.option("--n", type=WholeNumber(min=1), help="Number of conversations [default: 8].")
@click.option("--out", type=OutPath(), help="Run folder [default: runs/augment-…].")
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=click.Choice(KINDS),
    help="Label to generate; repeat the option for several [default: all labels in the data set].",
)
@click.option(
    "--balance",
    type=click.Choice(KINDS[1:]),
    help="Label whose values should be equally frequent. The frequencies can still differ, because "
    "failed tasks are not replaced.",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="LABEL=COLUMN",
    help="Column that contains a label; detected automatically by default.",
)
@click.option(
    "--format", "source_format", help="Format of the data set; detected automatically by default."
)
@click.option(
    "--licence", "source_licence", help="Licence of the data set, to be recorded in the manifest."
)
@model_option
@base_url_option
@price_option
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set any key of the experiment."
)
@language_option
@click.option(
    "--concurrency", type=WholeNumber(min=1), help="Maximum number of model calls in flight."
)
@click.option(
    "--seed",
    type=WholeNumber(min=0),
    help="Random seed for all choices that are not made by a model.",
)
@limit_options
@click.option(
    "--fresh", is_flag=True, help="Move an existing run in the folder aside and start over."
)
def command(
    dataset: str,
    n: int | None,
    out: Path | None,
    labels: tuple[str, ...],
    fields: tuple[str, ...],
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    settings: tuple[str, ...],
    limits: Limits,
    fresh: bool,
    **given: Any,
) -> None:
    """Generate more rows of DATASET: similar conversations with labels, in the same columns.

    DATASET is a file, a run folder, or hf:OWNER/NAME[@CONFIG][:SPLIT]. The result is an ordinary
    run. Repeat the command to resume the run, or repeat it with a larger --n to extend the run. The
    new rows are written to augmented/ in the run folder, with a note on how they were generated.

    \b
    Example:
      convogen augment reviews.csv --label intent --balance intent --n 50 --model gpt-4o-mini
    """
    from convogen.cli._shared.display import print_summary
    from convogen.corpora.writing import layout_of

    layout = layout_of(dataset, given["source_format"])
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in layout.source.stem)
    data: dict[str, Any] = {
        "name": f"augment-{stem}"[:80],
        "method": "augment",
        "source": dataset,
        "label": list(labels),
        "fields": dict(_pair(field) for field in fields),
        **{key: value for key, value in {**given, "n": n}.items() if value is not None},
    }
    experiment = _experiment(data, settings, models, base_urls, prices)
    for line in notices(experiment):
        say(line, err=True)
    folder = out or Path("runs") / experiment.name
    run = play(experiment, folder, fresh, limits)
    print_summary(run)
    _write(experiment, run, layout)


def _pair(field: str) -> tuple[str, str]:
    label, sign, column = field.partition("=")
    if not sign or not column or label not in KINDS:
        raise click.UsageError(
            f"--field {field}: must be LABEL=COLUMN, with one of the labels {', '.join(KINDS)}"
        )
    return label, column


def _experiment(
    data: dict[str, Any],
    settings: tuple[str, ...],
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
) -> Experiment:
    from convogen.experiment.experiment import Experiment
    from convogen.methods.augment.method import Augment

    chosen = models_from({}, models, base_urls, list(Augment.roles), prices)
    return Experiment.of({**data, "models": chosen}, read_settings(settings), "augment")


def _write(experiment: Experiment, run: Run, layout: Layout) -> None:
    """Write the run's conversations in the source's columns, with a note next to the file."""
    from convogen.jsonl import write_whole

    method: Augment = experiment.method
    folder = run.folder / "augmented"
    folder.mkdir(exist_ok=True)
    path = folder / layout.file_name
    empty = layout.write((method.data.as_source(one) for one in run.conversations()), path)
    write_whole(folder / "README.md", _note(method, run, path, empty))
    say(f"{path}: {counted(experiment.n, 'conversation')} in the columns of {method.data.name}")
    if empty:
        say(f"columns left empty because they cannot be filled: {', '.join(empty)}")
    if method.balance:
        say(_balance(method, run))


def _balance(method: Augment, run: Run) -> str:
    """Return a line with the number of conversations per value of the balanced label."""
    counts = Counter(str(_planned(one, method)) for one in run.conversations())
    values = list(method.data.texts[method.balance]) if method.balance else []
    spread = [counts[value] for value in values]
    failed = sum(1 for _ in run.failures())
    return (
        f"{method.balance}: {counted(len(values), 'value')} with {min(spread)} to "
        f"{counted(max(spread), 'conversation')} each; {counted(failed, 'task')} failed and will "
        "not be replaced"
    )


def _planned(one: Any, method: Augment) -> Any:
    return one.labelled[method.balance].planned


def _note(method: Augment, run: Run, path: Path, empty: list[str]) -> str:
    data: LabelledSource = method.data
    checks = {
        "summary": "written by a model; its length, names and words were checked against the "
        "conversation, and it was rejected if they did not match",
        "topic": "planned, then chosen from the data set's values by a model that did not see the "
        "plan",
        "intent": "planned, then chosen from the data set's values by a model that did not see the "
        "plan",
        "emotion": "one of the data set's values per utterance, chosen with the whole conversation "
        "in view",
    }
    lines = [
        f"# {path.name}",
        "",
        f"Synthetic conversations modelled on {data.name}, written by language models. The run",
        "folder that contains this folder documents how they were generated. In",
        "`conversations.jsonl`, `labelled` contains each label and how it was checked.",
        "`failures.jsonl` contains the failed tasks, and `manifest.json` the models and sources.",
        "",
        f"- Licence of the source: {data.licence or 'not known'}. The models were shown examples",
        "  from the source. Decide for yourself whether its terms apply to the models' output.",
        *(f"- {kind} (column `{data.columns[kind]}`): {checks[kind]}." for kind in data.columns),
        *_system(data),
        f"- Columns left empty because they cannot be filled: {', '.join(empty) or 'none'}.",
    ]
    return "\n".join(lines) + "\n"


def _system(data: LabelledSource) -> list[str]:
    """Return a note on the source's system messages, or an empty list if the source has none."""
    if not any(data.system_of(at) for at in range(len(data.dialogues))):
        return []
    return [
        "- Each system message is copied from the dialogue that served as the pattern. No model",
        "  was shown these messages.",
    ]
