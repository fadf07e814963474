"""The command `convogen realism`: compare generated with human conversations and show the
differences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from convogen.cli._shared.console import styled, terminal
from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.run_folders import SourcePath
from convogen.cli._shared.terminal import say_json

if TYPE_CHECKING:
    from rich.table import Table

    from convogen.realism import Realism, Telltale, Turns

__all__ = ["command"]

MOST_TELLTALES = 12
LEAST_EFFECT = 0.1
MOST_CHARS = 200


@click.command("realism")
@click.argument("files", metavar="RUN|CORPUS...", nargs=-1, required=True, type=SourcePath())
@click.option(
    "--against",
    metavar="CORPUS",
    required=True,
    help="Corpus of human conversations to compare with.",
)
@click.option(
    "--turns",
    type=click.Choice(["all", "opener", "others"]),
    default="all",
    show_default=True,
    help="Turns to compare: all turns, the first speaker's, or the other speakers'.",
)
@click.option(
    "--skip",
    type=WholeNumber(0),
    default=0,
    help="Skip the first N turns of each conversation, for example those of a seed.",
)
@click.option(
    "--first", type=WholeNumber(1), help="Compare only the first N turns of each conversation."
)
@click.option(
    "--permutations",
    type=WholeNumber(0, 9_999),
    default=199,
    show_default=True,
    help="Number of label permutations for p-values, or 0 to compute no p-values.",
)
@click.option(
    "--seed",
    type=WholeNumber(0),
    default=0,
    show_default=True,
    help="Random seed for all sampling.",
)
@click.option(
    "--embeddings",
    "encoder",
    metavar="MODEL",
    help="Name or folder of a sentence encoder, for a second classifier on sentence embeddings.",
)
@click.option(
    "--mauve",
    is_flag=True,
    help="With --embeddings: also compute MAUVE, a measure from 0 to 1 of the overlap between the "
    "two corpora.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as one JSON object.")
def command(
    files: tuple[str, ...],
    against: str,
    turns: Turns,
    skip: int,
    first: int | None,
    permutations: int,
    seed: int,
    encoder: str | None,
    mauve: bool,
    as_json: bool,
) -> None:
    """Train a classifier to distinguish generated from human conversations, and show which features
    differ.

    No endpoint is called. Each RUN or CORPUS is compared with the human corpus separately, using
    samples of at most 1,500 conversations from each of the two.

    \b
    Examples:
      convogen realism runs/my-run --against valid.csv
      convogen realism generated.jsonl --against seeds.jsonl --turns opener --skip 1 --first 6
    """
    from convogen.corpora import open_corpus
    from convogen.models.backends.sentence_encoder import sentence_vectors
    from convogen.realism import compare, sample

    if mauve and encoder is None:
        raise click.UsageError("--mauve requires --embeddings MODEL")
    encode = sentence_vectors(encoder) if encoder else None
    human = sample(open_corpus(against), against, turns=turns, skip=skip, first=first, seed=seed)
    found: dict[str, Realism] = {}
    for name in files:
        generated = sample(open_corpus(name), name, turns=turns, skip=skip, first=first, seed=seed)
        found[name] = compare(
            generated,
            human,
            turns=turns,
            permutations=permutations,
            seed=seed,
            encode=encode,
            mauve=mauve,
        )
    if as_json:
        from dataclasses import asdict

        corpora = [{"source": name, **asdict(realism)} for name, realism in found.items()]
        say_json({"against": against, "encoder": encoder, "corpora": corpora})
        return
    for name, realism in found.items():
        _print(name, against, realism)


def _print(name: str, against: str, realism: Realism) -> None:
    console = terminal()
    console.print(_separations(name, against, realism))
    if (mauve := realism.mauve) is not None:
        console.print(
            styled(
                f"MAUVE: {mauve.value:.3f}; between random halves of the human corpus: "
                f"{mauve.halves:.3f} ({mauve.low:.3f} to {mauve.high:.3f})"
            )
        )
    for change in realism.normalisations:
        console.print(
            styled(
                f"{change.name}: {change.measure} {change.generated:.1%} in the generated corpus, "
                f"{change.human:.1%} in the human corpus; both {change.change}"
            ),
            style="dim",
        )
    shown = [one for one in realism.telltales if abs(one.effect) >= LEAST_EFFECT]
    if shown:
        console.print("\nFeatures that differ, largest difference first:")
    for one in shown[:MOST_TELLTALES]:
        console.print(styled(f"  {_sentence(one)}"))
    for sign, label in ((1, "Words used more often"), (-1, "Words used less often")):
        words = [word for word in realism.words if word.z * sign > 0]
        if words:
            listed = "; ".join(f"{w.word} {w.generated:.0%} ({w.human:.0%})" for w in words)
            console.print(styled(f"\n{label}, share of conversations (human):\n  {listed}"))
    if realism.examples:
        console.print("\nMost distinctive turns:")
    for example in realism.examples:
        text = " ".join(example.text.split())
        cut = text if len(text) <= MOST_CHARS else f"{text[: MOST_CHARS - 1]}…"
        console.print(styled(f"  {example.conversation}: {cut}"))


def _separations(name: str, against: str, realism: Realism) -> Table:
    from rich.table import Table

    from convogen.reports.realism import FAMILY_NAMES

    table = Table(
        title=styled(f"{name} compared with {against}"),
        caption=f"Conversations: {realism.generated:,} generated, {realism.human:,} human. Groups, "
        f"which are never split between training and testing: {realism.groups:,}. AUC: area under "
        "the curve of a cross-fitted classifier, 0.5 at chance, 1 if every conversation is "
        "recognised. Human halves: the same comparison between random halves of the human corpus, "
        "as a control.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("Classifier")
    for label in ("AUC", "95% interval", "p", "human halves"):
        table.add_column(label, justify="right")
    for family, one in realism.separations.items():
        control = realism.controls.get(family)
        table.add_row(
            FAMILY_NAMES.get(family, family),
            f"{one.auc:.3f}",
            f"{one.low:.3f} to {one.high:.3f}",
            "-" if one.p is None else f"{one.p:.3f}",
            f"{control.auc:.3f} ({control.low:.2f} to {control.high:.2f})" if control else "-",
        )
    return table


def _sentence(one: Telltale) -> str:
    """Return a feature with both means, such as "turns that end …: 71.0%, human 24.0%"."""
    if one.unit == "share":
        values = f"{one.generated:.1%}, human {one.human:.1%}"
    else:
        values = f"{one.generated:.2f}, human {one.human:.2f}"
    return f"{one.about}: {values} (effect {one.effect:+.2f})"
