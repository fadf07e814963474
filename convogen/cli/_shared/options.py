"""Options shared by several commands, and the parsing of their values."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from convogen.cli._shared.numbers import finite
from convogen.errors import ModelConfigError
from convogen.inputs.names import guess
from convogen.redaction import masked
from convogen.storage.remote.address import is_url

if TYPE_CHECKING:
    from convogen.models.spec import ModelSpec

__all__ = [
    "NearestGroup",
    "OutPath",
    "again",
    "base_url_option",
    "kept_roles",
    "language_option",
    "model_option",
    "models_from",
    "price_option",
    "spec_from",
    "specs_from",
    "stopped",
]


class OutPath(click.Path):
    """An output path as `pathlib.Path`; an empty string is an error, not the current folder."""

    takes_urls = False

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("the path is empty; give a folder or a file", param, ctx)
        if is_url(value):
            if self.takes_urls:
                return value
            self.fail(
                "URLs are not supported; this command writes only to local paths, so give a "
                "local path",
                param,
                ctx,
            )
        return super().convert(value, param, ctx)


model_option = click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[ROLE=]NAME",
    help="Model for all roles or for one role, such as gpt-4o, selector=gpt-4o-mini, embedded, "
    "scripted or a .gguf file.",
)
base_url_option = click.option(
    "--base-url",
    "base_urls",
    multiple=True,
    metavar="[ROLE=]URL",
    help="URL of an OpenAI-compatible endpoint (vLLM, llama.cpp, Ollama, …), ending in /v1. Repeat "
    "the option to give replicas of the same model.",
)


def _tags(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Return one language tag, or a list of language tags; the tags are validated later."""
    del context, option
    tags = [tag.strip() for tag in (value or "").split(",")]
    return value if value is None else tags if len(tags) > 1 else tags[0]


language_option = click.option(
    "--language",
    metavar="TAG[,TAG]",
    callback=_tags,
    help="Language of the generated text, as a BCP 47 tag (de, pt-BR, zh-Hant). If several tags "
    "are given, one of them is drawn at random for each task.",
)

HOST = re.compile(
    r"(?:[a-z0-9-]{1,40}\.)*[a-z0-9-]{1,40}(?::\d{1,5}|\.[a-z]{2,10})(?:/[\w./-]{0,80})?"
)
"""A pattern for hosts without a scheme; other text may be an API key given by mistake."""

price_option = click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="[ROLE=]IN,OUT[,CACHED]",
    help="Price of the model in USD per million tokens [default: the list price, if known].",
)


class NearestGroup(click.Group):
    """A command group that suggests the closest known command if a command is unknown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command and its arguments; raises `click.UsageError` if the command is
        unknown."""
        known = self.list_commands(ctx)
        if args[0] not in known and not args[0].startswith("-"):
            meant = guess(args[0], known, cutoff=0.5)
            ctx.fail(f"unknown command {args[0]!r:.200}; {meant}commands: {', '.join(known)}")
        return super().resolve_command(ctx, args)


def again() -> str:
    """Return the command line that resumes the current command.

    --fresh is left out, and secrets are masked.
    """
    args = [masked(arg) for arg in sys.argv[1:] if arg != "--fresh"]
    hidden = args != [arg for arg in sys.argv[1:] if arg != "--fresh"]
    return shlex.join(["convogen", *args]) + (" (replace *** with your secret)" if hidden else "")


def stopped(done: str, counts: Mapping[str, int]) -> str:
    """Return the message for an interrupted command, which says what is kept and how to resume.

    Args:
        done: How much of the requested work was done, and where.
        counts: The progress counts of the run.
    """
    answered = any(counts.get(what) for what in ("calls", "conversations", "scores"))
    kept = "; all replies received are kept" if answered else ""
    return f"stopped: {done}{kept}; to resume: {again()}"


def models_from(
    named: dict[str, Any],
    models: Sequence[str],
    base_urls: Sequence[str],
    roles: Sequence[str],
    prices: Sequence[str] = (),
    kept: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a mapping from roles to models, in which command-line options override the
    experiment's own models.

    `named` is the experiment's own mapping from role to spec. A model name without a role replaces
    the whole mapping, and URLs or a price without a role apply to all roles. Neither rule applies
    to the roles in `kept`.
    """
    result = dict(named)
    for role, name in _split(models, roles, "--model"):
        if role is None:
            result = {"default": {"name": name}, **_of(kept, result)}
        else:
            result[role] = {"name": name}
    for role, urls in _places(base_urls, roles).items():
        there = {"base_url": urls[0], "replicas": urls[1:]}
        if role is not None:
            result[role] = {**_spec(result.get(role, result.get("default"))), **there}
        else:
            moved = {key: spec for key, spec in result.items() if key not in kept}
            moved = moved or {"default": {"name": "default"}}
            placed = {key: {**_spec(spec), **there} for key, spec in moved.items()}
            result = placed | _of(kept, result)
    for role, text in _split(prices, roles, "--price"):
        price = _price(text)
        priced = [role] if role is not None else [key for key in result if key not in kept]
        if not priced:
            raise click.UsageError(
                f"--price {text}: no model is given that this price applies to; "
                "give one with --model"
            )
        for key in priced:
            spec = _spec(result.get(key, result.get("default")))
            result = {**result, key: {**spec, "price": price}}
    return result


def specs_from(
    models: Sequence[str],
    base_urls: Sequence[str],
    roles: Sequence[str],
    prices: Sequence[str] = (),
) -> dict[str, ModelSpec]:
    """Return a mapping from roles, or `default`, to the models given on the command line.

    Raises `ModelConfigError` if one of the models is invalid.
    """
    from convogen.inputs.validation import validated
    from convogen.models.spec import ModelSpec

    chosen = models_from({}, models, base_urls, roles, prices)
    return {
        role: validated(ModelSpec, spec, "--model", raising=ModelConfigError)
        for role, spec in chosen.items()
    }


def spec_from(
    role: str, models: Sequence[str], base_urls: Sequence[str], prices: Sequence[str] = ()
) -> ModelSpec:
    """Return the model given for a role, else the default model, else the embedded model.

    Raises `ModelConfigError` if a model on the command line is invalid.
    """
    from convogen.models.spec import EMBEDDED, ModelSpec

    chosen = specs_from(models, base_urls, [role], prices)
    return chosen.get(role) or chosen.get("default") or ModelSpec(name=EMBEDDED)


def kept_roles(
    fixed: Sequence[str], models: Sequence[str], overrides: Iterable[str], roles: Sequence[str]
) -> list[str]:
    """Return the fixed roles whose models are not set on the command line.

    Args:
        fixed: The roles in the experiment's `fixed_models`.
        models: The values of --model.
        overrides: The keys of --set.
        roles: All roles of the experiment.
    """
    named = {role for role, _ in _split(models, roles, "--model")}
    named |= {key.split(".")[1] for key in overrides if key.startswith("models.")}
    return [role for role in fixed if role not in named]


def _places(base_urls: Sequence[str], roles: Sequence[str]) -> dict[str | None, list[str]]:
    """Return a mapping from roles (None for all roles) to lists of URLs: the base URL, then
    replicas."""
    places: dict[str | None, list[str]] = {}
    for role, url in _split(base_urls, roles, "--base-url"):
        if not url.startswith(("http://", "https://")):
            found = url if HOST.fullmatch(url) else "text that is not a URL"
            raise click.UsageError(
                f"--base-url must start with http:// or https:// (found {found}); put API keys "
                "into OPENAI_API_KEY"
            )
        places.setdefault(role, []).append(url)
    return places


def _of(roles: Sequence[str], named: Mapping[str, Any]) -> dict[str, Any]:
    return {role: named[role] for role in roles if role in named}


def _price(text: str) -> dict[str, float]:
    amounts = [amount for part in text.split(",") if (amount := finite(part)) is not None]
    if len(amounts) not in (2, 3) or len(amounts) <= text.count(","):
        raise click.UsageError(f"--price {text}: must be IN,OUT or IN,OUT,CACHED, such as 0.15,0.6")
    return dict(zip(("input", "output", "cached"), amounts, strict=False))


def _split(
    values: Sequence[str], roles: Sequence[str], option: str
) -> list[tuple[str | None, str]]:
    """Return pairs of role (None for all roles) and value; pairs for all roles come first."""
    pairs: list[tuple[str | None, str]] = []
    for value in values:
        role, sign, rest = value.partition("=")
        if sign and role in roles:
            pairs.append((role, rest))
        elif sign and role.isidentifier() and "://" not in role:
            allowed = ", ".join(roles) or "none here"
            shown = masked(value) if option == "--model" else f"{role}=…"
            raise click.UsageError(f"{option} {shown}: unknown role {role!r}; allowed: {allowed}")
        else:
            pairs.append((None, value))
    return sorted(pairs, key=lambda pair: pair[0] is not None)


def _spec(spec: Any) -> dict[str, Any]:
    if spec is None:
        return {"name": "default"}
    return {"name": spec} if isinstance(spec, str) else dict(spec)
