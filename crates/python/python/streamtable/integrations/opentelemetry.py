"""An exporter of OpenTelemetry's spans."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from .._llm import Prices, cost_of
from .._loggable import SECRETS, Redact
from .._table import StreamTable
from ._sink import Sink

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# The names of each version of the semantic conventions for generative AI, the newest first, then those of
# OpenInference.
_MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_INPUT_TOKENS = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT_TOKENS = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_OPERATION = ("gen_ai.operation.name", "openinference.span.kind")
_SESSION = ("gen_ai.conversation.id", "session.id")
_FIRST_TOKEN = ("gen_ai.response.time_to_first_chunk",)
_INPUT = ("gen_ai.tool.call.arguments", "input.value")
_OUTPUT = ("gen_ai.tool.call.result", "output.value")

# The values of these are in the columns `inputs` and `output`.
_CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.tool.definitions",
    *_INPUT, *_OUTPUT,
)  # fmt: skip

_CONTENT_PREFIXES = ("gen_ai.prompt.", "gen_ai.completion.")

# OpenInference repeats its input and its output in these, one attribute for each field.
_REPEATED = (("llm.input_messages.", "input.value"), ("llm.output_messages.", "output.value"))


class TableSpanExporter(SpanExporter):
    """Logs each span as a row, with the columns of :class:`streamtable.monitor`.

    These are ``name``, ``start``, ``end``, ``latency``, ``inputs``, ``output``, ``exception``, ``id``,
    ``trace_id`` and ``parent_id``; then ``kind``, ``service``, ``scope``, ``status``, ``attributes`` and
    ``events``. A span of the semantic conventions for generative AI also has ``operation``, ``provider``,
    ``model``, ``input_tokens``, ``output_tokens``, ``first_token`` and ``session``, and its messages in
    ``inputs`` and ``output``.

    Exporting never waits for the table, so the simple processor is enough:

    >>> provider = opentelemetry.sdk.trace.TracerProvider()             # doctest: +SKIP
    >>> exporter = TableSpanExporter("me/shop/traces")                  # doctest: +SKIP
    >>> provider.add_span_processor(SimpleSpanProcessor(exporter))      # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        prices: The price of a million input tokens and of a million output tokens, by the beginning of
            the model's name, for the column ``cost``.
        redact: Names of attributes and fields whose values are not logged, or a function, as of
            ``monitor``.
    """

    def __init__(
        self, table: StreamTable | str, *, prices: Prices | None = None, redact: Redact = SECRETS
    ):
        self._sink = Sink(table, redact)
        self._prices = prices or {}
        self._is_shut_down = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Log spans as rows. Never waits."""
        if self._is_shut_down:
            return SpanExportResult.FAILURE
        for span in spans:
            self._sink.put(row_of(span, self._prices))
        return SpanExportResult.SUCCESS

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Wait until the rows are stored. Returns whether they are."""
        return self._sink.flush(timeout_millis / 1000)

    def shutdown(self) -> None:
        """Log no further spans. The rows so far are delivered in the background, or at exit."""
        self._is_shut_down = True

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table


def row_of(span: ReadableSpan, prices: Prices) -> dict[str, Any]:
    """Return the row of a span."""
    attributes = dict(span.attributes or {})
    events = [(event.name, dict(event.attributes or {}), event.timestamp) for event in span.events]
    context, parent = span.get_span_context(), span.parent
    start, end = _time(span.start_time), _time(span.end_time)
    row: dict[str, Any] = {
        "name": span.name,
        "start": start,
        "end": end,
        "latency": None if start is None or end is None else (end - start).total_seconds(),
        "inputs": _inputs(attributes, events),
        "output": _output(attributes, events),
        "exception": _exception(span, events),
        "id": None if context is None else f"{context.span_id:016x}",
        "trace_id": None if context is None else f"{context.trace_id:032x}",
        "parent_id": None if parent is None else f"{parent.span_id:016x}",
        "kind": span.kind.name.lower(),
        "service": span.resource.attributes.get("service.name"),
        "scope": None if span.instrumentation_scope is None else span.instrumentation_scope.name,
        "status": span.status.status_code.name.lower(),
        "attributes": _others(attributes) or None,
        "events": [
            {"name": name, "time": _time(at), "attributes": json.dumps(more, default=repr)}
            for name, more, at in events
            if not _is_message(name)
        ]
        or None,
    }
    facts = {
        "operation": _first(attributes, _OPERATION),
        "provider": _first(attributes, _PROVIDER),
        "model": _first(attributes, _MODEL),
        "input_tokens": _first(attributes, _INPUT_TOKENS),
        "output_tokens": _first(attributes, _OUTPUT_TOKENS),
        "session": _first(attributes, _SESSION),
        "first_token": _first(attributes, _FIRST_TOKEN),
    }
    row.update((name, value) for name, value in facts.items() if value is not None)
    cost = cost_of(facts, prices)
    return row if cost is None else {**row, "cost": cost}


def _time(nanos: int | None) -> datetime | None:
    return None if nanos is None else _EPOCH + timedelta(microseconds=nanos // 1000)


def _first(attributes: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def _others(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes whose values are not in the columns ``inputs`` and ``output``."""
    prefixes = (*_CONTENT_PREFIXES, *(prefix for prefix, whole in _REPEATED if whole in attributes))
    return {
        name: value
        for name, value in attributes.items()
        if name not in _CONTENT and not name.startswith(prefixes)
    }


def _is_message(event: str) -> bool:
    """Return whether an event is a message of a conversation."""
    return event == "gen_ai.choice" or (event.startswith("gen_ai.") and event.endswith(".message"))


_Event = tuple[str, dict[str, Any], int]


def _inputs(attributes: Mapping[str, Any], events: Iterable[_Event]) -> Any:
    messages = _messages(attributes.get("gen_ai.input.messages")) or _numbered(attributes, "gen_ai.prompt.")
    for name, more, _ in events:
        if _is_message(name) and name != "gen_ai.choice":
            role = name.removeprefix("gen_ai.").removesuffix(".message")
            messages.append({"role": role, **{field: _decoded(value) for field, value in more.items()}})
    more = {
        "system": _parts(_decoded(attributes.get("gen_ai.system_instructions"))),
        "messages": messages,
        "tools": _decoded(attributes.get("gen_ai.tool.definitions")),
    }
    inputs = {name: value for name, value in more.items() if value}
    return inputs or _decoded(_first(attributes, _INPUT))


def _output(attributes: Mapping[str, Any], events: Iterable[_Event]) -> Any:
    messages = _messages(attributes.get("gen_ai.output.messages")) or _numbered(attributes, "gen_ai.completion.")
    for name, more, _ in events:
        if name == "gen_ai.choice":
            messages.append({field: _decoded(value) for field, value in more.items()})
    return {"messages": messages} if messages else _decoded(_first(attributes, _OUTPUT))


def _messages(value: Any) -> list[Any]:
    """Return messages with their text as ``content``, if they consist of text."""
    messages = _decoded(value)
    if not isinstance(messages, list):
        return [messages] if messages else []
    return [_message(message) if isinstance(message, dict) else message for message in messages]


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = _parts(message.get("parts"))
    if not isinstance(content, str):
        return message
    return {**{name: value for name, value in message.items() if name != "parts"}, "content": content}


def _parts(parts: Any) -> Any:
    """Return the text of parts that are all text, otherwise the parts."""
    if not isinstance(parts, list) or not parts:
        return parts
    texts = []
    for part in parts:
        text = part.get("content") if isinstance(part, dict) and part.get("type") == "text" else None
        if not isinstance(text, str):
            return parts
        texts.append(text)
    return "\n".join(texts)


def _numbered(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """Return the messages of attributes such as ``gen_ai.prompt.0.role``."""
    found: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if name.startswith(prefix):
            number, _, field = name.removeprefix(prefix).partition(".")
            if number.isdigit() and field:
                found.setdefault(int(number), {})[field] = value
    return [found[number] for number in sorted(found)]


def _decoded(value: Any) -> Any:
    """Return the value of an attribute, which may be JSON text, because attributes are flat."""
    if isinstance(value, str) and value.startswith(("[", "{")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _exception(span: ReadableSpan, events: Iterable[_Event]) -> str | None:
    for name, more, _ in events:
        if name == "exception":
            return f"{more.get('exception.type', 'error')}: {more.get('exception.message', '')}"
    if span.status.status_code is StatusCode.ERROR:
        return span.status.description or str((span.attributes or {}).get("error.type", "error"))
    return None
