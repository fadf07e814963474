"""Optional OpenTelemetry spans for a run, its tasks and its model calls.

The command line exports spans if `convogen[otel]` is installed and OTEL_EXPORTER_OTLP_ENDPOINT or
OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set. In a program that uses convogen, spans go to the tracer
provider passed to `use`, or to the program's own provider, which also receives AutoGen's spans.
Otherwise no spans are recorded. Attributes follow the semantic conventions for generative AI and
never contain the text of prompts or replies.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from convogen.models.base import ModelReply, Request
from convogen.redaction import masked

__all__ = ["call_span", "configure", "span", "use"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROVIDERS = {"endpoint": "openai", "embedded": "llama_cpp", "scripted": "scripted"}
"""The value of `gen_ai.provider.name` for each kind of backend. It names the interface, because the
provider is unknown."""


_own: list[Any] = []


def use(provider: Any) -> None:
    """Send spans to a tracer provider; None restores the process's own provider."""
    _own[:] = [] if provider is None else [provider]


def configure() -> bool:
    """Start to export spans if the environment requests it.

    Returns:
        False if the environment requests spans but `convogen[otel]` is not installed; otherwise
        True.
    """
    if _own or not any(os.environ.get(name) for name in ENDPOINTS):
        return True
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        return False
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "convogen"}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)  # not the process's own provider: AutoGen would add forty spans per task
    return True


@contextmanager
def span(name: str, /, **attributes: Any) -> Generator[Any]:
    """Open a span around the block and yield it, or yield None if tracing is off.

    Attributes are named `convogen.<name>`. If the block raises an exception, the span records its
    type and message.
    """
    own = {f"convogen.{key}": value for key, value in attributes.items()}
    with _span(name, own, client=False) as opened:
        yield opened


@contextmanager
def call_span(request: Request, kind: str, task: int) -> Generator[_Call]:
    """Open a span around a model call, and yield an object whose `answered` method records the
    reply."""
    sampling = request.sampling
    asked = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": PROVIDERS.get(kind, kind),
        "gen_ai.request.model": request.model,
        "gen_ai.request.temperature": sampling.temperature,
        "gen_ai.request.top_p": sampling.top_p,
        "gen_ai.request.max_tokens": sampling.max_tokens,
        "gen_ai.request.frequency_penalty": sampling.frequency_penalty,
        "gen_ai.request.presence_penalty": sampling.presence_penalty,
        "gen_ai.request.stop_sequences": sampling.stop,
        "gen_ai.request.seed": sampling.seed,
        "gen_ai.output.type": "text" if request.schema is None else "json",
        "convogen.role": request.role,
        "convogen.task": task,
    }
    known = {key: value for key, value in asked.items() if value is not None}
    with _span(f"chat {request.model}", known, client=True) as opened:
        yield _Call(opened)


class _Call:
    def __init__(self, opened: Any) -> None:
        self._span = opened

    def answered(self, reply: ModelReply, attempts: int) -> None:
        """Record the reply to the model call and the number of attempts."""
        if self._span is not None:
            self._span.set_attributes(
                {
                    "gen_ai.response.finish_reasons": [reply.finish_reason],
                    "gen_ai.usage.input_tokens": reply.usage.prompt_tokens,
                    "gen_ai.usage.output_tokens": reply.usage.completion_tokens,
                    "gen_ai.usage.cache_read.input_tokens": reply.usage.cached_tokens,
                    "convogen.attempts": attempts,
                }
            )


@cache
def _api() -> Any:
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    return trace


@contextmanager
def _span(name: str, attributes: dict[str, Any], *, client: bool) -> Generator[Any]:
    trace = _api()
    provider = trace and (_own[0] if _own else trace.get_tracer_provider())
    if provider is None or isinstance(provider, trace.ProxyTracerProvider):
        yield None  # tracing is off
        return
    safe = {k: masked(v) if isinstance(v, str) else v for k, v in attributes.items()}
    with provider.get_tracer("convogen").start_as_current_span(
        masked(name),
        kind=trace.SpanKind.CLIENT if client else trace.SpanKind.INTERNAL,
        attributes=safe,
        record_exception=False,
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except BaseException as error:
            opened.set_attribute("error.type", type(error).__name__)
            opened.set_status(trace.StatusCode.ERROR, masked(str(error))[:300])
            raise
