"""`convogen list`: what there is to choose from."""

from __future__ import annotations

from typing import Any

import click

from convogen.cli.console import terminal
from convogen.cli.terminal import say, say_json

__all__ = ["command"]


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """List experiments, methods, judges, gates, exporters, hubs and models."""
    listing = _listing()
    if as_json:
        say_json(listing, indent=2)
        return
    out = terminal()
    for kind, entries in listing.items():
        out.print(kind, style="bold")
        width = max((len(name) for name in entries), default=0)
        for name, about in entries.items():
            say(f"  {name:{width}}  {about}")


def _listing() -> dict[str, dict[str, str]]:
    from convogen import registry
    from convogen.cli.models import embedded_models
    from convogen.experiment import Experiment, shipped_experiments
    from convogen.personas import shipped_hubs

    experiments = {name: Experiment.load(name).common.about for name in shipped_experiments()}
    methods = {name: _about(registry.load("methods", name)) for name in registry.names("methods")}
    judges = {name: _about(registry.load("judges", name)) for name in registry.names("judges")}
    gates = {name: _about(registry.load("gates", name)) for name in registry.names("gates")}
    exporters = {
        name: registry.load("exporters", name).__doc__.splitlines()[0]
        for name in registry.names("exporters")
    }
    hubs = {"experiences": f"{_files('experiences', '*.yaml')} example experiences"}
    for name, path in shipped_hubs().items():
        hubs[name] = f"{len(path.read_text('utf-8').splitlines())} personas, written for convogen"
    models = {name: str(path) for name, path in embedded_models().items()}
    models["scripted"] = "canned words for tests and dry runs, no language model"
    models["any other name"] = "an OpenAI-compatible endpoint: OPENAI_API_KEY, or --base-url"
    return {
        "experiments": experiments,
        "methods": methods,
        "judges": judges,
        "gates": gates,
        "exporters": exporters,
        "hubs": hubs,
        "models": models,
    }


def _files(folder: str, pattern: str) -> int:
    from convogen.resources import shipped

    return len(list(shipped(folder).glob(pattern)))


def _about(cls: Any) -> str:
    """The first line about a class: its module's, unless it is a variant of one beside it."""
    import sys

    variant = any(base.__module__ == cls.__module__ for base in cls.__mro__[1:])
    text = (None if variant else sys.modules[cls.__module__].__doc__) or cls.__doc__ or ""
    return text.strip().splitlines()[0]
