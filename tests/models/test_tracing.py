"""Spans exist only if tracing is enabled, and never contain the text of a prompt or reply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import python_process
from endpoint_server import EndpointServer, refuse
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from convogen import Experiment, load_run, run
from convogen.errors import EndpointDown
from convogen.models.tracing import use


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use(provider)
    yield exporter
    use(None)
    provider.shutdown()


def small(**overrides: object) -> Experiment:
    return Experiment.load("GPFS-s", {"n": 2, "models": "scripted", "max_turns": 3} | overrides)


def test_a_run_its_tasks_and_its_calls(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    run(small(), tmp_path)
    found = spans.get_finished_spans()
    names = {span.context.span_id: span.name for span in found}
    parents = {(s.name, names[s.parent.span_id] if s.parent else None) for s in found}
    assert parents == {("run", None), ("task", "run"), ("chat scripted", "task")}
    calls = [span for span in found if span.name == "chat scripted"]
    ledger = list(load_run(tmp_path).ledger())
    assert len(calls) == len(ledger)
    one = next(span for span in calls if span.attributes["convogen.role"] == "generator")
    row = next(row for row in ledger if row["role"] == "generator" and row["task"] == 0)
    assert one.attributes["gen_ai.operation.name"] == "chat"
    assert one.attributes["gen_ai.request.model"] == "scripted"
    assert one.attributes["gen_ai.request.max_tokens"] == 4000
    assert one.attributes["gen_ai.usage.output_tokens"] > 0
    assert row["completion_tokens"] in {s.attributes["gen_ai.usage.output_tokens"] for s in calls}
    assert one.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert one.kind.name == "CLIENT"
    said = next(load_run(tmp_path).conversations()).turns[1].text
    assert said not in str([dict(span.attributes) for span in found])


def test_a_call_that_fails_says_of_what(
    spans: InMemorySpanExporter, endpoint: EndpointServer, tmp_path: Path
) -> None:
    endpoint.script = lambda _: refuse(401, "no")
    with pytest.raises(EndpointDown):
        run(small(models={"name": "m", "base_url": endpoint.base_url}), tmp_path)
    failed = [span for span in spans.get_finished_spans() if span.name == "chat m"]
    assert {span.attributes["error.type"] for span in failed} == {"EndpointDown"} or {
        "EndpointDown",
        "CancelledError",
    } == {span.attributes["error.type"] for span in failed}
    assert failed[0].status.status_code.name == "ERROR"
    assert failed[0].attributes["gen_ai.provider.name"] == "openai"


PROGRAM = """
import sys
from convogen.models import tracing
blocked = sys.argv[1] == "missing"
if blocked:
    sys.modules["opentelemetry"] = None
tracing.configure()
with tracing.span("run", n=1) as opened:
    print(opened is None or not opened.is_recording(), flush=True)
"""


@pytest.mark.parametrize(
    ("extra", "url", "none"),
    [("missing", "http://127.0.0.1:9", True), ("there", "", True), ("there", "url", False)],
)
def test_no_span_without_the_extra_or_a_place_to_send_it(
    endpoint: EndpointServer, extra: str, url: str, none: bool
) -> None:
    url = endpoint.base_url if url == "url" else url
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    ended = python_process("-c", PROGRAM, extra, **environment)
    assert ended.status == 0, ended.err
    assert ended.out.split() == [str(none)]
