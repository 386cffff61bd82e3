"""Tests of `monitor`."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from lab import Proxy, Server

from streamtable import AuthenticationError, Record, StreamTable, TableNameError, monitor

Program = Callable[..., "subprocess.CompletedProcess[str]"]

COLUMNS = [
    "name", "start", "end", "latency", "inputs", "output", "exception", "id", "trace_id", "parent_id", "timestamp",
]  # fmt: skip


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
    assert (second["inputs"], second["output"]) == ({"x": [1]}, [1])
    assert (third["inputs"], third["output"]) == ({"x": 2}, 2)


def test_inputs_are_logged_as_they_were_before_the_call(server: Server, table: StreamTable) -> None:
    class Box:
        text = "before"

        def __repr__(self) -> str:
            return self.text

    @monitor(table)
    def change(items: list[Any], options: dict[str, Any], box: Box) -> None:
        items.append(99)
        items[1]["x"] = 2
        options.clear()
        box.text = "after"

    change([1, {"x": 1}], {"a": [1]}, Box())
    (row,) = rows(server, table)
    assert row["inputs"] == {"items": ["1", "{'x': 1}"], "options": {"a": [1]}, "box": "before"}


def test_items_are_logged_as_they_were_when_yielded(server: Server, table: StreamTable) -> None:
    @monitor(table)
    def grow() -> Iterator[list[int]]:
        items: list[int] = []
        for n in range(3):
            items.append(n)
            yield items

    for items in grow():
        pass
    assert items == [0, 1, 2]
    (row,) = rows(server, table)
    assert row["output"] == [[0], [0, 1], [0, 1, 2]]


def test_a_failing_processor_keeps_the_row(
    server: Server, table: StreamTable, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(_: object) -> Any:
        raise RuntimeError("no")

    @monitor(table, input_preprocessor=bad, output_postprocessor=bad)
    def double(n: int) -> int:
        return 2 * n

    with caplog.at_level(logging.WARNING, "streamtable"):
        assert double(2) == 4
    assert "the output_postprocessor of" in caplog.text
    (row,) = rows(server, table)
    # The values themselves are not logged: a processor may have to remove secrets.
    assert (row["inputs"], row["output"], row["exception"]) == (None, None, None)


def test_methods_of_classes(server: Server, table: StreamTable) -> None:
    class Model:
        @monitor(table, name="outer class")
        @classmethod
        def one(cls, n: int) -> tuple[str, int]:
            return cls.__name__, n

        @classmethod
        @monitor(table, name="inner class")
        def two(cls, n: int) -> int:
            return n

        @monitor(table, name="outer static")
        @staticmethod
        def three(n: int) -> int:
            return n

        @staticmethod
        @monitor(table, name="inner static")
        def four(n: int) -> int:
            return n

        @monitor(table, name="init")
        def __init__(self, n: int = 0) -> None:
            self.n = n

    assert Model.one(1) == ("Model", 1)
    assert [Model.two(2), Model.three(3), Model.four(4)] == [2, 3, 4]
    model = Model(5)
    assert (model.one(6), model.three(7), model.four(8)) == (("Model", 6), 7, 8)
    logged = [(row["name"], row["inputs"]["n"]) for row in rows(server, table)]
    assert logged == [
        ("outer class", 1),
        ("inner class", 2),
        ("outer static", 3),
        ("inner static", 4),
        ("init", 5),
        ("outer class", 6),
        ("outer static", 7),
        ("inner static", 8),
    ]


def test_callables_of_all_kinds(server: Server, table: StreamTable) -> None:
    import functools

    class Adder:
        def __call__(self, n: int) -> int:
            return n + 1

    assert monitor(table)(Adder())(1) == 2
    assert monitor(table)(functools.partial(int, base=2))("11") == 3
    # These builtins have no signature.
    assert monitor(table)(max)(1, 2) == 2
    assert monitor(table)(dict.update)({}, {"a": 1}) is None
    first, second, third, fourth = rows(server, table)
    assert (first["name"], first["inputs"]) == ("test_callables_of_all_kinds.<locals>.Adder", {"n": 1})
    assert (second["name"], second["output"]) == ("int", 3)
    assert (third["name"], third["inputs"]["args"], third["output"]) == ("max", [1, 2], 2)
    assert fourth["name"] == "dict.update"


def test_returned_coroutines_and_generators_are_followed(server: Server, table: StreamTable) -> None:
    async def later(n: int) -> int:
        await asyncio.sleep(0)
        return n

    def count(to: int) -> Iterator[int]:
        yield from range(to)

    async def count_later(to: int) -> AsyncIterator[int]:
        for n in range(to):
            yield n

    follow = monitor(table)
    stored = count(5)

    async def main() -> list[int]:
        assert await follow(lambda n: later(n))(7) == 7
        return [n async for n in follow(lambda n: count_later(n))(2)]

    assert asyncio.run(main()) == [0, 1]
    assert list(follow(lambda n: count(n))(3)) == [0, 1, 2]
    part = follow(lambda: stored)()
    assert next(part) == 0
    del part
    # The function's own generator is not closed.
    assert list(stored) == [1, 2, 3, 4]
    found = [row["output"] for row in rows(server, table)]
    assert found == [7, [0, 1], [0, 1, 2], [0]]


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
    assert "the input_preprocessor of" in caplog.text
    assert table.finish().acked == 1

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


def silent(server: Server) -> Proxy:
    """A server that answers no request until its `hang` event is set."""
    return Proxy(server, lambda _: "hang", hangs_at_open=True)


def test_a_call_does_not_wait_for_a_silent_server(server: Server, name: str, program: Program) -> None:
    code = """
        import sys, time
        from streamtable import monitor

        @monitor(sys.argv[1])
        def double(n):
            return 2 * n

        start = time.monotonic()
        assert [double(n) for n in range(100)] == [2 * n for n in range(100)]
        assert time.monotonic() - start < 1
    """
    with silent(server) as proxy:
        program(code, name, WANDB_BASE_URL=proxy.url, WANDB_API_KEY=server.key)
        proxy.hang.set()
        # The rows are in the spool, and the next process delivers them.
        again = """
            import sys
            from streamtable import StreamTable
            with StreamTable(sys.argv[1], columns="evolve"):
                pass
        """
        proxy.hangs_at_open = False
        proxy.plan = lambda _: "pass"
        program(again, name, WANDB_BASE_URL=proxy.url, WANDB_API_KEY=server.key)
    assert [row["output"] for row in server.rows(name)] == [2 * n for n in range(100)]


def test_an_event_loop_runs_while_a_table_is_opened(
    server: Server, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent(server) as proxy:
        monkeypatch.setenv("WANDB_BASE_URL", proxy.url)
        monkeypatch.setenv("WANDB_API_KEY", server.key)
        watch = monitor(name)

        @watch
        async def double(n: int) -> int:
            return 2 * n

        async def main() -> list[int]:
            return [await double(n) for n in range(3)]

        # The server answers only after all calls are done.
        assert asyncio.run(main()) == [0, 2, 4]
        proxy.hangs_at_open = False
        proxy.plan = lambda _: "pass"
        proxy.hang.set()
        table = watch.table
        assert [row["output"] for row in rows(server, table)] == [0, 2, 4]
        table.finish()


def test_rows_keep_their_order_while_a_table_is_opened(server: Server, name: str) -> None:
    watch = monitor(name)

    @watch
    def step(n: int) -> int:
        return n

    for n in range(2000):
        step(n)
    table = watch.table
    assert [row["output"] for row in rows(server, table)] == list(range(2000))
    table.finish()


@pytest.mark.parametrize(
    ("bad_name", "key", "error"),
    [("a/b/c/d", None, TableNameError), ("me/p/t", "wrong" * 8, AuthenticationError)],
)
def test_a_table_that_cannot_be_opened_is_tried_once(
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    bad_name: str,
    key: str | None,
    error: type[Exception],
) -> None:
    if key is not None:
        monkeypatch.setenv("WANDB_API_KEY", key)
    watch = monitor(bad_name)

    @watch
    def double(n: int) -> int:
        return 2 * n

    with caplog.at_level(logging.WARNING, "streamtable"):
        assert double(1) == 2
        with pytest.raises(error):
            watch.table  # noqa: B018
        assert [double(n) for n in range(100)] == [2 * n for n in range(100)]
    assert caplog.text.count("calls are not logged to") == 1
    with pytest.raises(error):
        watch.table  # noqa: B018


def test_a_full_buffer_drops_the_row_and_does_not_wait(
    server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Proxy(server, lambda n: "pass" if n > 1 else "hang") as proxy:
        options: dict[str, Any] = {"base_url": proxy.url, "api_key": server.key, "quiet": True}
        table = StreamTable(
            name, **options, columns="evolve", when_full="wait", buffer_bytes=3000, spool_dir=False
        )

        @monitor(table)
        def double(n: int) -> int:
            return 2 * n

        # The buffer stays full until the event is set, so a wait would never end.
        with caplog.at_level(logging.WARNING, "streamtable"):
            assert [double(n) for n in range(100)] == [2 * n for n in range(100)]
        assert "the buffer is full" in caplog.text
        proxy.hang.set()
        assert 0 < table.finish().acked < 100


def test_a_forked_child_does_not_wait_for_a_silent_server(
    server: Server, name: str, program: Program
) -> None:
    code = """
        import os, sys, time
        from streamtable import StreamTable, monitor

        table = StreamTable(sys.argv[1], columns="evolve", exit_timeout=0.1, open_timeout=5)

        @monitor(table)
        def double(n):
            return 2 * n

        double(1)
        table.flush()
        print("ready", flush=True)
        sys.stdin.readline()
        pid = os.fork()
        if pid == 0:
            start = time.monotonic()
            double(2)
            os._exit(0 if time.monotonic() - start < 1 else 5)
        assert os.waitpid(pid, 0)[1] == 0
    """
    import os
    import sys
    import textwrap

    with Proxy(server, lambda _: "pass") as proxy:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "WANDB_BASE_URL": proxy.url, "WANDB_API_KEY": server.key},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        proxy.hangs_at_open = True
        proxy.plan = lambda _: "hang"
        process.communicate("go\n", timeout=60)
        assert process.returncode == 0


def test_a_signal_handler_may_log_while_a_row_is_put(name: str) -> None:
    """The outbox's lock is re-entrant."""
    watch = monitor(name)
    outbox = watch._outbox
    done = threading.Event()

    def nested() -> None:
        with outbox._changed, watch:
            pass
        done.set()

    threading.Thread(target=nested, daemon=True).start()
    assert done.wait(20)
    watch.table.finish()


def test_a_missing_table_is_named_as_programs_write_it() -> None:
    with pytest.raises(TypeError, match=r"^monitor\(\) missing 1 required positional argument: 'table'"):
        monitor()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="call monitor with a table or its name"):
        monitor(len)  # type: ignore[arg-type]
