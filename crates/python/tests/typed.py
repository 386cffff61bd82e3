"""Code that mypy and pyright must accept or reject. Never run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow
from typing_extensions import assert_type

from streamtable import Client, Image, Record, Rows, Stats, StreamTable, monitor, open_async, register, spool
from streamtable.monitoring import StreamTable as DropIn

table = StreamTable("me/p/t", columns="evolve", spool_dir=False, on_reject=lambda row, why: print(why))
assert_type(table, StreamTable)
assert_type(table.log({"a": 1}), "str | None")
table.log([{"a": 1}, {"a": Image(b"")}])
table.log({"a": n} for n in range(3))
table.log(pyarrow.table({"a": [1]}))


@dataclass
class Point:
    x: int


table.log(Point(1))
table.log([Point(1)])
assert_type(table.flush(1.5), Stats)
assert_type(table.finish().media.uploaded, int)
assert_type(table.rows(format="dicts"), "list[dict[str, Any]]")
assert_type(DropIn("t", "p", "e").url, "str | None")

StreamTable("me/p/t", default=repr, extra={"run": 7})
StreamTable("me/p/t", columns="loose")  # type: ignore[arg-type]
StreamTable(7)  # type: ignore[arg-type]
table.log(7)  # type: ignore[arg-type]
table.finish().logged = 3  # type: ignore[misc]

with StreamTable("me/p/t") as entered:
    assert_type(entered, StreamTable)

with monitor(table) as record:
    assert_type(record, Record)


@monitor("me/p/t")
def double(n: int) -> int:
    return 2 * n


assert_type(double(2), int)
double("x")  # type: ignore[arg-type]

assert_type(table.rows(), Rows)
assert_type(table.rows()[0], "dict[str, Any]")
assert_type(table.query("select 1", format="dicts"), "list[dict[str, Any]]")
for row in table.tail(last=1):
    assert_type(row, "dict[str, Any]")
for batch in table.batches(columns=["a"]):
    assert_type(batch, Rows)


@monitor("me/p/t", auto_log=False)
def recorded(n: int) -> int:
    return n


assert_type(recorded(1), Record)
recorded("x")  # type: ignore[arg-type]


@monitor("me/p/t", auto_log=False)
async def awaited(n: int) -> int:
    return n


async def work() -> None:
    assert_type(await awaited(1), Record)
    async with await open_async("me/p/t") as opened:
        assert_type(opened, StreamTable)
        assert_type(await opened.aflush(), Stats)


register(complex, lambda value: value.real)

client = Client(project="p")
assert_type(client.table("t").rows(), Rows)
assert_type(client.query("select 1"), Rows)
assert_type(client.save_monitor("m", {"format": 1}), str)
client.table("t").log({"a": 1})  # type: ignore[attr-defined]

assert_type(spool.ls()[0].table, str | None)
assert_type(spool.sync().acked, int)
