"""Traces: calls within calls, and the values that are added to or removed from their rows."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from lab import Server

import streamtable
from streamtable import StreamTable, attributes, current, monitor

Program = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def table(name: str) -> Iterator[StreamTable]:
    with StreamTable(name, quiet=True, columns="evolve") as table:
        yield table


def rows(server: Server, table: StreamTable) -> dict[str, dict[str, Any]]:
    """Return the rows by their names."""
    table.flush()
    return {row["name"]: row for row in server.rows(table.path)}


def check_tree(found: dict[str, dict[str, Any]], parents: dict[str, str | None]) -> None:
    assert found.keys() == parents.keys()
    assert {name: row["parent_id"] for name, row in found.items()} == {
        name: parent and found[parent]["id"] for name, parent in parents.items()
    }
    roots = {name for name, parent in parents.items() if parent is None}
    assert len({row["trace_id"] for row in found.values()}) == len(roots)
    assert len({row["id"] for row in found.values()}) == len(found)


def test_calls_of_all_kinds_are_children_of_their_callers(server: Server, table: StreamTable) -> None:
    @monitor(table, name="leaf")
    def leaf() -> int:
        return 1

    @monitor(table, name="items")
    def items() -> Iterator[int]:
        with monitor(table, name="in items"):
            yield 1
        yield 2

    @monitor(table, name="async items")
    async def async_items() -> AsyncIterator[int]:
        yield leaf()

    @monitor(table, name="async")
    async def step() -> int:
        return sum([n async for n in async_items()])

    @monitor(table, name="root")
    def root() -> int:
        with monitor(table, name="block"):
            total = sum(items())
        return total + asyncio.run(step())

    assert root() == 4
    parents = {
        "root": None,
        "block": "root",
        "items": "block",
        "in items": "items",
        "async": "root",
        "async items": "async",
        "leaf": "async items",
    }
    check_tree(rows(server, table), parents)


def test_interleaved_calls_do_not_mix(server: Server, table: StreamTable) -> None:
    @monitor(table)
    async def inner(name: str) -> None:
        current().name = f"inner {name}"
        await asyncio.sleep(0)

    @monitor(table)
    async def outer(name: str) -> None:
        current().name = f"outer {name}"
        await asyncio.sleep(0)
        await inner(name)

    @monitor(table, name="generator")
    def generator() -> Iterator[int]:
        yield 1
        yield 2

    async def main() -> None:
        await asyncio.gather(*map(outer, "abc"))
        first = generator()
        next(first)
        # Not a child of the generator, which waits.
        await outer("d")
        list(first)

    asyncio.run(main())
    parents: dict[str, str | None] = {"generator": None}
    parents.update({f"outer {name}": None for name in "abcd"})
    parents.update({f"inner {name}": f"outer {name}" for name in "abcd"})
    check_tree(rows(server, table), parents)


def test_a_copied_context_continues_a_trace_in_a_thread(server: Server, table: StreamTable) -> None:
    @monitor(table)
    def work(name: str) -> None:
        current().name = name

    with monitor(table, name="root"):
        context = contextvars.copy_context()
        threads = [
            threading.Thread(target=context.run, args=(work, "child")),
            threading.Thread(target=work, args=("stranger",)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    check_tree(rows(server, table), {"root": None, "child": "root", "stranger": None})


def test_a_call_that_fails_leaves_the_trace(server: Server, table: StreamTable) -> None:
    @monitor(table, name="fails")
    def fails() -> None:
        raise ValueError

    with monitor(table, name="first"), pytest.raises(ValueError):
        fails()
    with monitor(table, name="second"):
        pass
    assert repr(current()) == "Record('none')"
    check_tree(rows(server, table), {"first": None, "fails": "first", "second": None})


def test_the_current_record_takes_data(server: Server, table: StreamTable) -> None:
    @monitor(table, name="price")
    def price() -> float:
        current().add_data(cached=True)
        return 9.5

    price()
    # Outside of a call, nothing happens.
    current().add_data(cached=False).finalize()
    assert rows(server, table)["price"]["cached"] is True
    assert len(server.rows(table.path)) == 1


def test_attributes_are_columns_of_all_calls_of_a_block(server: Server, table: StreamTable) -> None:
    @monitor(table)
    def work(name: str) -> None:
        current().name = name

    with attributes(user="ann", session="s1"):
        work("first")
        with attributes(session="s2", tags=["a"]):
            work("second")
    work("third")
    found = rows(server, table)
    columns = ("user", "session", "tags")
    assert [tuple(found[name].get(column) for column in columns) for name in ("first", "second", "third")] == [
        ("ann", "s1", None),
        ("ann", "s2", ["a"]),
        (None, None, None),
    ]
    with pytest.raises(ValueError, match="'output' is a column of every record"), attributes(output=1):
        pass


def test_a_trace_is_sampled_as_a_whole(server: Server, table: StreamTable) -> None:
    @monitor(table, sample=1.0)
    def child() -> None:
        pass

    @monitor(table, sample=0.5)
    def root(n: int) -> None:
        child()

    for n in range(200):
        root(n)
    table.flush()
    found = server.rows(table.path)
    roots = [row for row in found if row["parent_id"] is None]
    assert 40 < len(roots) < 160
    assert len(found) == 2 * len(roots)

    @monitor(table, sample=0)
    def never() -> int:
        child()
        return 1

    assert never() == 1
    table.flush()
    assert len(server.rows(table.path)) == len(found)


@pytest.mark.parametrize("switch", ["off", "0", "False", "NO"])
def test_the_environment_turns_monitors_off(
    table: StreamTable, monkeypatch: pytest.MonkeyPatch, switch: str
) -> None:
    @monitor(table)
    def price() -> float:
        current().add_data(cached=True)
        return 9.5

    @monitor(table, auto_log=False)
    def recorded() -> float:
        return 1.5

    monkeypatch.setenv("STREAMTABLE_MONITOR", switch)
    assert price() == 9.5
    record = recorded()
    record.finalize()
    record.feedback(good=True)
    assert record.get() == 1.5
    with monitor(table) as block:
        block.add_data(n=1)
    assert table.stats().logged == 0
    monkeypatch.setenv("STREAMTABLE_MONITOR", "on")
    price()
    assert table.stats().logged == 1


def test_secrets_are_redacted_at_any_depth(server: Server, table: StreamTable) -> None:
    @monitor(table, name="default")
    def login(password: str, options: dict[str, Any]) -> dict[str, Any]:
        return {"API-Key": "s3cret", "tokens": 7}

    def hide(name: str, value: Any) -> Any:
        if name == "broken":
            raise KeyError
        return value.replace("s3cret", "…") if isinstance(value, str) else value

    @monitor(table, name="own", redact=hide)
    def own(text: str, broken: str) -> None:
        current().add_data(note="s3cret too")

    @monitor(table, name="none", redact=())
    def none(password: str) -> None:
        pass

    login("s3cret", {"headers": [{"Authorization": "s3cret", "accept": "*"}], "secret": None})
    own("a s3cret", "s3cret")
    none("open")
    found = rows(server, table)
    assert found["default"]["inputs"] == {
        "password": "[redacted]",
        "options": {"headers": [{"Authorization": "[redacted]", "accept": "*"}], "secret": None},
    }
    assert found["default"]["output"] == {"API-Key": "[redacted]", "tokens": 7}
    assert found["own"]["inputs"] == {"text": "a …", "broken": "[redacted]"}
    assert found["own"]["note"] == "… too"
    assert found["none"]["inputs"] == {"password": "open"}
    assert "s3cret" not in str(server.rows(table.path))


def test_a_class_is_watched_and_stays_a_class(server: Server, table: StreamTable) -> None:
    @monitor(table)
    class Shop:
        rate = 2

        def price(self, count: int) -> int:
            return self._double(count)

        def _double(self, count: int) -> int:
            return count * self.rate

        @classmethod
        def opened(cls) -> Shop:
            return cls()

        @staticmethod
        def tax(price: int) -> int:
            return price // 10

        def __call__(self) -> str:
            return "called"

        @property
        def name(self) -> str:
            return "shop"

    class Market(Shop):
        pass

    shop = Market.opened()
    assert isinstance(shop, Market) and issubclass(Market, Shop) and isinstance(Shop, type)
    assert (shop.price(3), shop.tax(30), Shop.tax(40), shop(), shop.name) == (6, 3, 4, "called", "shop")
    table.flush()
    found = server.rows(table.path)
    names = [row["name"].rpartition(".")[2] for row in found]
    assert names == ["opened", "price", "tax", "tax", "__call__"]
    assert [row["inputs"] for row in found] == [{}, {"count": 3}, {"price": 30}, {"price": 40}, {}]


def test_feedback_is_logged_later(server: Server, table: StreamTable) -> None:
    calls = monitor(table, name="answer", auto_log=False)

    @calls
    def answer() -> str:
        return "yes"

    record = answer()
    record.finalize()
    record.feedback(thumbs_up=True, score=0.9)
    calls.feedback(record.id, score=0.1)
    table.flush()
    call, first, second = server.rows(table.path)
    assert (first["name"], first["parent_id"], first["trace_id"]) == ("feedback", call["id"], call["trace_id"])
    assert (first["thumbs_up"], first["score"], second["score"]) == (True, 0.9, 0.1)
    assert second["parent_id"] == call["id"]


def test_items_are_accumulated(server: Server, table: StreamTable) -> None:
    @monitor(table, name="words", accumulate="".join)
    def words() -> Iterator[str]:
        for _ in range(2000):
            yield "a"

    @monitor(table, name="broken", accumulate="".join)
    def broken() -> Iterator[int]:
        yield 1

    assert len(list(words())) == 2000
    assert list(broken()) == [1]
    found = rows(server, table)
    assert found["words"]["output"] == "a" * 2000
    assert "TypeError" in found["broken"]["accumulate_error"]


def test_the_id_survives_a_fork(program: Program, server: Server, name: str) -> None:
    code = """
        import os, sys
        from streamtable import monitor

        @monitor(sys.argv[1])
        def work():
            pass

        work()
        if os.fork() == 0:
            work()
            sys.exit()
        os.wait()
        work()
    """
    program(code, name)
    found = server.rows(name)
    assert len({row["id"] for row in found}) == len(found) == 3


def test_names_of_the_package() -> None:
    assert streamtable.current is current and streamtable.attributes is attributes
