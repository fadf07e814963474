"""The command `convogen study new`: create the folder for a human study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.numbers import Amount, WholeNumber
from convogen.cli._shared.options import OutPath, base_url_option, model_option, price_option
from convogen.cli._shared.terminal import say
from convogen.suggested import suggested

if TYPE_CHECKING:
    from convogen.study.study_file import CollectDesign, PairsDesign, RatingsDesign

__all__ = ["command"]


@click.command("new")
@click.argument("folder", type=OutPath(file_okay=False))
@click.option(
    "--kind",
    type=click.Choice(["collect", "pairs", "ratings"]),
    required=True,
    help="Kind of study, in which participants chat with a chatbot (`collect`), distinguish "
    "simulated from natural dialogues (`pairs`) or rate single dialogues (`ratings`).",
)
@click.option(
    "--participants", type=WholeNumber(1, 10_000), help="Number of participants [default: 20]."
)
@click.option("--seed", type=WholeNumber(min=0), help="Random seed for all sampling.")
@click.option(
    "--natural",
    multiple=True,
    metavar="DATA",
    help="With --kind pairs: natural dialogues between people and a chatbot.",
)
@click.option(
    "--simulated",
    multiple=True,
    metavar="[CONDITION=]DATA",
    help="With --kind pairs: simulated dialogues, such as a run with the `roleplay` method. Repeat "
    "the option for each condition.",
)
@click.option(
    "--dialogues", multiple=True, metavar="DATA", help="With --kind ratings: dialogues to rate."
)
@click.option(
    "--each", type=WholeNumber(1, 1000), help="Number of pairs or dialogues per participant."
)
@click.option(
    "--attention-checks",
    type=WholeNumber(0, 20),
    help="Number of additional pairs or dialogues that state which answer to give.",
)
@click.option(
    "--judge",
    "verdicts",
    multiple=True,
    metavar="VERDICTS",
    type=click.Path(path_type=Path),
    help="With --kind pairs: a judge's verdicts, in the format that `study results` reads. "
    "Participants then get the pairs that the judge is least certain about.",
)
@click.option(
    "--goals",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --kind collect: YAML file with goals, in the format for the `roleplay` method.",
)
@model_option
@base_url_option
@price_option
@click.option(
    "--budget-usd",
    type=Amount(min=0, min_open=True),
    help="With --kind collect: spending limit per participant in US dollars.",
)
@click.option(
    "--budget-tokens",
    type=WholeNumber(min=1),
    help="With --kind collect: limit on the number of tokens per participant.",
)
def command(folder: Path, kind: str, **options: Any) -> None:
    """Create FOLDER for a human study.

    The folder contains `study.yaml`, which sets the texts, questions, goals, scales and chatbot and
    has a comment on every key. Edit this file, then run `convogen study serve`. The participants'
    codes are printed once and stored in `codes.csv`, which only you can read.

    \b
    Examples:
      convogen study new chats --kind collect --model gpt-4o-mini --budget-usd 0.50
      convogen study new pairs --kind pairs --natural chats-export/natural \\
          --simulated runs/roleplay-gpt4 --simulated runs/roleplay-vicuna --each 40
    """
    from convogen.study.making import new_study

    _refuse_unused(kind, options)
    design = _design(kind, options)
    made = new_study(
        folder,
        design,
        natural=options["natural"],
        simulated=options["simulated"],
        dialogues=options["dialogues"],
        verdicts=options["verdicts"],
    )
    for participant, code in made.codes.items():
        say(f"{participant}  {code}")
    say()
    say(f"{made.summary}. The codes above are also in {made.codes_file}.")
    say(f"Edit {folder / 'study.yaml'}, then run {suggested('study', 'serve', folder)}")


_ONLY = {
    "natural": "pairs",
    "simulated": "pairs",
    "verdicts": "pairs",
    "dialogues": "ratings",
    "goals": "collect",
    "models": "collect",
    "base_urls": "collect",
    "prices": "collect",
    "budget_usd": "collect",
    "budget_tokens": "collect",
}
_OPTIONS = {
    "models": "--model",
    "base_urls": "--base-url",
    "prices": "--price",
    "verdicts": "--judge",
}


def _refuse_unused(kind: str, options: dict[str, Any]) -> None:
    for name, only in _ONLY.items():
        if options[name] and kind != only:
            option = _OPTIONS.get(name, f"--{name.replace('_', '-')}")
            raise click.UsageError(f"{option} applies only to --kind {only}, not to --kind {kind}")
    if kind == "collect" and (options["each"] or options["attention_checks"]):
        raise click.UsageError(
            "--each and --attention-checks apply only to --kind pairs and --kind ratings"
        )
    if kind == "pairs" and not (options["natural"] and options["simulated"]):
        raise click.UsageError("--kind pairs requires both --natural DATA and --simulated DATA")
    if kind == "ratings" and not options["dialogues"]:
        raise click.UsageError("--kind ratings requires --dialogues DATA")


def _design(kind: str, options: dict[str, Any]) -> CollectDesign | PairsDesign | RatingsDesign:
    from convogen.errors import SourceError
    from convogen.inputs.validation import validated
    from convogen.study.study_file import KINDS

    keys: dict[str, Any] = {
        "participants": options["participants"],
        "seed": options["seed"],
        "attention_checks": options["attention_checks"],
        "pairs_each" if kind == "pairs" else "dialogues_each": options["each"],
        "assignment": "adaptive" if options["verdicts"] else None,
    }
    given = {name: value for name, value in keys.items() if value is not None}
    if kind == "collect":
        given |= _chatbot(options)
    return validated(KINDS[kind], given, "study new", raising=SourceError)


def _chatbot(options: dict[str, Any]) -> dict[str, Any]:
    from convogen.cli._shared.options import spec_from
    from convogen.methods.roleplay.people import goals_of

    found: dict[str, Any] = {}
    if options["models"] or options["base_urls"]:
        spec = spec_from("responder", options["models"], options["base_urls"], options["prices"])
        found["model"] = spec.model_dump(exclude_defaults=True)
    if options["goals"]:
        found["goals"] = goals_of(options["goals"])
    budget = {"usd": options["budget_usd"], "tokens": options["budget_tokens"]}
    if any(budget.values()):
        found["budget"] = {name: value for name, value in budget.items() if value is not None}
    return found
