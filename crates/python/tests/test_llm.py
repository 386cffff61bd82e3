"""The real clients of OpenAI and Anthropic, against a server that answers as theirs do."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import openai
import pytest
from lab import Server

import streamtable
from streamtable import StreamTable

MODEL = "model-1-2026"

CHUNKS: list[dict[str, Any]] = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "Hel"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"content": "lo"}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\""}}
    ]}, "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
                  "finish_reason": None}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}},
]  # fmt: skip

COMPLETION: dict[str, Any] = {
    "id": "x", "object": "chat.completion", "created": 1, "model": MODEL,
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
}  # fmt: skip

RESPONSE: dict[str, Any] = {
    "id": "r", "object": "response", "created_at": 1, "model": MODEL, "status": "completed", "tools": [],
    "tool_choice": "auto", "parallel_tool_calls": True,
    "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}],
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
              "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}},
}  # fmt: skip

MESSAGE: dict[str, Any] = {
    "id": "m", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": "Hello"}],
    "usage": {"input_tokens": 10, "output_tokens": 5},
}  # fmt: skip

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None,
                                           "usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
     "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]  # fmt: skip


class Model(BaseHTTPRequestHandler):
    """Answers requests of both clients."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked.get("model") == "unknown":
            return self.answer(404, json.dumps({"error": {"message": "no such model"}}), "application/json")
        is_stream = asked.get("stream")
        if self.path.endswith("/chat/completions"):
            base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
            lines = [f"data: {json.dumps({**base, **chunk})}\n\n" for chunk in CHUNKS] + ["data: [DONE]\n\n"]
            whole = COMPLETION
        elif self.path.endswith("/responses"):
            delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0,
                     "content_index": 0, "delta": "Hello", "sequence_number": 1, "logprobs": []}  # fmt: skip
            done = {"type": "response.completed", "response": RESPONSE, "sequence_number": 2}
            lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in (delta, done)]
            whole = RESPONSE
        else:
            lines = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in EVENTS]
            whole = MESSAGE
        if is_stream:
            return self.answer(200, "".join(lines), "text/event-stream")
        return self.answer(200, json.dumps(whole), "application/json")

    def answer(self, status: int, body: str, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_address[1]}"
    http.shutdown()
    http.server_close()


@pytest.fixture
def table(name: str) -> Iterator[StreamTable]:
    with StreamTable(name, quiet=True, columns="evolve") as table:
        yield table


PRICES = {"model-1": (2.0, 4.0), "model": (1.0, 1.0)}

ASKED: dict[str, Any] = {"model": "model-1", "messages": [{"role": "user", "content": "Hi"}]}

FACTS = {"model": MODEL, "input_tokens": 10, "output_tokens": 5, "cost": 4e-05}


def rows(server: Server, table: StreamTable) -> list[dict[str, Any]]:
    table.flush()
    return server.rows(table.path)


def check_facts(row: dict[str, Any], name: str, streamed: bool) -> None:
    assert (row["name"], row["exception"]) == (name, None)
    assert {column: row[column] for column in FACTS} == FACTS
    assert (row.get("first_token") is not None) == streamed
    if streamed:
        assert 0 < row["first_token"] <= row["latency"]


def test_openai(server: Server, table: StreamTable, model: str) -> None:
    with openai.OpenAI(api_key="k", base_url=model, max_retries=0) as client:
        assert streamtable.instrument(client, table, prices=PRICES) is client
        # Twice has no effect.
        streamtable.instrument(client, table)
        assert client.chat.completions.create(**ASKED).choices[0].message.content == "Hello"
        stream = client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})
        assert isinstance(stream, openai.Stream)
        with stream:
            assert "".join(c.choices[0].delta.content or "" for c in stream if c.choices) == "Hello"
        assert client.responses.create(model="model-1", input="Hi").output_text == "Hello"
        kinds = [event.type for event in client.responses.create(model="model-1", input="Hi", stream=True)]
        assert kinds == ["response.output_text.delta", "response.completed"]
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(**{**ASKED, "model": "unknown"})
    plain, chat, response, events, failed = rows(server, table)
    check_facts(plain, "openai.chat.completions.create", False)
    check_facts(chat, "openai.chat.completions.create", True)
    check_facts(response, "openai.responses.create", False)
    check_facts(events, "openai.responses.create", True)
    assert plain["inputs"] == ASKED
    assert plain["output"]["choices"][0]["message"]["content"] == "Hello"
    (choice,) = chat["output"]["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Hello", "tool_calls")
    assert choice["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    ]
    assert response["output"]["output"] == events["output"]["output"]
    assert "no such model" in failed["exception"] and failed["output"] is None


def test_anthropic(server: Server, table: StreamTable, model: str) -> None:
    asked: dict[str, Any] = {**ASKED, "max_tokens": 9}
    with anthropic.Anthropic(api_key="k", base_url=model, max_retries=0) as client:
        streamtable.instrument(client, table, prices=PRICES)
        assert client.messages.create(**asked).content[0].text == "Hello"  # type: ignore[union-attr]
        stream = client.messages.create(**asked, stream=True)
        assert [event.type for event in stream if event.type != "ping"][-1] == "message_stop"
        with client.messages.stream(**asked) as managed:
            assert "".join(managed.text_stream) == "Hello"
            assert managed.get_final_message().stop_reason == "end_turn"
        # Left before its end.
        with client.messages.stream(**asked) as managed:
            next(iter(managed))
    plain, events, text, left = rows(server, table)
    check_facts(plain, "anthropic.messages.create", False)
    check_facts(events, "anthropic.messages.create", True)
    check_facts(text, "anthropic.messages.stream", True)
    for row in (plain, events, text):
        assert [(block["type"], block["text"]) for block in row["output"]["content"]] == [("text", "Hello")]
        assert row["output"]["stop_reason"] == "end_turn"
    assert (left["name"], left["exception"]) == ("anthropic.messages.stream", None)


def test_async_clients(server: Server, table: StreamTable, model: str) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(api_key="k", base_url=model, max_retries=0) as client:
            streamtable.instrument(client, table, prices=PRICES)
            await client.chat.completions.create(**ASKED)
            options = {"stream": True, "stream_options": {"include_usage": True}}
            async for _ in await client.chat.completions.create(**ASKED, **options):
                pass
        async with anthropic.AsyncAnthropic(api_key="k", base_url=model, max_retries=0) as other:
            streamtable.instrument(other, table, prices=PRICES)
            async with other.messages.stream(**ASKED, max_tokens=9) as stream:
                assert [text async for text in stream.text_stream] == ["Hel", "lo"]

    asyncio.run(main())
    plain, chat, text = rows(server, table)
    check_facts(plain, "openai.chat.completions.create", False)
    check_facts(chat, "openai.chat.completions.create", True)
    check_facts(text, "anthropic.messages.stream", True)


def test_calls_of_a_client_are_children_of_a_function(server: Server, table: StreamTable, model: str) -> None:
    client = streamtable.instrument(openai.OpenAI(api_key="k", base_url=model), table)

    @streamtable.monitor(table, name="answer")
    def answer() -> str | None:
        return client.chat.completions.create(**ASKED).choices[0].message.content

    assert answer() == "Hello"
    client.close()
    call, root = rows(server, table)
    assert (call["parent_id"], call["trace_id"], root["output"]) == (
        root["id"],
        root["trace_id"],
        "Hello",
    )


def test_a_monitored_function_may_return_a_stream(server: Server, table: StreamTable, model: str) -> None:
    client = openai.OpenAI(api_key="k", base_url=model)

    @streamtable.monitor(table, name="answer", prices=PRICES)
    def answer() -> Any:
        return client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True})

    stream = answer()
    assert isinstance(stream, openai.Stream)
    assert rows_logged(table) == 0
    for _ in stream:
        pass
    client.close()
    (row,) = rows(server, table)
    check_facts(row, "answer", True)


def rows_logged(table: StreamTable) -> int:
    return table.stats().logged


def test_other_clients_are_refused(table: StreamTable) -> None:
    with pytest.raises(TypeError, match="a client of openai or anthropic, not dict"):
        streamtable.instrument({}, table)
