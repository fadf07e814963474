"""The command `convogen run`: run an experiment and write the results to a run folder."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from convogen.cli._shared.cluster import Place, cluster_options
from convogen.cli._shared.limits import limit_options
from convogen.cli._shared.numbers import Amount, WholeNumber
from convogen.cli._shared.options import (
    base_url_option,
    kept_roles,
    language_option,
    model_option,
    models_from,
    price_option,
    stopped,
)
from convogen.cli._shared.run_folders import RunOutPath, writable
from convogen.cli._shared.terminal import say
from convogen.suggested import suggested
from convogen.text.counting import counted

if TYPE_CHECKING:
    from rich.console import Console  # noqa: TID251 - only for type hints

    from convogen.engine.runner import OnConversation
    from convogen.engine.workers import Workers
    from convogen.experiment.experiment import Experiment
    from convogen.models.progress import RunProgress
    from convogen.models.spec import ModelSpec
    from convogen.models.traffic.budget import Limits
    from convogen.storage.run_folder import Run

__all__ = ["NO_MODEL", "command", "load_with", "notices", "play", "read_settings"]


@click.command("run")
@click.argument("experiment")
@click.option("--n", type=WholeNumber(min=1), help="Number of conversations.")
@click.option(
    "--out",
    type=RunOutPath(),
    help="Run folder, or its URL on an object store: s3://bucket/run [default: runs/<name>].",
)
@click.option(
    "--flush-every",
    type=Amount(min=0.1),
    metavar="SECONDS",
    help="With a URL for --out: number of seconds between uploads to the object store [default: "
    "5].",
)
@model_option
@base_url_option
@price_option
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set any key of the experiment, as in lanes=2; use dots for nested keys, such as "
    "sampling.agent.temperature=0.7.",
)
@click.option(
    "--match",
    metavar="CORPUS",
    help="Corpus whose conversations determine the number of turns, the turn lengths and the "
    "number of speakers.",
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
@cluster_options("Run")
@click.option(
    "--fresh", is_flag=True, help="Move an existing run in the folder aside and start over."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Run a pilot, and forecast the calls, tokens, cost and time of the whole run.",
)
@click.option(
    "--pilot",
    type=WholeNumber(min=2),
    metavar="K",
    help="With --dry-run: number of conversations in the pilot [default: 5].",
)
@click.option("--json", "as_json", is_flag=True, help="With --dry-run: print the forecast as JSON.")
def command(
    experiment: str,
    n: int | None,
    out: Path | str | None,
    flush_every: float | None,
    models: tuple[str, ...],
    base_urls: tuple[str, ...],
    prices: tuple[str, ...],
    settings: tuple[str, ...],
    match: str | None,
    language: str | list[str] | None,
    concurrency: int | None,
    seed: int | None,
    limits: Limits,
    place: Place,
    fresh: bool,
    dry_run: bool,
    pilot: int | None,
    as_json: bool,
) -> None:
    """Run EXPERIMENT, a YAML file or the name of a shipped experiment (see `convogen list`).

    Repeat the command to resume an interrupted run, or repeat it with a larger --n to extend the
    run. Finished conversations and recorded replies are kept, and no model call is paid for twice.

    --dry-run generates the first K conversations with real model calls, keeps them in the run
    folder, and forecasts the calls, tokens, cost and time of the whole run. If the folder already
    contains K conversations, no model calls are made.

    \b
    Examples:
      convogen run demo --n 3
      convogen run experiment.yaml --model gpt-4o-mini --n 500 --dry-run
      convogen run experiment.yaml --model gpt-4o-mini --n 500 --budget-usd 5
    """
    from convogen.cli._shared.display import print_summary

    if not dry_run and (pilot or as_json):
        raise click.UsageError("--pilot and --json require --dry-run")
    on = place.workers()
    overrides = read_settings(settings)
    given: dict[str, Any] = {"n": n, "seed": seed, "concurrency": concurrency}
    given |= {"match": match, "language": language}
    overrides |= {key: value for key, value in given.items() if value is not None}
    loaded = load_with(experiment, overrides, models, base_urls, prices)
    folder = _folder(out or Path("runs") / loaded.name, fresh, flush_every)
    for line in notices(loaded):
        say(line, err=True)
    if dry_run:
        _forecast(loaded, folder, fresh, limits, pilot or 5, as_json, on)
    else:
        print_summary(play(loaded, folder, fresh, limits, workers=on))


def _folder(out: Path | str, fresh: bool, flush_every: float | None) -> Path:
    """Return the run's local folder or, for a URL, the local copy that is uploaded."""
    if isinstance(out, Path):
        if flush_every is not None:
            raise click.UsageError("--flush-every requires a URL for --out")
        return out
    if fresh:
        raise click.UsageError(
            f"--fresh: {out} is a URL, and objects cannot be moved aside; choose another --out"
        )
    return Path(writable(out, "run", flush_every))


def play(
    loaded: Experiment,
    folder: Path,
    fresh: bool,
    limits: Limits,
    pilot: int | None = None,
    console: Console | None = None,
    on_conversation: OnConversation | None = None,
    workers: Workers | None = None,
    tally: RunProgress | None = None,
) -> Run:
    """Run an experiment and show its progress; on Ctrl-C, print how to resume."""
    from convogen.cli._shared.display import live
    from convogen.engine.runner import run
    from convogen.models.progress import RunProgress

    tally = tally or RunProgress()
    try:
        with live(loaded, tally, console):
            played = run(
                loaded,
                folder,
                fresh=fresh,
                limits=limits,
                pilot=pilot,
                tally=tally,
                on_conversation=on_conversation,
                workers=workers,
            )
    except KeyboardInterrupt:
        done = f"{tally.counts['conversations']} of {counted(loaded.n, 'conversation')} in {folder}"
        say(stopped(done, tally.counts), err=True)
        sys.exit(130)
    if (failed := tally.counts["failures"]) and not tally.counts["conversations"]:
        from convogen.errors import Hopeless

        raise Hopeless(
            f"{counted(failed, 'task')} failed, and no conversation was generated; see "
            f"`{suggested('show', folder)}` for the causes"
        )
    return played


def _forecast(
    loaded: Experiment,
    folder: Path,
    fresh: bool,
    limits: Limits,
    pilot: int,
    as_json: bool,
    workers: Workers | None,
) -> None:
    """Run the missing part of the pilot, then print the forecast."""
    from convogen.cli._shared.dry_run import missing_pilot, print_forecast, spent_usd
    from convogen.storage.run_folder import load_run

    begun = not fresh and (folder / "manifest.json").exists()
    before_usd = spent_usd(loaded, load_run(folder)) if begun else 0.0
    if missing_pilot(loaded, folder, pilot, fresh):
        play(loaded, folder, fresh, limits, pilot, workers=workers)
    print_forecast(loaded, load_run(folder), before_usd, as_json)


def load_with(
    source: str,
    overrides: dict[str, Any],
    models: Sequence[str],
    base_urls: Sequence[str],
    prices: Sequence[str],
) -> Experiment:
    """Return an experiment with overrides; overrides of model keys take precedence over the
    options.

    A model set by an override (`models.agent=NAME`) uses the endpoint given with --base-url and the
    price given with --price, as if the model had been set with --model.
    """
    from convogen.experiment.experiment import Experiment

    if not (models or base_urls or prices):
        return Experiment.load(source, overrides)
    below = {key: value for key, value in overrides.items() if key.startswith("models.")}
    others = {key: value for key, value in overrides.items() if key not in below}
    loaded = Experiment.load(source, others)
    own = {k: v.model_dump(exclude_defaults=True) for k, v in loaded.common.models.items()}
    roles = list(loaded.roles)
    kept = kept_roles(loaded.common.fixed_models, models, below, roles)
    named = models_from(own, models, [], roles, kept=kept)
    below = _name_models(named, below)
    chosen = models_from(named, [], base_urls, roles, prices, kept)
    return Experiment.load(source, {**others, "models": chosen, **below})


def _name_models(named: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Add the models set by overrides to `named`, and return the remaining overrides.

    A model that runs in this process remains an override, because it has no base URL.
    """
    from pydantic import ValidationError

    from convogen.models.spec import ModelSpec

    left: dict[str, Any] = {}
    for key, value in overrides.items():
        _, role, *fields = key.split(".")
        if fields:
            own = named.get(role, named.get("default"))
            if fields == ["name"] and isinstance(own, dict):
                own = {**cast("dict[str, Any]", own), "price": None}
            named.update({} if own is None else {role: own})
            left[key] = value
            continue
        try:
            spec = ModelSpec.model_validate(value)
        except ValidationError:
            left[key] = value  # errors are reported when the experiment is read
            continue
        if spec.kind == "endpoint":
            named[role] = given = spec.model_dump(exclude_unset=True)
            left |= {f"{key}.{field}": item for field, item in given.items()}
        else:
            left[key] = value
    return left


def read_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Parse KEY=VALUE pairs whose values are YAML."""
    from convogen.inputs.yaml12 import parse_yaml

    read: dict[str, Any] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise click.UsageError(f"--set {setting}: must be KEY=VALUE, such as lanes=2")
        read[key] = parse_yaml(value, f"--set {setting[:200]}: the value is not valid YAML")
    return read


NO_MODEL = (
    "no model given, so convogen uses the embedded SmolLM2-135M, which writes poor prose; choose "
    "another model with --model or --base-url"
)


def notices(experiment: Any) -> list[str]:
    """Return the notices to print before the first model call, one line each."""
    kinds = {experiment.model(role).kind for role in experiment.roles}
    lines: list[str] = []
    lines += _defaults(experiment)
    if "scripted" in kinds:
        lines.append(
            "the scripted model returns canned words for tests and dry runs, not the output of a "
            "language model"
        )
    lines += experiment.method.notices()
    lines += sorted(
        {line for role in experiment.roles for line in _assumed(experiment.model(role))}
    )
    if (tasks := experiment.method.task_count()) and tasks > experiment.n:
        lines.append(f"only {experiment.n} of the {tasks} available tasks are requested")
    return lines


def _defaults(experiment: Experiment) -> list[str]:
    """Return notices about roles that use the embedded model by default, or whose model is
    fixed."""
    named = experiment.common.models
    unnamed = [] if "default" in named else [r for r in experiment.roles if r not in named]
    fixed = [
        f"{role}: the experiment fixes the model {experiment.model(role).identity}; change it with "
        f"--model {role}=NAME"
        for role in experiment.common.fixed_models
        if experiment.model(role).kind == "endpoint"
    ]
    if not named:
        return [NO_MODEL, *fixed]
    if not unnamed:
        return fixed
    return [NO_MODEL.replace("given", f"given for {', '.join(unnamed)}", 1), *fixed]


def _assumed(spec: ModelSpec) -> list[str]:
    """Return a notice if a price is assumed for a model."""
    from convogen.models.prices import listed_for
    from convogen.redaction import public_url

    found = None if spec.price else listed_for(spec)
    if found is None or not found.assumed:
        return []
    return [
        f"the price of {spec.identity} at {public_url(spec.base_url or 'its endpoint')} is not "
        f"known; {found.provider}'s price is assumed unless you set a price with --price"
    ]
