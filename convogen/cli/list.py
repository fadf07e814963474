"""The command `convogen list`: list the available experiments, methods, judges and so on."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import click

from convogen.cli._shared.console import terminal
from convogen.cli._shared.terminal import say, say_json

__all__ = ["command"]


@click.command("list")
@click.option(
    "--plugins",
    "of_plugins",
    is_flag=True,
    help="List installed plugins, including those that fail to load.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the output as JSON.")
def command(of_plugins: bool, as_json: bool) -> None:
    """List experiments, methods, judges, gates, exporters, metrics, hubs, languages and models."""
    from convogen.cli._shared.plugins import plugin_rows, print_faults, print_rows

    if of_plugins:
        rows = plugin_rows()
        if as_json:
            say_json([asdict(row) for row in rows], indent=2)
        else:
            print_rows(rows)
        return
    listing = _listing()
    print_faults()
    if as_json:
        say_json(listing, indent=2)
        return
    out = terminal()
    for kind, entries in listing.items():
        if not entries:
            continue
        out.print(kind, style="bold")
        width = max((len(name) for name in entries), default=0)
        for name, about in entries.items():
            say(f"  {name:{width}}  {about}")


def _listing() -> dict[str, dict[str, str]]:
    from convogen.cli.models import embedded_models
    from convogen.experiment.experiment import Experiment, shipped_experiments
    from convogen.personas import shipped_hubs
    from convogen.plugins import registry
    from convogen.text.checks import checked_languages

    experiments = {name: Experiment.load(name).common.about for name in shipped_experiments()}
    registered = {
        kind: {name: _about(registry.load(kind, name)) for name in registry.names(kind)}
        for kind in registry.KINDS
    }
    hubs = {"experiences": _examples()}
    for name, path in shipped_hubs().items():
        hubs[name] = f"{len(path.read_text('utf-8').splitlines())} personas, written for convogen"
    languages = {tag: _checks(tag) for tag in checked_languages()}
    models = {name: str(path) for name, path in embedded_models().items()}
    models["scripted"] = "canned words for tests and dry runs; not a language model"
    models["any other name"] = (
        "a model at an OpenAI-compatible endpoint (set OPENAI_API_KEY or --base-url)"
    )
    return {
        "experiments": experiments,
        **registered,
        "hubs": hubs,
        "languages": languages,
        "models": models,
    }


def _checks(tag: str) -> str:
    """Return the name of a language and the turn checks that do not support it."""
    from convogen.text.checks import CHECKS, unchecked
    from convogen.text.language_tags import language_label

    missing = ", ".join(CHECKS[check] for check in unchecked(tag))
    done = f"turns are not checked for {missing}" if missing else "all turn checks are available"
    return f"{language_label(tag)}: {done}"


def _examples() -> str:
    """Return a line with the number of example experiences in each language."""
    from convogen.generation.example_experiences import load_experiences
    from convogen.text.language_tags import ENGLISH, language_name

    found = load_experiences()
    counts = Counter(language_name(one.language or ENGLISH) for one in found)
    listed = ", ".join(f"{n} in {name}" for name, n in counts.most_common())
    return f"{len(found)} example experiences: {listed}"


def _about(cls: type[Any]) -> str:
    """Return the description of a class as one line.

    The description is the attribute `about` if set, otherwise the first paragraph of the docstring
    of the class or its module.
    """
    import sys

    text = getattr(cls, "about", None) or cls.__doc__ or ""
    if not text or text.startswith("Parameters of"):
        text = sys.modules[cls.__module__].__doc__ or text
    return " ".join(text.strip().split("\n\n")[0].split())
