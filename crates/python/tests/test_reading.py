"""Rows come back as they went in."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from lab import Server

import streamtable
from streamtable import Image, Markdown, StreamTable

Open = Callable[..., StreamTable]

AT = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=timezone.utc)

ROWS: list[dict[str, Any]] = [
    {"n": 1, "s": "b", "list": [1, 2], "struct": {"at": AT, "x": [{"y": 1.5}]}, "at": AT, "texts": ["a", None]},
    {"n": 2, "s": "a", "list": [], "struct": {"at": None, "x": []}, "at": None, "texts": []},
    {"n": 3, "s": "b", "list": None, "struct": None, "at": AT, "texts": ["[1]"]},
]

NAMES = list(ROWS[0])


@pytest.fixture
def filled(open_table: Open) -> StreamTable:
    table = open_table()
    table.log(ROWS)
    return table


def test_rows_equal_what_was_logged(filled: StreamTable) -> None:
    rows = filled.rows(columns=NAMES)
    assert rows == ROWS
    assert (len(rows), rows[-1]["n"], rows[:1]) == (3, 3, ROWS[:1])
    assert rows.to_pylist() == rows.to_arrow().to_pylist() == ROWS
    assert filled.rows(columns=NAMES, format="dicts") == ROWS
    table = filled.table_name
    assert filled.query(f"""select {', '.join(f'"{name}"' for name in NAMES)} from {table}""") == ROWS
    assert filled.query(f'select "{NAMES[2]}" from me.p."{table}" t') == [{"list": row["list"]} for row in ROWS]
    assert [row for batch in filled.batches(columns=NAMES) for row in batch] == ROWS


def test_arrow_types_are_those_of_the_server(filled: StreamTable) -> None:
    schema = filled.rows().to_arrow().schema
    assert schema.field("list").type == pa.list_(pa.int64())
    struct = pa.struct([("at", pa.timestamp("us", "UTC")), ("x", pa.list_(pa.struct([("y", pa.float64())])))])
    assert schema.field("struct").type == struct
    assert schema.field("at").type == pa.timestamp("us", "UTC")
    # Also of a result without rows.
    assert filled.rows(where="n > 9").to_arrow().schema == schema
    assert filled.query(f"select * from {filled.table_name} where n > 9").to_arrow().schema == schema


def test_frames_can_be_sorted_joined_and_written(filled: StreamTable) -> None:
    arrow = filled.rows(columns=["n", "s", "list", "at"]).to_arrow()
    assert arrow.sort_by([("s", "ascending")])["n"].to_pylist() == [2, 1, 3]
    assert arrow.filter(pa.compute.equal(arrow["s"], "b")).num_rows == 2
    joined = arrow.select(["n", "s"]).join(pa.table({"s": ["a"], "m": [7]}), "s")
    assert sorted(joined.to_pylist(), key=lambda row: row["n"])[1]["m"] == 7
    assert arrow.group_by("s").aggregate([("n", "sum")]).num_rows == 2
    pyarrow.csv.write_csv(arrow.select(["n", "s", "at"]), io.BytesIO())
    file = io.BytesIO()
    pyarrow.parquet.write_table(arrow, file)
    assert pyarrow.parquet.read_table(file).to_pylist() == arrow.to_pylist()


def test_pandas_and_polars(filled: StreamTable) -> None:
    frame = filled.to_pandas(columns=["n", "list"], last=2)
    assert isinstance(frame, pd.DataFrame) and frame["n"].tolist() == [2, 3]
    polars = filled.to_polars(columns=["n", "list", "struct"])
    # Before version 1, Polars reads a struct that is null as a struct of nulls.
    names = ("n", "list", "struct") if pl.__version__ >= "1" else ("n", "list")
    assert polars.select(names).to_dicts() == [{name: row[name] for name in names} for row in ROWS]
    assert pl.DataFrame(filled.rows(columns=["n"]))["n"].to_list() == [1, 2, 3]
    # The rows that were read can be logged again.
    with StreamTable(f"{filled.path}x", quiet=True) as copy:
        copy.log(polars)
        assert copy.rows(columns=["n", "list", "struct"]) == polars.to_dicts()


def test_values_without_a_common_type_are_text_in_arrow(open_table: Open) -> None:
    table = open_table()
    rows = [{"v": [1, "a", None, 2.5]}, {"v": [True]}]
    table.log(rows)
    assert table.rows(columns=["v"]) == rows
    assert table.rows(columns=["v"]).to_arrow()["v"].to_pylist() == ['[1,"a",null,2.5]', "[true]"]


def test_a_selection(filled: StreamTable) -> None:
    def numbers(**options: Any) -> list[int]:
        return [row["n"] for row in filled.rows(**options)]

    assert numbers(limit=2) == [1, 2]
    assert numbers(last=2) == [2, 3]
    assert numbers(last=9) == [1, 2, 3]
    assert numbers(last=1, where="s = 'b' and n < 3") == [1]
    assert numbers(where="s = 'b' or n = 2", limit=2) == [1, 2]
    assert numbers(since=timedelta(hours=1)) == [1, 2, 3]
    assert numbers(since=datetime.now()) == []
    assert numbers(since="2999-01-01T00:00:00Z") == []
    assert numbers(since=datetime.now(timezone.utc).date() - timedelta(days=1)) == [1, 2, 3]
    with pytest.raises(ValueError, match="limit or last"):
        numbers(limit=1, last=1)
    for options in ({"limit": -1}, {"last": -1}):
        with pytest.raises(ValueError, match="must not be negative, and is -1"):
            numbers(**options)
    with pytest.raises(ValueError, match="since must be a datetime.*not 'yesterday'"):
        numbers(since="yesterday")
    with pytest.raises(TypeError, match="a list of names"):
        numbers(columns="n")
    with pytest.raises(streamtable.ReadError, match="nope"):
        numbers(where="nope = 1")


def test_json_of_sql_functions(filled: StreamTable) -> None:
    sql = f"""select json_get("struct", 'x') x, "struct"->>'x' t from {filled.table_name} where n = 1"""
    rows = filled.query(sql)
    assert rows == [{"x": [{"y": 1.5}], "t": '[{"y":1.5}]'}]
    assert rows.to_arrow()["x"].to_pylist() == [[{"y": 1.5}]]


def test_text_that_has_a_nested_column_s_name_stays_text(filled: StreamTable) -> None:
    rows = filled.query(f"select s as \"list\" from {filled.table_name}")
    assert rows == [{"list": row["s"]} for row in ROWS]
    assert rows.to_arrow()["list"].to_pylist() == ["b", "a", "b"]


def test_a_table_without_rows(open_table: Open) -> None:
    table = open_table()
    assert table.rows() == []
    assert list(table.batches()) == []
    assert table.to_pandas().empty and table.rows().to_arrow().num_rows == 0


def test_batches_stream(open_table: Open) -> None:
    table = open_table()
    table.log(pa.table({"n": range(50_000)}))
    lengths, total = [], 0
    for batch in table.batches(columns=["n"]):
        assert batch[0]["n"] == total
        total += len(batch)
        lengths.append(len(batch))
    assert total == 50_000 and len(lengths) > 1
    # Not read to the end.
    assert len(next(table.batches())) > 0
    with pytest.raises(streamtable.ReadError, match="nope"):
        next(table.batches(where="nope = 1"))


def test_tail(open_table: Open) -> None:
    table = open_table()
    rows = table.tail(last=1, timeout=20)
    # The table does not exist yet.
    threading.Timer(0.5, table.log, [ROWS]).start()
    found = [next(rows) for _ in ROWS]
    assert [{name: row[name] for name in NAMES} for row in found] == ROWS
    assert isinstance(found[0]["timestamp"], datetime)
    # A new column, and values that JSON has no word for.
    with StreamTable(table.path, quiet=True, columns="evolve") as other:
        other.log({"n": 4, "new": float("nan")})
    row = next(rows)
    assert row["n"] == 4 and np.isnan(row["new"])
    assert [row["n"] for row in table.tail(last=2, timeout=0.5)] == [3, 4]
    assert list(table.tail(timeout=0.2)) == []


def test_a_tail_continues_after_a_restart(server: Server, tmp_path: Any) -> None:
    with Server(tmp_path) as own:
        table = StreamTable("me/p/t", base_url=own.url, api_key=own.key, quiet=True)
        table.log({"n": 0})
        table.flush()
        rows = table.tail(last=1, timeout=60)
        assert next(rows)["n"] == 0
        own.stop()
        own.start()
        table.log({"n": 1})
        assert next(rows)["n"] == 1
        table.finish()


def test_media_come_back(open_table: Open) -> None:
    table = open_table()
    pixels = Image(np.zeros((2, 2), "uint8"))
    table.log({"image": pixels, "more": [Markdown("# hi"), None]})
    row = table.rows()[0]
    assert row["image"]["kind"] == "image" and row["more"][0]["kind"] == "markdown"
    assert row["image"].keys() == row["more"][0].keys()
    assert table.read_media(row["image"]) == pixels.data
    assert table.read_media(row["more"][0]) == b"# hi"
    with pytest.raises(TypeError, match="a cell of media"):
        table.read_media({"n": 1})


def test_rows_without_pyarrow(filled: StreamTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert filled.rows(columns=NAMES) == ROWS
    assert filled.to_pandas(columns=["n", "list"])["list"].tolist()[0] == [1, 2]
    assert filled.to_polars(columns=["n"])["n"].to_list() == [1, 2, 3]
    with pytest.raises(ImportError):
        filled.rows(format="arrow")


def test_a_result_in_a_notebook(filled: StreamTable) -> None:
    html = filled.rows(columns=["n", "at", "list"])._repr_html_()
    assert "<th>list</th>" in html and "[1, 2]" in html and "2026-03-04" in html
    assert repr(filled.rows(columns=["n"])) == "<3 rows: {'n': 1}, {'n': 2}, {'n': 3}>"
