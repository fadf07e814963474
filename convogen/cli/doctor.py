"""The command `convogen doctor`: check the reachability, abilities and speed of a model.

The calls resemble those in a run: they use a system message, a bounded schema, log-probabilities
and a long prompt.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from convogen.cli._shared.options import base_url_option, model_option, models_from
from convogen.cli._shared.terminal import say, say_json

if TYPE_CHECKING:
    from convogen.generation.structured_output import StructuredReply
    from convogen.models.base import ChatModel, ModelReply
    from convogen.models.spec import ModelSpec

__all__ = ["command"]

SYSTEM = "You are Ada. Answer in as few words as you can."
ROOM, SHORT_ROOM = 600, 64
"""Maximum numbers of tokens per reply. The first is for endpoints, whose models may think before
they reply; the second is for other models and for the speed check."""

TOP_LOGPROBS = 20
WORD = "marigold"
FILLER = "On day {} the ferry left the harbour at dawn and came back with fish, salt and news."
FILLERS = 250
"""Number of sentences in the long prompt. The prompt has about 5,000 tokens, more than many servers
accept by default."""

MOST_CHARS_A_TOKEN = 8
"""Upper bound on the number of characters per token in the long prompt, for any tokenizer."""

CUT = (
    "the server counts only {1:,} tokens for {0:,} characters, so it truncates prompts silently; "
    "serve the model with a longer context (Ollama: num_ctx or OLLAMA_CONTEXT_LENGTH)"
)
THINKS = (
    "the model used {} tokens for a short sentence; set sampling.ROLE.max_tokens high enough for "
    "thinking, or turn thinking off (Qwen: "
    "sampling.ROLE.extra.chat_template_kwargs.enable_thinking=false)"
)


@dataclass(frozen=True, slots=True)
class Greeting:
    """Whether a model replies and whether it thinks; `thinking` is advice for a model that
    thinks."""

    reachable: bool
    says: str
    system_role: bool
    thinks: bool
    thinking: str | None
    first_answer_s: float


@dataclass(frozen=True, slots=True)
class Structured:
    """Whether a model follows a JSON schema, the fault in the reply if it does not, and the
    endpoint's JSON mode."""

    json_schema: bool
    json_fault: str | None
    json_mode: str | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Whether a model returns log-probabilities, and for how many alternatives."""

    log_probabilities: bool
    log_probabilities_fault: str | None = None
    alternatives: int | None = None


@dataclass(frozen=True, slots=True)
class LongPrompt:
    """Whether an endpoint reads a long prompt in full, and how many tokens it counts."""

    long_prompt: bool
    long_prompt_tokens: int | None = None
    long_prompt_fault: str | None = None


@dataclass(frozen=True, slots=True)
class Speed:
    """The number of tokens that a model generates per second."""

    tokens_a_second: float
    speed_fault: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The results of all checks of a model; `long_prompt` is None for models without an
    endpoint."""

    model: str
    kind: str
    greeting: Greeting
    structured: Structured
    judged: Judged
    long_prompt: LongPrompt | None
    speed: Speed

    def as_dict(self) -> dict[str, bool | str | float]:
        """Return a mapping from names to results of all checks; missing values are left out."""
        parts = (self.greeting, self.structured, self.judged, self.long_prompt, self.speed)
        found: dict[str, Any] = {"model": self.model, "kind": self.kind}
        for part in parts:
            found |= asdict(part) if part is not None else {}
        return {name: value for name, value in found.items() if value is not None}


@click.command("doctor")
@model_option
@base_url_option
@click.option("--json", "as_json", is_flag=True, help="Print the output as JSON.")
def command(models: tuple[str, ...], base_urls: tuple[str, ...], as_json: bool) -> None:
    """Check a model, by default the embedded one, with up to five calls like those in a run.

    The command checks whether the model is reachable, accepts a system message, thinks before it
    replies, follows a JSON schema, returns log-probabilities and reads a long prompt in full. It
    also measures the model's speed.

    \b
    Example:
      convogen doctor --model llama3.2 --base-url http://localhost:11434/v1
    """
    from convogen.cli._shared.plugins import print_faults
    from convogen.inputs.validation import validated
    from convogen.models.spec import ModelSpec

    print_faults()
    chosen = models_from({}, models, base_urls, []).get("default", "embedded")
    named = {"name": chosen} if isinstance(chosen, str) else chosen
    report = asyncio.run(examine(validated(ModelSpec, named, "doctor"))).as_dict()
    if as_json:
        say_json(report, indent=2)
        return
    for key, value in report.items():
        shown = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
        say(f"{key.replace('_', ' '):28} {shown}")


async def examine(spec: ModelSpec) -> Diagnosis:
    """Return the results of all checks of a model.

    Raises the model's error if the first call fails.
    """
    from convogen.errors import EndpointDown
    from convogen.models.base import Transient
    from convogen.models.opening import open_model
    from convogen.models.traffic.pool import no_completion_from

    model = open_model(spec)
    calls = _Calls(model, spec)
    try:
        return Diagnosis(
            model=spec.identity,
            kind=spec.kind,
            greeting=await calls.hello(),
            structured=await calls.structured(),
            judged=await calls.judged(),
            long_prompt=await calls.long_prompt() if spec.kind == "endpoint" else None,
            speed=await calls.speed(),
        )
    except Transient as fault:
        advice = f"; {no_completion_from(spec)}" if fault.kind == "unreadable" else ""
        raise EndpointDown(f"model {spec.name}: {fault}{advice}") from fault
    finally:
        await model.close()


class _Calls:
    """The checks for a model, each of which makes one model call."""

    def __init__(self, model: ChatModel, spec: ModelSpec) -> None:
        self._model, self._spec = model, spec

    async def _ask(self, text: str, system: str = SYSTEM, **more: Any) -> ModelReply:
        from convogen.models.base import Message, Request, Sampling

        room = more.pop("max_tokens", ROOM if self._spec.kind == "endpoint" else SHORT_ROOM)
        sampling = Sampling(temperature=0.0, max_tokens=room, seed=1)
        messages = (Message("system", system), Message("user", text))
        return await self._model.complete(
            Request("doctor", self._spec.identity, messages, sampling, **more)
        )

    async def _try(self, text: str, **more: Any) -> ModelReply | str:
        """Return a reply, or the error message, so that a failed call does not stop the checks."""
        from convogen.errors import ModelConfigError, ModelFault
        from convogen.models.base import Transient

        try:
            return await self._ask(text, **more)
        except (ModelFault, ModelConfigError, Transient) as fault:
            return f"{fault}"

    async def hello(self) -> Greeting:
        started = time.perf_counter()
        reply = await self._ask("Say hello in one short sentence.")
        seconds = time.perf_counter() - started
        thinks = bool(reply.thought or (reply.cut_off and not reply.text.strip()))
        dialect = getattr(self._model, "dialect", None)
        return Greeting(
            reachable=True,
            says=reply.text.strip()[:200],
            system_role=getattr(dialect, "takes_system", True),
            thinks=thinks,
            thinking=THINKS.format(reply.usage.completion_tokens) if thinks else None,
            first_answer_s=round(seconds, 3),
        )

    async def structured(self) -> Structured:
        from convogen.generation.structured_output import schema_of

        model = _cast_model()
        asked = "Invent two people, each with a name and a trait, and a colour, as JSON."
        reply = await self._try(asked, schema=schema_of(model))
        dialect = getattr(self._model, "dialect", None)
        fault = reply if isinstance(reply, str) else _json_fault(reply, model)
        return Structured(fault is None, fault, dialect.json_mode if dialect is not None else None)

    async def judged(self) -> Judged:
        reply = await self._try("Answer with one digit: 1+1=", top_logprobs=TOP_LOGPROBS)
        if isinstance(reply, str):
            return Judged(False, reply)
        if not (reply.logprobs and reply.logprobs[0].top):
            return Judged(False)
        return Judged(True, alternatives=len(reply.logprobs[0].top))

    async def long_prompt(self) -> LongPrompt:
        story = " ".join(FILLER.format(n) for n in range(1, FILLERS + 1))
        text = f"{story}\n\nWhich word were you told to remember at the very beginning?"
        reply = await self._try(text, system=f"Remember the word {WORD}. {SYSTEM}")
        if isinstance(reply, str):
            return LongPrompt(False, long_prompt_fault=reply)
        tokens = reply.usage.prompt_tokens
        if 0 < tokens < len(text) / MOST_CHARS_A_TOKEN:
            return LongPrompt(False, tokens, CUT.format(len(text), tokens))
        if WORD not in reply.text.casefold():
            return LongPrompt(
                False, tokens, "the model does not remember the beginning of the prompt"
            )
        return LongPrompt(True, tokens)

    async def speed(self) -> Speed:
        started = time.perf_counter()
        reply = await self._try("Tell me about the sea.", max_tokens=SHORT_ROOM)
        seconds = max(time.perf_counter() - started, 1e-6)
        if isinstance(reply, str):
            return Speed(0.0, reply)
        return Speed(round(reply.usage.completion_tokens / seconds, 1))


def _json_fault(reply: ModelReply, model: type[StructuredReply]) -> str | None:
    """Return the problem in a reply that should be a JSON object, or None if it is valid."""
    from pydantic import ValidationError

    from convogen.generation.structured_output import find_json
    from convogen.inputs.keys import first_fault

    found = find_json(reply.text, model.model_fields)
    try:
        model.model_validate(found or {})
    except ValidationError as error:
        cut = " (the reply was cut off)" if reply.cut_off else ""
        said = "no JSON object" if found is None else first_fault(error)
        return f"{said}{cut}"
    return None


def _cast_model() -> type[StructuredReply]:
    """Return a small reply model whose JSON schema has every feature that runs use."""
    from pydantic import Field, create_model

    from convogen.generation.structured_output import StructuredReply
    from convogen.text.lengths import Words

    person = create_model(
        "DoctorPerson",
        __base__=StructuredReply,
        name=(str, Words(4).field(shortest=1)),
        trait=(str, Words(5).field()),
    )
    people: Any = (list[person], Field(min_length=2, max_length=2))
    colour: Any = (Literal["red", "green", "blue"], ...)
    return create_model("DoctorCast", __base__=StructuredReply, people=people, colour=colour)
