"""The exporter of spans, with the real SDK of OpenTelemetry."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from lab import Server
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode, Tracer

from streamtable import StreamTable
from streamtable.integrations.opentelemetry import TableSpanExporter


@pytest.fixture
def table(name: str) -> Iterator[StreamTable]:
    with StreamTable(name, quiet=True, columns="evolve") as table:
        yield table


@pytest.fixture
def tracer(table: StreamTable) -> Iterator[Tracer]:
    provider = TracerProvider(resource=Resource({"service.name": "shop"}))
    provider.add_span_processor(SimpleSpanProcessor(TableSpanExporter(table, prices={"gpt": (2.0, 10.0)})))
    yield provider.get_tracer("shop.tracer")
    provider.shutdown()


def rows(table: StreamTable) -> list[dict[str, Any]]:
    return [{**row} for row in table.rows()]


def test_spans_are_rows_of_a_trace(server: Server, table: StreamTable, tracer: Tracer) -> None:
    with tracer.start_as_current_span("checkout", kind=SpanKind.SERVER) as outer:
        outer.set_attribute("user", "ann")
        outer.add_event("cart read", {"items": 3})
        with pytest.raises(ValueError), tracer.start_as_current_span("pay") as inner:
            raise ValueError("no money")
    pay, checkout = rows(table)
    assert (checkout["name"], checkout["kind"], checkout["service"]) == ("checkout", "server", "shop")
    assert (checkout["scope"], checkout["status"], checkout["exception"]) == ("shop.tracer", "unset", None)
    context = outer.get_span_context()
    assert checkout["trace_id"] == f"{context.trace_id:032x}" == pay["trace_id"]
    assert checkout["id"] == f"{context.span_id:016x}" == pay["parent_id"] and checkout["parent_id"] is None
    assert pay["id"] == f"{inner.get_span_context().span_id:016x}"
    assert checkout["attributes"] == {"user": "ann"}
    (event,) = checkout["events"]
    assert event["name"] == "cart read" and json.loads(event["attributes"]) == {"items": 3}
    assert checkout["start"] <= event["time"] <= checkout["end"]
    assert checkout["latency"] == (checkout["end"] - checkout["start"]).total_seconds() >= pay["latency"]
    assert (pay["status"], pay["exception"]) == ("error", "ValueError: no money")
    assert pay["events"][0]["name"] == "exception"


SYSTEM = [{"type": "text", "content": "Be short."}]
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]
SAID = [{"role": "assistant", "parts": [{"type": "text", "content": "So."}], "finish_reason": "stop"}]
CALL = [{"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"x": 1}}]}]


def test_a_call_of_a_model(server: Server, table: StreamTable, tracer: Tracer) -> None:
    with tracer.start_as_current_span("chat gpt-5") as span:
        span.set_attributes(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt",
                "gen_ai.response.model": "gpt-5-1",
                "gen_ai.usage.input_tokens": 1000,
                "gen_ai.usage.output_tokens": 100,
                "gen_ai.conversation.id": "c7",
                "gen_ai.response.time_to_first_chunk": 0.25,
                "gen_ai.request.temperature": 0.5,
                "gen_ai.system_instructions": json.dumps(SYSTEM),
                "gen_ai.input.messages": json.dumps(ASKED),
                "gen_ai.output.messages": json.dumps(SAID),
            }
        )
    (row,) = rows(table)
    assert (row["operation"], row["provider"], row["model"]) == ("chat", "openai", "gpt-5-1")
    assert (row["input_tokens"], row["output_tokens"], row["session"]) == (1000, 100, "c7")
    assert row["cost"] == pytest.approx(0.003) and row["first_token"] == 0.25
    assert row["inputs"] == {"system": "Be short.", "messages": [{"role": "user", "content": "Why?"}]}
    assert row["output"] == {"messages": [{"role": "assistant", "finish_reason": "stop", "content": "So."}]}
    # The content is not repeated.
    assert "gen_ai.input.messages" not in row["attributes"]
    assert row["attributes"]["gen_ai.request.temperature"] == 0.5


def numbered(span: Any) -> None:
    span.set_attributes(
        {
            "gen_ai.prompt.0.role": "system",
            "gen_ai.prompt.0.content": "Be short.",
            "gen_ai.prompt.1.role": "user",
            "gen_ai.prompt.1.content": "Why?",
            "gen_ai.completion.0.role": "assistant",
            "gen_ai.completion.0.content": "So.",
            "gen_ai.usage.prompt_tokens": 5,
            "gen_ai.usage.completion_tokens": 2,
        }
    )


def as_events(span: Any) -> None:
    span.set_attributes({"gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": 2})
    span.add_event("gen_ai.system.message", {"content": "Be short."})
    span.add_event("gen_ai.user.message", {"content": "Why?"})
    span.add_event("gen_ai.choice", {"role": "assistant", "content": "So."})


@pytest.mark.parametrize("tell", [numbered, as_events])
def test_older_conventions(server: Server, table: StreamTable, tracer: Tracer, tell: Any) -> None:
    with tracer.start_as_current_span("chat") as span:
        tell(span)
    (row,) = rows(table)
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}]
    assert row["inputs"] == {"messages": messages}
    assert row["output"] == {"messages": [{"role": "assistant", "content": "So."}]}
    assert (row["input_tokens"], row["output_tokens"], row["events"]) == (5, 2, None)


@pytest.mark.parametrize(
    ("attributes", "inputs", "output"),
    [
        ({"gen_ai.tool.call.arguments": '{"x": 1}', "gen_ai.tool.call.result": "2"}, {"x": 1}, "2"),
        ({"input.value": "why", "output.value": '["so"]'}, "why", ["so"]),
        ({"input.value": "{not json", "llm.token_count.prompt": 5}, "{not json", None),
        ({"gen_ai.output.messages": json.dumps(CALL)}, None, {"messages": CALL}),
        ({"gen_ai.input.messages": "plain text"}, {"messages": ["plain text"]}, None),
        ({"user": "ann"}, None, None),
    ],
)
def test_other_inputs_and_outputs(
    table: StreamTable, tracer: Tracer, attributes: dict[str, Any], inputs: Any, output: Any
) -> None:
    with tracer.start_as_current_span("step", attributes=attributes):
        pass
    (row,) = rows(table)
    assert (row.get("inputs"), row.get("output")) == (inputs, output)


def test_openinference_repeats_its_messages(table: StreamTable, tracer: Tracer) -> None:
    asked = {"input.value": "why", "llm.input_messages.0.message.content": "why", "llm.system": "openai"}
    with tracer.start_as_current_span("a", attributes=asked):
        pass
    with tracer.start_as_current_span("b", attributes={"llm.input_messages.0.message.content": "why"}):
        pass
    repeated, alone = rows(table)
    assert (repeated["inputs"], repeated["provider"]) == ("why", "openai")
    assert repeated["attributes"] == {"llm.system": "openai"}
    assert alone["attributes"] == {"llm.input_messages.0.message.content": "why"}


def test_secrets_and_odd_values(table: StreamTable, tracer: Tracer) -> None:
    with tracer.start_as_current_span("a") as span:
        span.set_attributes({"api_key": "k", "tags": ["a", "b"], "n": 1})
        span.set_status(StatusCode.ERROR, "timeout")
    with tracer.start_as_current_span("b") as span:
        # Of another kind than before.
        span.set_attributes({"tags": "none", "n": "one"})
    first, second = rows(table)
    assert first["attributes"] == {"api_key": "[redacted]", "tags": ["a", "b"], "n": 1}
    assert first["exception"] == "timeout"
    assert second["name"] == "b"
    shown = second["attributes"]
    assert (shown["tags"], shown["n"]) == ("none", "one")


def test_flush_and_shutdown(server: Server, name: str) -> None:
    exporter = TableSpanExporter(name)
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with provider.get_tracer("t").start_as_current_span("a"):
        pass
    assert provider.force_flush() and exporter.force_flush()
    assert [row["name"] for row in server.rows(name)] == ["a"]
    provider.shutdown()
    with provider.get_tracer("t").start_as_current_span("b"):
        pass
    exporter.table.finish()
    assert [row["name"] for row in server.rows(name)] == ["a"]


def test_exporting_never_waits_for_a_server(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        exporter = TableSpanExporter(name)
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("t").start_as_current_span("a"):
            pass
        assert not exporter.force_flush(100)
        # Only this waits.
        assert exporter.table.stats().pending == 1
