"""The command `convogen demo`: generate a few conversations and print each when it is finished."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from convogen.cli._shared.numbers import WholeNumber
from convogen.cli._shared.options import OutPath, base_url_option, model_option
from convogen.cli._shared.terminal import say
from convogen.suggested import suggested

if TYPE_CHECKING:
    from convogen.models.backends.offers import Offer

__all__ = ["better_model", "command"]

UNASKED = 200_000_000
"""Maximum size, in bytes, of a model that is downloaded without confirmation."""


@click.command("demo")
@model_option
@base_url_option
@click.option("--n", type=WholeNumber(min=1), help="Number of conversations.")
@click.option("--out", type=OutPath(), help="Run folder [default: runs/demo].")
@click.option(
    "--seed",
    type=WholeNumber(min=0),
    help="Random seed for all choices that are not made by a model.",
)
@click.option(
    "--offline", is_flag=True, help="Use the embedded model without looking for a better one."
)
@click.option(
    "--yes", is_flag=True, help="Download models larger than 200 MB without confirmation."
)
@click.option(
    "--offers",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="YAML file that lists models to look for on the Hugging Face hub [default: "
    "convogen/models/backends/offers.yaml].",
)
@click.option(
    "--fresh", is_flag=True, help="Move an existing run in the folder aside and start over."
)
def command(
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    n: int | None,
    out: Path | None,
    seed: int | None,
    offline: bool,
    yes: bool,
    offers: Path | None,
    fresh: bool,
) -> None:
    """Run the `demo` experiment on this machine, and print its conversations.

    No API key is needed. Without --model, the embedded model is used, unless the file given with
    --offers lists a better, verified model on the Hugging Face hub. In that case, the size and
    licence of the model are printed before it is downloaded. The default file does not list any
    verified models yet. Repeat the command to resume an interrupted run or to print a complete one.
    """
    from convogen.cli._shared.console import terminal
    from convogen.cli._shared.display import print_conversation, print_summary
    from convogen.cli.run import load_with, notices, play
    from convogen.models.progress import RunProgress
    from convogen.models.traffic.budget import Limits
    from convogen.records import Conversation, Experience
    from convogen.text.counting import counted

    given: dict[str, int | None] = {"n": n, "seed": seed}
    folder = out or Path("runs/demo")
    if not (offline or models or base_urls) and (found := better_model(offers, yes)):
        offer, path = found
        models, given["n"] = (str(path),), n or offer.conversations
        folder = out or Path("runs") / f"demo-{path.stem}"
    keys = {key: value for key, value in given.items() if value is not None}
    loaded = load_with("demo", keys, models, base_urls, ())
    for line in notices(loaded):
        say(line, err=True)
    console, tally, printed = terminal(), RunProgress(), set[str]()
    what = f"{counted(loaded.n, 'conversation')} by {loaded.model('agent').identity}"

    def show(
        conversation: Conversation, experience: Experience | None, number: int | None = None
    ) -> None:
        if not printed:
            say(f"{what}, written to {folder}:", err=True)
        printed.add(conversation.id)
        number = number or tally.counts["conversations"]
        print_conversation(conversation, experience, console, f"{number} of {loaded.n}")
        console.print()

    run = play(loaded, folder, fresh, Limits(), console=console, on_conversation=show, tally=tally)
    experiences = {one.id: one for one in run.experiences()}
    for number, conversation in enumerate(run.conversations(), 1):
        if conversation.id not in printed:
            show(conversation, experiences.get(conversation.experience or ""), number)
    print_summary(run, console)
    _print_next(folder)


def better_model(file: Path | None, yes: bool) -> tuple[Offer, Path] | None:
    """Return the best offered model that is present or may be downloaded, and its path.

    If no such model exists, print why the embedded model is used, and return None.
    """
    from convogen.cli.models import pull_from_hub
    from convogen.errors import ModelConfigError
    from convogen.models.backends.gguf import models_folder
    from convogen.models.backends.offers import SHIPPED, at_hand, connect, memory, read_offers

    why = "no other model is verified for this machine"
    for offer in read_offers(file or SHIPPED, memory()):
        if path := at_hand(offer):
            return offer, path
        what = f"{offer.repository} {offer.file}"
        if fault := connect(offer):
            why = f"{what} cannot be reached ({fault})"
            break
        say(f"{what}: {offer.size or 0:,} bytes, licence {offer.licence}", err=True)
        if not _allowed(offer, yes):
            why = f"{what} was not downloaded; use --yes to download it"
            continue
        try:
            folder = models_folder()
            folder.mkdir(parents=True, exist_ok=True)
            path = pull_from_hub(offer.repository, offer.file, folder, offer.revision, offer.sha256)
        except ModelConfigError as error:
            why = str(error)
        else:
            return offer, path
    say(f"using the embedded model: {why}", err=True)
    return None


def _allowed(offer: Offer, yes: bool) -> bool:
    """Return whether a model may be downloaded: either it is small or the user agrees."""
    if yes or (offer.size or 0) <= UNASKED:
        return True
    return sys.stdin.isatty() and click.confirm("Download it?", err=True)


def _print_next(folder: Path) -> None:
    """Print three suggested commands."""
    say("\nTry next:")
    exported = Path(f"{folder.name}-sharegpt")
    say("  " + suggested("stats", folder))
    say("  " + suggested("export", folder, "--to", "sharegpt", "--out", exported))
    say("  " + suggested("run", "GPIS-s", "--n", 20, "--model", "gpt-4o-mini"))
