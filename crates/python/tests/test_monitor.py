"""Tests of `monitor`."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from lab import Server

from streamtable import Record, StreamTable, monitor

COLUMNS = ["name", "start", "end", "latency", "inputs", "output", "exception", "timestamp"]


@pytest.fixture
def table(name: str) -> Iterator[StreamTable]:
    with StreamTable(name, quiet=True, columns="evolve") as table:
        yield table


def rows(server: Server, table: StreamTable) -> list[dict[str, Any]]:
    table.flush()
    return server.rows(table.path)


def test_a_function(server: Server, table: StreamTable) -> None:
    @monitor(table)
    def price(item: str, count: int = 1, *more: int, **options: bool) -> float:
        """Returns the price."""
        return count * 9.5

    assert price("tea", 2, 3, gift=True) == 19.0
    assert price("tea") == 9.5
    assert price.__doc__ == "Returns the price."
    first, second = rows(server, table)
    assert first["name"] == "test_a_function.<locals>.price"
    assert first["inputs"] == {"item": "tea", "count": 2, "more": [3], "options": {"gift": True}}
    assert (first["output"], first["exception"]) == (19.0, None)
    assert second["inputs"] == {"item": "tea", "count": 1, "more": [], "options": {}}
    assert 0 <= first["latency"] < 1
    assert first["start"] <= first["end"] <= second["start"]
    assert list(server.columns(table.path)) == COLUMNS
    assert server.columns(table.path)["start"] == "timestamp"


def test_an_exception_is_logged_and_raised(server: Server, table: StreamTable) -> None:
    @monitor(table, name="divide")
    def divide(a: int, b: int) -> float:
        return a / b

    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    with pytest.raises(TypeError, match="missing 1 required"):
        divide(1)  # type: ignore[call-arg]
    first, second = rows(server, table)
    assert first["exception"] == "ZeroDivisionError: division by zero"
    assert (first["name"], first["inputs"], first["output"]) == ("divide", {"a": 1, "b": 0}, None)
    assert second["exception"].startswith("TypeError: ")


def test_processors_and_methods(server: Server, table: StreamTable) -> None:
    class Model:
        @monitor(
            table,
            input_preprocessor=lambda inputs: {"length": len(inputs["text"])},
            output_postprocessor=lambda output: output["label"],
        )
        def predict(self, text: str) -> dict[str, str]:
            return {"label": text.upper(), "secret": "x"}

    assert Model().predict("cat")["secret"] == "x"
    (row,) = rows(server, table)
    assert (row["inputs"], row["output"]) == ({"length": 3}, "CAT")


def test_add_data_adds_columns(server: Server, table: StreamTable) -> None:
    @monitor(table, auto_log=False)
    def answer(question: str) -> str:
        return "42"

    record: Any = answer("why")
    assert isinstance(record, Record)
    assert record.get() == "42"
    assert rows_or_none(server, table) == []
    record.add_data({"score": 0.5}, user="ada").add_data(score=1.0)
    record.finalize()
    record.finalize()
    (row,) = rows(server, table)
    assert (row["output"], row["score"], row["user"]) == ("42", 1.0, "ada")
    with pytest.raises(ValueError, match="'output' is a column of every record"):
        record.add_data(output=1)


def rows_or_none(server: Server, table: StreamTable) -> list[Any]:
    return [] if table.stats().logged == 0 else rows(server, table)


def test_blocks(server: Server, table: StreamTable) -> None:
    block = monitor(table, name="step")
    with block as outer:
        with block as inner:
            inner.inputs = {"depth": 2}
        outer.output = "done"
    with pytest.raises(KeyError), block:
        raise KeyError("x")
    inner_row, outer_row, failed = rows(server, table)
    assert inner_row["inputs"] == {"depth": 2}
    assert outer_row["output"] == "done"
    assert outer_row["latency"] >= inner_row["latency"]
    assert failed["exception"] == "KeyError: 'x'"


def test_async_functions(server: Server, table: StreamTable) -> None:
    @monitor(table)
    async def fetch(n: int) -> int:
        await asyncio.sleep(0.05)
        if n == 3:
            raise ValueError("three")
        return n * n

    async def main() -> list[Any]:
        return await asyncio.gather(*(fetch(n) for n in range(5)), return_exceptions=True)

    results = asyncio.run(main())
    assert results[:3] == [0, 1, 4]
    found = {row["inputs"]["n"]: row for row in rows(server, table)}
    assert [found[n]["output"] for n in range(5)] == [0, 1, 4, None, 16]
    assert found[3]["exception"] == "ValueError: three"
    assert all(row["latency"] >= 0.05 for row in found.values())


def test_generators(server: Server, table: StreamTable) -> None:
    @monitor(table)
    def count(to: int) -> Iterator[int]:
        for n in range(to):
            got = yield n
            if got == "stop":
                raise RuntimeError("stopped")

    assert list(count(3)) == [0, 1, 2]
    half = count(9)
    assert (next(half), next(half)) == (0, 1)
    half.close()  # type: ignore[attr-defined]
    sent = count(9)
    next(sent)
    with pytest.raises(RuntimeError):
        sent.send("stop")  # type: ignore[attr-defined]
    assert len(list(count(2000))) == 2000
    whole, closed, failed, long = rows(server, table)
    assert (whole["output"], whole["exception"]) == ([0, 1, 2], None)
    assert (closed["output"], closed["exception"]) == ([0, 1], None)
    assert (failed["output"], failed["exception"]) == ([0], "RuntimeError: stopped")
    assert len(long["output"]) == 1000

    def plain() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="auto_log"):
        monitor(table, auto_log=False)(plain)


def test_async_generators(server: Server, table: StreamTable) -> None:
    @monitor(table)
    async def tokens(text: str) -> AsyncIterator[str]:
        for word in text.split():
            await asyncio.sleep(0)
            yield word

    async def main() -> list[str]:
        return [token async for token in tokens("a b c")]

    assert asyncio.run(main()) == ["a", "b", "c"]
    (row,) = rows(server, table)
    assert row["output"] == ["a", "b", "c"]


def test_unsupported_values_are_logged_as_repr(server: Server, table: StreamTable) -> None:
    class Strange:
        def __repr__(self) -> str:
            return "<strange>"

    @monitor(table)
    def take(*values: object) -> object:
        return values[0]

    assert isinstance(take(Strange(), b"x", 2**70, [1, [2]], {"k": Strange()}), Strange)
    (row,) = rows(server, table)
    assert row["output"] == "<strange>"
    # List items that cannot be in one list are logged as their repr.
    assert row["inputs"]["values"] == [
        "<strange>",
        "b'x'",
        "1180591620717411303424",
        "['1', '[2]']",
        "{'k': '<strange>'}",
    ]


def test_functions_of_all_kinds_share_a_table(server: Server, table: StreamTable) -> None:
    @monitor(table, name="number")
    def number(x: int) -> int:
        return x

    @monitor(table, name="list")
    def several(x: list[int]) -> list[int]:
        return x

    number(1)
    several([1])
    number(2)
    first, second, third = rows(server, table)
    assert (first["inputs"], first["output"]) == ({"x": 1}, 1)
    assert (second["inputs"], second["output"]) == (None, None)
    assert json.loads(second["misfit"]) == {"inputs": {"x": [1]}, "output": [1]}
    assert (third["inputs"], third["output"], third.get("misfit")) == ({"x": 2}, 2, None)


def test_table_errors_never_reach_the_function(
    table: StreamTable, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(_: object) -> Any:
        raise RuntimeError("no")

    @monitor(table, input_preprocessor=bad)
    def double(n: int) -> int:
        return 2 * n

    with caplog.at_level(logging.WARNING, "streamtable"):
        assert double(2) == 4
    assert "was not logged: no" in caplog.text
    table.finish()

    @monitor(table)
    def triple(n: int) -> int:
        return 3 * n

    with caplog.at_level(logging.WARNING, "streamtable"):
        assert triple(2) == 6
    assert "the table is finished" in caplog.text


def test_a_name_is_opened_at_the_first_row(server: Server, name: str) -> None:
    @monitor(name)
    def one() -> int:
        return 1

    assert one() == 1
    monitored = monitor(name, name="again")
    with monitored:
        pass
    monitored.table.finish()
    with pytest.raises(TypeError, match="a table or its name"):
        monitor(one)  # type: ignore[arg-type]
