"""`convogen doctor`: is a model reachable, what can it do, how fast is it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import click

from convogen.cli.options import base_url_option, model_option, models_from
from convogen.cli.terminal import say, say_json

__all__ = ["command"]

COLOURS = ["red", "green", "blue"]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"colour": {"type": "string", "enum": COLOURS}},
    "required": ["colour"],
    "additionalProperties": False,
}


@click.command("doctor")
@model_option
@base_url_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(models: tuple[str, ...], base_urls: tuple[str, ...], as_json: bool) -> None:
    """Check a model with four small calls (default: the embedded one).

    Is it reachable, does it keep to a JSON schema, does it give log-probabilities, how fast is it?
    """
    from pydantic import ValidationError

    from convogen.cli.plugins import print_faults
    from convogen.errors import ModelConfigError
    from convogen.keys import first_fault
    from convogen.models.spec import ModelSpec

    print_faults()
    chosen = models_from({}, models, base_urls, [])
    try:
        spec = ModelSpec.model_validate(chosen.get("default", "embedded"))
    except ValidationError as error:
        raise ModelConfigError(f"doctor: {first_fault(error)}") from error
    report = asyncio.run(examine(spec))
    if as_json:
        say_json(report, indent=2)
        return
    for key, value in report.items():
        shown = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        say(f"{key.replace('_', ' '):28} {shown}")


async def examine(spec: Any) -> dict[str, Any]:
    """What a model answers to small calls; raises what the model raises where it is not there."""
    from convogen.drafts import find_json
    from convogen.errors import EndpointDown, ModelFault
    from convogen.models.base import Message, Request, Sampling, Transient
    from convogen.models.traffic import open_model

    model = open_model(spec)

    def request(text: str, **more: Any) -> Request:
        sampling = Sampling(temperature=0.0, max_tokens=64, seed=1)
        return Request("doctor", spec.identity, (Message("user", text),), sampling, **more)

    try:
        started = time.perf_counter()
        first = await model.complete(request("Say hello in one short sentence."))
        first_s = time.perf_counter() - started
        coloured = await model.complete(request("Name a colour, as JSON.", schema=SCHEMA))
        try:
            judged = await model.complete(request("Answer with one digit: 1+1=", top_logprobs=5))
        except ModelFault:  # an endpoint may refuse to be asked for log-probabilities
            judged = None
        started = time.perf_counter()
        long = await model.complete(request("Tell me about the sea."))
        long_s = time.perf_counter() - started
    except Transient as fault:
        raise EndpointDown(f"model {spec.name}: {fault}") from fault
    finally:
        await model.close()
    colour = (find_json(coloured.text) or {}).get("colour")
    return {
        "model": spec.identity,
        "kind": spec.kind,
        "reachable": True,
        "says": first.text.strip()[:200],
        "json_schema": colour in COLOURS,
        "log_probabilities": bool(judged and judged.logprobs and judged.logprobs[0].top),
        "first_answer_s": round(first_s, 3),
        "tokens_a_second": round(long.usage.completion_tokens / max(long_s, 1e-6), 1),
    }
