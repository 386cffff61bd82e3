"""Tests of `StreamTable`, from opening to finishing."""

from __future__ import annotations

import asyncio
import io
import math
import pickle
import sys
import threading
import time
import urllib.request
import uuid
from collections import OrderedDict, UserDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

import pandas
import pyarrow
import pytest
from lab import Proxy, Server

import streamtable
from streamtable import StreamTable
from streamtable.monitoring import StreamTable as DropIn

Open = Callable[..., StreamTable]

NOON = datetime(2024, 1, 2, 12, 0, 0, 678_901, tzinfo=timezone.utc)


def cells(server: Server, table: str) -> list[dict[str, object]]:
    own = ("timestamp", "_position", "_writer", "_line")
    return [{k: v for k, v in row.items() if k not in own} for row in server.rows(table)]


def test_log_returns_the_panel_url_once(
    server: Server, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = DropIn(name)
    url = table.log({"a": 1})
    assert url == table.url
    assert url is not None and url.startswith(server.url + "/?exp=get%28%0A++++%22wandb-artifact")
    assert table.log({"a": 2}) is None
    table.finish()
    # A line before says that a busy server is awaited.
    assert capsys.readouterr().err.endswith(f"View data at: {url}\n")
    assert table.rows_url == f"{server.url}/me/p/runs/{name.split('/')[2]}"


def test_quiet_prints_nothing(open_table: Open, capsys: pytest.CaptureFixture[str]) -> None:
    assert open_table().log({"a": 1})
    assert capsys.readouterr() == ("", "")


@dataclass
class Point:
    a: int
    b: str


class Pair(NamedTuple):
    a: int
    b: str


@pytest.mark.parametrize(
    "rows",
    [
        {"a": 1, "b": "x"},
        [{"a": 1, "b": "x"}],
        ({"a": 1, "b": "x"},),
        iter([{"a": 1, "b": "x"}]),
        OrderedDict(a=1, b="x"),
        UserDict(a=1, b="x"),
        MappingProxyType({"a": 1, "b": "x"}),
        Point(1, "x"),
        [Point(1, "x")],
        Pair(1, "x"),
        [Pair(1, "x")],
        {"row": {"a": 1, "b": "x"}}.values(),
    ],
    ids=lambda rows: type(rows).__name__,
)
def test_forms_of_a_row(server: Server, name: str, open_table: Open, rows: object) -> None:
    table = open_table()
    table.log(rows)
    assert table.finish().acked == 1
    assert cells(server, name) == [{"a": 1, "b": "x"}]


def test_empty_calls_log_nothing(open_table: Open) -> None:
    table = open_table()
    assert table.log([]) is None
    assert table.stats().logged == 0


def test_order_of_rows_and_columns(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log(({"z": i, "a": str(i)} for i in range(5000)))
    table.log({"a": "last", "z": -1})
    table.finish()
    rows = server.rows(name)
    assert [row["z"] for row in rows] == [*range(5000), -1]
    assert list(server.columns(name)) == ["z", "a", "timestamp"]


@pytest.mark.parametrize(
    ("row", "error", "column", "words"),
    [
        ({"a": 1}, streamtable.RowError, "b", "is missing"),
        ({"a": 1, "b": "x", "c": 1}, streamtable.RowError, "c", "is not one of the table's"),
        ({"a": 1, "b": "x", "_step": 1}, streamtable.RowError, "_step", "reserved"),
        ({"a": 2**63, "b": "x"}, TypeError, "a", "64 bits does not fit a signed 64-bit integer"),
        ({"a": 2**63, "b": ()}, TypeError, "a", "64 bits does not fit a signed 64-bit integer"),
        ({"a": object(), "b": "x"}, TypeError, "a", "object cannot be stored in a table"),
        ({"a": 1, "b": b"x"}, streamtable.RowTypeError, "b", "wrap it in Image"),
        ({"a": 1, "b": "\ud800"}, TypeError, "b", "unpaired surrogate"),
        ({"a": 1, "b": ["\ud800"]}, TypeError, "b", "unpaired surrogate"),
        ({"a": 1, ("b",): "x"}, TypeError, "", "a column name must be a string, not tuple"),
        (7, TypeError, "", "a row must be a dict or another mapping of columns, not int"),
        ("ab", TypeError, "", "not str"),
        ([[1, 2]], TypeError, "", "not list"),
        (None, TypeError, "", "not NoneType"),
    ],
)
def test_a_bad_row_is_refused_alone(
    open_table: Open, row: object, error: type[Exception], column: str, words: str
) -> None:
    table = open_table()
    table.log({"a": 1, "b": "x"})
    with pytest.raises(error) as raised:
        table.log(row)
    assert isinstance(raised.value, streamtable.LogError)
    assert words in str(raised.value)
    assert raised.value.accepted == 0
    (refused,) = raised.value.refused
    assert words in refused.reason
    assert column in str(raised.value)
    table.log({"a": 2, "b": "y"})
    assert table.finish().acked == 2


def test_the_other_rows_of_a_call_are_accepted(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    bad = {"n": object()}
    with pytest.raises(TypeError) as raised:
        table.log([{"n": 0}, bad, {"n": 2}, {"m": 3}, {"n": 4}])
    error = raised.value
    assert isinstance(error, streamtable.RowTypeError)
    assert error.accepted == 3
    assert [refused.index for refused in error.refused] == [1, 3]
    assert error.refused[0].row is bad
    assert error.refused[1].row == {"m": 3}
    assert error.refused[1].column == "m"
    table.finish()
    assert [row["n"] for row in cells(server, name)] == [0, 2, 4]


def test_keyboard_interrupt_ends_the_call(open_table: Open) -> None:
    class Interrupting(UserDict[str, int]):
        def items(self) -> object:  # type: ignore[override]
            raise KeyboardInterrupt

    table = open_table()
    with pytest.raises(KeyboardInterrupt):
        table.log([{"n": 0}, Interrupting()])
    with pytest.raises(ZeroDivisionError):
        table.log({"n": 1 / i} for i in (1, 0))


def test_rows_of_an_iterator_are_logged_as_they_come(open_table: Open) -> None:
    table = open_table()
    seen = []

    def rows() -> object:
        for n in range(5):
            seen.append(table.stats().logged)
            yield {"n": n}

    table.log(rows())
    assert seen == [0, 1, 2, 3, 4]


def test_an_iterator_that_fails_says_how_many_rows_were_logged(
    server: Server, name: str, open_table: Open
) -> None:
    def rows() -> object:
        for n in range(1500):
            yield {"n": object() if n == 3 else n}
        raise OSError("the source is gone")

    table = open_table()
    with pytest.raises(OSError, match="the source is gone") as raised:
        table.log(rows())
    (note,) = raised.value.__notes__
    assert note.startswith("streamtable: 1499 rows were logged before this error")
    assert '1 were refused, the first at 3: column "n": a value of type object' in note
    assert table.finish().acked == 1499
    assert [row["n"] for row in cells(server, name)] == [n for n in range(1500) if n != 3]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "object cannot be stored"),
        (2**70, "does not fit a signed 64-bit integer"),
        (b"x", "bytes has no media type"),
        (Fraction(10**400), "OverflowError: "),
        ([{"x": object()}], "object cannot be stored"),
    ],
    ids=["object", "int", "bytes", "fraction", "nested"],
)
@pytest.mark.parametrize("others", [{}, {"list": []}], ids=["plain", "other"])
def test_a_refused_value_names_its_column(
    open_table: Open, value: object, words: str, others: dict[str, object]
) -> None:
    table = open_table()
    with pytest.raises(streamtable.RowTypeError, match=words) as raised:
        table.log({"good": 1, **others, "bad": value})
    assert 'column "bad": ' in str(raised.value)
    assert raised.value.refused[0].column == "bad"


def test_evolving_columns(server: Server, name: str, open_table: Open) -> None:
    table = open_table(columns="evolve")
    table.log([{"a": 1}, {"b": "x"}, {"a": "y", "b": None}])
    table.finish()
    assert server.columns(name)["a"] == "int | string | null" or "string" in server.columns(name)["a"]
    assert [(row.get("a"), row.get("b")) for row in server.rows(name)] == [
        (1, None),
        (None, "x"),
        ("y", None),
    ]


def test_a_finished_table_refuses_rows(open_table: Open) -> None:
    table = open_table()
    table.log({"a": 1})
    first = table.finish()
    assert table.is_finished
    assert table.finish() == table.flush() == table.stats() == first
    with pytest.raises(streamtable.TableFinishedError, match="open it again"):
        table.log({"a": 2})


def test_with_finishes(open_table: Open) -> None:
    with open_table() as table:
        table.log({"a": 1})
    assert table.stats().acked == 1
    with pytest.raises(ZeroDivisionError), open_table() as table:
        table.log({"a": 1})
        1 / 0  # noqa: B018
    assert table.is_finished


def test_stats(open_table: Open) -> None:
    table = open_table()
    table.log([{"n": n} for n in range(3)])
    stats = table.flush(10)
    assert (stats.logged, stats.acked, stats.pending, stats.rejected, stats.dropped) == (3, 3, 0, 0, 0)
    assert repr(stats).startswith("Stats(logged=3, acked=3, pending=0, rejected=0, dropped=0, media=")
    with pytest.raises(AttributeError):
        stats.logged = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("",), "Must specify table_name"),
        (("p/t", "q"), "Cannot specify project_name"),
        (("e/p/t", None, "f"), "Cannot specify entity_name"),
        (("a/b/c/d",), "at most three parts"),
        (("me//t",), "project"),
        (("me/p/white space",), "table"),
        (("Me/p/t",), "entity"),
    ],
)
def test_names(args: tuple[str, ...], words: str) -> None:
    with pytest.raises(streamtable.TableNameError) as raised:
        StreamTable(*args)
    assert isinstance(raised.value, ValueError)
    assert words in str(raised.value)


def test_a_name_alone_is_enough(open_table: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    name = f"t{uuid.uuid4().hex[:12]}"
    table = open_table(name)
    table.log({"n": 1})
    assert table.path == f"me/stream-tables/{name}"
    assert table.rows(columns=["n"]) == [{"n": 1}]


def test_parts_of_a_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    table = name.split("/")[2]
    for args in [(name,), (f"p/{table}",), (table, "p"), (table, "p", "me"), (f"p/{table}", None, "me")]:
        opened = StreamTable(*args, quiet=True)
        assert opened.path == name
        assert (opened.entity_name, opened.project_name, opened.table_name) == ("me", "p", table)
        assert repr(opened) == f"StreamTable({name!r})"
    monkeypatch.setenv("WANDB_PROJECT", "p")
    assert StreamTable(table, quiet=True).path == name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"columns": "loose"}, 'columns must be "strict" or "evolve", not "loose"'),
        ({"when_full": "drop"}, 'when_full must be "refuse" or "wait", not "drop"'),
        ({"sync": "now"}, 'sync must be "never" or "interval" or "always", not "now"'),
        ({"open_timeout": -1}, "open_timeout must be a number of seconds, not -1"),
        ({"exit_timeout": math.nan}, "exit_timeout must be a number of seconds, not NaN"),
    ],
)
def test_options(name: str, options: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        StreamTable(name, **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StreamTable(name, colums="strict")  # type: ignore[call-arg]


def test_many_threads(server: Server, name: str, open_table: Open) -> None:
    table = open_table()

    def work(thread: int) -> None:
        for n in range(500):
            table.log({"thread": thread, "n": n})

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert table.finish().acked == 4000
    rows = server.rows(name)
    for i in range(8):
        assert [row["n"] for row in rows if row["thread"] == i] == list(range(500))


def test_waits_release_the_gil(server: Server, open_table: Open, name: str) -> None:
    with Proxy(server, lambda n: "pass" if n else "hang") as proxy:
        table = open_table(base_url=proxy.url, api_key=server.key)
        table.log({"n": 0})
        flushing = threading.Event()

        def flush() -> None:
            flushing.set()
            with pytest.raises(streamtable.FlushTimeoutError) as raised:
                table.flush(1.0)
            assert raised.value.stats.pending == 1

        thread = threading.Thread(target=flush)
        thread.start()
        flushing.wait()
        steps = 0
        while thread.is_alive():
            time.sleep(0.01)
            steps += 1
        assert steps > 20
        proxy.hang.set()
        assert table.finish().acked == 1


def test_a_full_buffer_refuses_or_waits(server: Server, open_table: Open) -> None:
    with Proxy(server, lambda n: "pass" if n else (503, {"retry-after": "1"})) as proxy:
        options = {"base_url": proxy.url, "api_key": server.key, "spool_dir": False}
        table = open_table(**options, buffer_bytes=2000)
        with pytest.raises(streamtable.BufferFullError) as raised:
            for n in range(100):
                table.log({"n": n})
        assert raised.value.refused[0].row == {"n": table.stats().logged}
        table.finish()

    with Proxy(server, lambda n: "pass" if n else (503, {"retry-after": "1"})) as proxy:
        table = open_table(**{**options, "base_url": proxy.url}, when_full="wait", buffer_bytes=2000)
        start = time.monotonic()
        for n in range(30):
            table.log({"n": n})
        table.log([{"n": n} for n in range(30, 60)])
        assert table.finish().acked == 60
        assert time.monotonic() - start > 0.5


def test_reading_back(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log([{"n": n, "half": n / 2, "mixed": n if n % 2 else str(n)} for n in range(4)])
    arrow = table.rows(format="arrow")
    assert arrow.column_names == ["timestamp", "_writer", "_line", "n", "half", "mixed"]
    assert arrow["n"].to_pylist() == [0, 1, 2, 3]
    assert table.rows().to_arrow().equals(arrow)
    dicts = table.rows(2, format="dicts")
    assert [(row["n"], row["half"], row["mixed"]) for row in dicts] == [(0, 0.0, "0"), (1, 0.5, 1)]
    assert dicts[0]["_writer"] == table.writer
    assert dicts[0]["timestamp"].tzinfo is not None
    bare = name.split("/")[2]
    assert table.query(f"select sum(n) as s from {bare}", format="dicts") == [{"s": 6}]
    with pytest.raises(streamtable.ReadError, match="nowhere"):
        table.query("select * from nowhere")
    with pytest.raises(ValueError, match="format must be"):
        table.rows(format="csv")  # type: ignore[call-overload]


NESTED: list[dict[str, Any]] = [
    {"list": [1, 2], "struct": {"x": 1, "when": NOON}, "deep": [{"a": [1.5, math.inf]}], "text": "[1]"},
    {"list": [], "struct": {"x": None, "when": None}, "deep": [], "text": '{"a": 1}'},
    {"list": None, "struct": None, "deep": None, "text": None},
]


def test_lists_and_structs_are_read_as_such(open_table: Open) -> None:
    table = open_table()
    table.log(NESTED)
    rows = table.rows(format="dicts")
    assert [{name: row[name] for name in NESTED[0]} for row in rows] == NESTED
    arrow = table.rows(format="arrow")
    assert arrow.select(list(NESTED[0])).to_pylist() == NESTED
    assert str(arrow.schema.field("list").type) == "list<item: int64>"
    mixed = open_table(table.path + "b")
    mixed.log([{"v": [1, "x"]}, {"v": ["y", 2]}])
    assert [row["v"] for row in mixed.rows(format="dicts")] == [[1, "x"], ["y", 2]]
    # Arrow has no type for it.
    assert mixed.rows(format="arrow")["v"].to_pylist() == ['[1,"x"]', '["y",2]']


def test_arrow_results_have_no_views(open_table: Open) -> None:
    """Old versions of pyarrow cannot read them, and new ones cannot sort or join by them."""
    table = open_table()
    table.log([{"text": "b", "mixed": 1}, {"text": None, "mixed": "x" * 50}, {"text": "a" * 30, "mixed": 2}])
    for arrow in (table.rows(format="arrow"), table.query(f"select * from {table.table_name}", format="arrow")):
        assert not [field for field in arrow.schema if "view" in str(field.type)]
        assert str(arrow.schema.field("text").type) == "string"
        assert arrow.sort_by("text")["text"].to_pylist() == ["a" * 30, "b", None]


def test_a_table_without_rows_is_empty(open_table: Open) -> None:
    table = open_table()
    assert table.rows(format="dicts") == []
    assert table.rows(format="arrow").num_rows == 0


def test_exceptions_are_named_as_programs_import_them() -> None:
    import traceback

    for name in streamtable.__all__:
        if isinstance(class_ := getattr(streamtable, name), type):
            assert class_.__module__ == "streamtable", name
    error = streamtable.RowError("x")
    assert traceback.format_exception_only(type(error), error) == ["streamtable.RowError: x\n"]


def test_a_table_name_is_a_string() -> None:
    with pytest.raises(TypeError, match="table_name must be a string, not int"):
        StreamTable(5)  # type: ignore[arg-type]


def test_on_reject_gets_rows_rejected_by_the_server(open_table: Open, server: Server, name: str) -> None:
    """Two writers add conflicting columns at the same time."""
    told: list[tuple[dict[str, object], str]] = []
    first = open_table()
    second = open_table(on_reject=lambda row, reason: told.append((row, reason)))
    first.log({"a": [1]})
    first.flush()
    second.log({"a": [1], "b": "text"})
    stats = second.finish()
    assert (stats.acked, stats.rejected) == (0, 1)
    assert told[0][0]["b"] == "text"
    assert '"b"' in told[0][1]


class Run(StreamTable):
    """A table with a constructor of its own."""

    def __init__(self, number: int, table: str):
        super().__init__(table, quiet=True)
        self.number = number


def test_a_subclass_may_have_its_own_constructor(name: str) -> None:
    with Run(7, name) as table:
        table.log({"n": table.number})
    with Run(8, name) as again:
        assert again.rows(columns=["n"]) == [{"n": 7}]
        copied = pickle.loads(pickle.dumps(again))
        assert (type(copied), copied.number, copied.path) == (Run, 8, name)
        assert copied.writer != again.writer
    with pytest.raises(ValueError, match="the table is already open"):
        again.__init__(9, name)  # type: ignore[misc]
    with pytest.raises(ValueError, match="call StreamTable.__init__ first"):
        Run.__new__(Run).log({"n": 1})


def test_a_pickled_table_is_opened_in_other_processes(server: Server, name: str, program: Program) -> None:
    code = """
        import multiprocessing, sys
        from streamtable import StreamTable

        def work(table, n):
            table.log({"n": n})

        if __name__ == "__main__":
            table = StreamTable(sys.argv[1], quiet=True)
            table.log({"n": 0})
            spawn = multiprocessing.get_context("spawn")
            children = [spawn.Process(target=work, args=(table, n)) for n in (1, 2)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            assert [child.exitcode for child in children] == [0, 0]
    """
    program(code, name)
    rows = server.rows(name)
    assert sorted(row["n"] for row in rows) == [0, 1, 2]
    assert len({row["_writer"] for row in rows}) == 3


def test_a_missing_argument_names_the_method_that_programs_call(open_table: Open) -> None:
    with pytest.raises(TypeError, match=r"StreamTable\.log\(\) missing 1 required positional argument"):
        open_table().log()  # type: ignore[call-arg]


def test_stats_are_pickled_and_logged(open_table: Open) -> None:
    table = open_table(columns="evolve")
    table.log({"n": 0})
    stats = table.flush()
    assert pickle.loads(pickle.dumps(stats)) == stats
    table.log(stats)
    row = table.rows()[1]
    assert (row["logged"], row["acked"], row["media"]) == (1, 1, {"uploaded": 0, "pending": 0, "failed": 0})


def test_rejected_rows_are_a_warning_at_the_end(name: str) -> None:
    with StreamTable(name, quiet=True) as first:
        second = StreamTable(name, quiet=True)
        first.log({"a": [1]})
        first.flush()
        second.log({"a": [1], "b": "text"})
        with pytest.warns(streamtable.RowsRejectedWarning, match=f"{name}: the server rejected 1 rows"):
            second.finish()


def test_columns_of_the_context(open_table: Open) -> None:
    table = open_table(extra={"run": 1})
    other = open_table(f"{table.path}x")
    with table.context(user="a"):
        table.log({"x": 1})
        with table.context(user="b"):
            table.log([{"x": 2}, {"x": 3, "run": 9}])
            other.log({"x": 0})
        table.log({"x": n} for n in (4, 5))
        table.log(pyarrow.table({"x": [6]}))
    assert table.rows(columns=["run", "user", "x"], format="dicts") == [
        {"run": 9 if x == 3 else 1, "user": "b" if x in (2, 3) else "a", "x": x} for x in range(1, 7)
    ]
    assert other.rows(columns=["x"]) == [{"x": 0}]
    with pytest.raises(streamtable.RowError, match='"user"'):
        table.log({"x": 7})


def test_async(server: Server, name: str) -> None:
    async def main() -> None:
        async with await streamtable.open_async(name, quiet=True) as table:
            table.log({"n": 1})
            assert (await table.aflush()).acked == 1
            table.log({"n": 2})
        assert table.is_finished
        assert (await table.afinish()).acked == 2

    asyncio.run(main())
    assert [row["n"] for row in server.rows(name)] == [1, 2]


def test_a_notebook_shows_the_link_once(open_table: Open) -> None:
    url = open_table(quiet=False).log({"n": 0})
    assert isinstance(url, str) and url.startswith("http")
    # IPython calls this in place of printing the value.
    assert url._ipython_display_() is None  # type: ignore[attr-defined]


def test_the_interpreter_shows_the_link_once(program: Program, name: str) -> None:
    code = """
        import code, sys
        import streamtable
        sys.ps1 = ">>> "
        lines = [
            f"table = streamtable.StreamTable({sys.argv[1]!r})",
            "table.log({'n': 0})",
            "table.log({'n': 1})",
        ]
        shell = code.InteractiveInterpreter({"streamtable": streamtable})
        for line in lines:
            exec(compile(line, "<stdin>", "single"), shell.locals)
    """
    ended = program(code, name)
    assert "View data at" not in ended.stderr
    assert ended.stdout.count("http") == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_link_on_a_terminal_logs_in(
    server: Server, open_table: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    table = open_table(quiet=False)
    url = table.log({"n": 0})
    printed = sys.stderr.getvalue()  # type: ignore[attr-defined]
    link = printed.removeprefix("View data at: ").strip()
    assert link.startswith(f"{server.url}/login?token=") and url == table.url != link
    # It changes nothing before its button is pressed.
    with urllib.request.urlopen(link, timeout=30) as answer:
        assert "Log in" in answer.read().decode()
    token = dict(parse_qsl(urlsplit(link).query))
    form = urllib.request.Request(
        f"{server.url}/login", urlencode(token).encode(), {"sec-fetch-site": "same-origin", "origin": server.url}
    )
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(form, timeout=30) as panel:
        assert panel.status == 200 and urlsplit(panel.url).query == urlsplit(url).query


def test_the_link_in_a_log_file_does_not_log_in(
    open_table: Open, capsys: pytest.CaptureFixture[str]
) -> None:
    table = open_table(quiet=False)
    table.log({"n": 0})
    assert capsys.readouterr().err == f"View data at: {table.url}\n"


def test_the_interpreter_shows_a_link_that_logs_in(
    server: Server, open_table: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    table = open_table(quiet=False)
    shell: dict[str, Any] = {"table": table}
    exec(compile("url = table.log({'n': 0})", "<stdin>", "single"), shell)
    assert sys.stderr.getvalue() == "" and shell["url"] == table.url  # type: ignore[attr-defined]
    assert repr(shell["url"]).startswith(f"'{server.url}/login?token=")


class Odd:
    def __repr__(self) -> str:
        return "an odd value"


def test_a_default_converts_what_no_column_holds(open_table: Open) -> None:
    table = open_table(default=lambda value: {"odd": str(value)})
    table.log({"a": 1, "b": Odd(), "c": [Odd(), 2**70], "d": b"ab"})
    table.log({"a": 2, "b": {"odd": "x"}, "c": [], "d": 1j})
    first, second = table.rows(columns=["a", "b", "c", "d"], format="dicts")
    assert first["b"] == {"odd": "an odd value"}
    assert first["c"] == [{"odd": "an odd value"}, {"odd": str(2**70)}]
    assert first["d"] == {"odd": "b'ab'"} and second["d"] == {"odd": "1j"}


def test_a_default_converts_the_cells_of_frames(open_table: Open) -> None:
    table = open_table(default=repr)
    table.log(pandas.DataFrame({"n": [1, 2], "odd": [Odd(), None]}))
    table.log([{"n": 3, "odd": Odd()}])
    assert [row["odd"] for row in table.rows()] == ["an odd value", None, "an odd value"]


def test_a_default_that_fails_refuses_the_row_alone(open_table: Open) -> None:
    def default(value: object) -> object:
        raise RuntimeError("not this one")

    table = open_table(default=default)
    with pytest.raises(streamtable.RowTypeError, match="default cannot convert a value of type Odd: .*not this one") as raised:
        table.log([{"n": 1}, {"n": Odd()}, {"n": 3}])
    assert [(row.index, row.column) for row in raised.value.refused] == [(1, "n")]
    assert [row["n"] for row in table.rows()] == [1, 3]
    # One that always returns another odd value ends.
    endless = open_table(table.path, default=lambda value: value)
    with pytest.raises(streamtable.RowTypeError, match="default cannot convert"):
        endless.log({"n": Odd()})
    with pytest.raises(TypeError, match="default must be a function, not str"):
        open_table(default="x")
