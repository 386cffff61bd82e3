"""Conversion of each kind of value."""

from __future__ import annotations

import argparse
import datetime as dt
import enum
import io
import ipaddress
import math
import sys
import time
import uuid
from collections import deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic
import pytest
from lab import Server

import streamtable
from streamtable import _convert
from streamtable import Audio, Html, Image, Markdown, StreamTable, Video

Open = Callable[..., StreamTable]

UTC = dt.timezone.utc
NOON = dt.datetime(2024, 1, 2, 12, 0, 0, 678_901, tzinfo=UTC)
IN_INDIA = NOON.astimezone(dt.timezone(dt.timedelta(hours=5.5)))


class Color(enum.Enum):
    RED = "red"
    WHEN = NOON


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    def __str__(self) -> str:
        return "not what it is"


@dataclass
class Point:
    x: int
    tags: list[Any] = field(default_factory=lambda: [Color.RED])


class Model(pydantic.BaseModel):
    x: int
    when: dt.datetime = NOON


@attrs.define
class Attrs:
    x: int = 3


Pair = namedtuple("Pair", "a b")

class Packed:
    """A ``msgspec.Struct``, as far as its fields are concerned."""

    __struct_fields__ = ("x",)
    x = 4


VALUES: list[tuple[Any, str, Any]] = [
    (None, "null", None),
    (True, "bool", True),
    (7, "int", 7),
    (2**63 - 1, "int", 2**63 - 1),
    (-(2**63), "int", -(2**63)),
    (1.5, "float", 1.5),
    (2.0, "float", 2.0),
    (math.nan, "float", "NaN"),
    (-math.inf, "float", "-Infinity"),
    ('naïve 😀 "quoted"\n', "string", 'naïve 😀 "quoted"\n'),
    (Text("text"), "string", "text"),
    ([1, 2.5, None], "list<float?>", [1, 2.5, None]),
    ((1, 2), "list<int>", [1, 2]),
    ({3, 1, 2}, "list<int>", [1, 2, 3]),
    (frozenset("ba"), "list<string>", ["a", "b"]),
    (deque([1]), "list<int>", [1]),
    (range(3), "list<int>", [0, 1, 2]),
    (Pair(1, "x"), "list<int | string>", [1, "x"]),
    ({"b": {"c": [True]}, "a": 1}, "struct{a: int, b: struct{c: list<bool>}}", {"b": {"c": [True]}, "a": 1}),
    ({1: "a", None: "b", True: "c", 0.5: "d"}, None, {"1": "c", "null": "b", "0.5": "d"}),
    (MappingProxyType({"a": 1}), "struct{a: int}", {"a": 1}),
    (NOON, "timestamp", "2024-01-02T12:00:00.678901Z"),
    (IN_INDIA, "timestamp", "2024-01-02T12:00:00.678901Z"),
    (dt.datetime(1, 1, 1, tzinfo=UTC), "timestamp", "0001-01-01T00:00:00.000000Z"),
    (dt.date(2024, 1, 2), "string", "2024-01-02"),
    (dt.time(1, 2, 3), "string", "01:02:03"),
    (dt.timedelta(minutes=1, milliseconds=5), "float", 60.005),
    (Decimal("12.50"), "float", 12.5),
    (Decimal("NaN"), "float", "NaN"),
    (Fraction(1, 4), "float", 0.25),
    (uuid.UUID(int=1), "string", "00000000-0000-0000-0000-000000000001"),
    (Color.RED, "string", "red"),
    (Color.WHEN, "timestamp", "2024-01-02T12:00:00.678901Z"),
    (Level.LOW, "int", 1),
    (Point(1), "struct{tags: list<string>, x: int}", {"x": 1, "tags": ["red"]}),
    (Model(x=1), "struct{when: timestamp, x: int}", {"x": 1, "when": "2024-01-02T12:00:00.678901Z"}),
    (Attrs(), "struct{x: int}", {"x": 3}),
    (Path("/a/b"), "string", "/a/b"),
    (np.int64(7), "int", 7),
    (np.uint8(7), "int", 7),
    (np.float64(1.5), "float", 1.5),
    (np.float32(0.5), "float", 0.5),
    (np.longdouble(0.5), "float", 0.5),
    (np.bool_(True), "bool", True),
    (np.str_("x"), "string", "x"),
    (np.datetime64("2024-01-02T12:00:00.678901234"), "timestamp", "2024-01-02T12:00:00.678901Z"),
    (np.datetime64("NaT"), "null", None),
    (np.timedelta64(1500, "ms"), "float", 1.5),
    (np.arange(4).reshape(2, 2), "list<list<int>>", [[0, 1], [2, 3]]),
    (np.array([0.5, np.nan], dtype="float32"), "list<float>", [0.5, "NaN"]),
    (np.array(7), "int", 7),
    (np.array(["a", "b"]), "list<string>", ["a", "b"]),
    # NumPy 1 has no such arrays.
    (np.array(["a", "b"], dtype="T" if np.__version__ >= "2" else "U"), "list<string>", ["a", "b"]),
    (np.array(["2024-01-02T12:00:00.678901"], dtype="datetime64[us]"), "list<timestamp>", ["2024-01-02T12:00:00.678901Z"]),
    (pd.Timestamp("2024-01-02T12:00:00.678901", tz="UTC"), "timestamp", "2024-01-02T12:00:00.678901Z"),
    (pd.NaT, "null", None),
    (pd.NA, "null", None),
    (pd.Timedelta(seconds=2), "float", 2.0),
    (pd.Series([1, 2]), "list<int>", [1, 2]),
    (pd.Period("2024-01"), "string", "2024-01"),
    (pd.DataFrame({"a": [1, 2]}), "list<struct{a: int}>", [{"a": 1}, {"a": 2}]),
    (pl.Series([1, None]), "list<int?>", [1, None]),
    (pl.DataFrame({"a": [1]}), "list<struct{a: int}>", [{"a": 1}]),
    (pa.scalar(3), "int", 3),
    (pa.array(["x"]), "list<string>", ["x"]),
    (SimpleNamespace(x=1), "struct{x: int}", {"x": 1}),
    (argparse.Namespace(x=1), "struct{x: int}", {"x": 1}),
    (Packed(), "struct{x: int}", {"x": 4}),
    ({"a": 1}.values(), "list<int>", [1]),
    (ipaddress.ip_address("127.0.0.1"), "string", "127.0.0.1"),
    (pydantic.HttpUrl("http://example.com/a"), "string", "http://example.com/a"),
    (pydantic.SecretStr("s3cret"), "string", "**********"),
    (ValueError("bad"), "string", "ValueError: bad"),
    (np.array([(1, "a")], dtype="i4,U1")[0], "struct{f0: int, f1: string}", {"f0": 1, "f1": "a"}),
]


@pytest.mark.parametrize(("value", "type_", "shown"), VALUES, ids=lambda v: repr(v)[:30])
def test_value(server: Server, name: str, open_table: Open, value: Any, type_: str, shown: Any) -> None:
    table = open_table()
    table.log({"v": value})
    table.finish()
    assert server.rows(name)[0]["v"] == shown
    if type_ is not None:
        assert server.columns(name)["v"] == type_


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (b"x", "bytes has no media type"),
        (bytearray(b"x"), "bytearray has no media type"),
        (1j, "complex cannot be stored"),
        (int, "type cannot be stored"),
        (print, "builtin_function_or_method cannot be stored"),
        (iter([1]), "list_iterator cannot be stored"),
        (np.complex64(1), "numpy.complex64 cannot be stored"),
        (np.array([1j]), "an array of complex128 cannot be stored"),
        (np.zeros(100_000), "an array of 100000 elements is too large"),
        ([[object()]], "object cannot be stored"),
        ({"a": {"b": object()}}, "object cannot be stored"),
    ],
    ids=lambda v: repr(v)[:30],
)
def test_unsupported_values(open_table: Open, value: Any, words: str) -> None:
    table = open_table()
    with pytest.raises((TypeError, ValueError)) as raised:
        table.log({"column": value})
    assert words in str(raised.value)
    assert '"column"' in str(raised.value)
    assert isinstance(raised.value, streamtable.LogError)
    table.log({"column": 1})
    assert table.finish().acked == 1


class Odd(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)

    url: pydantic.HttpUrl = pydantic.HttpUrl("http://example.com/a")
    address: pydantic.IPvAnyAddress = "127.0.0.1"  # type: ignore[assignment]
    password: pydantic.SecretStr = pydantic.SecretStr("hidden")
    raw: bytes = b"text"
    urls: list[pydantic.HttpUrl] = [pydantic.HttpUrl("http://example.com/b")]
    when: dt.datetime = NOON


class Root(pydantic.RootModel[list[int]]):
    pass


def test_fields_of_models_that_only_json_can_express(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log(Odd(address="127.0.0.1"))  # type: ignore[arg-type]
    table.log({**Odd(address="127.0.0.1").model_dump(mode="json"), "when": NOON})  # type: ignore[arg-type]
    table.finish()
    first, second = server.rows(name)
    assert {k: first[k] for k in Odd.model_fields} == {k: second[k] for k in Odd.model_fields}
    assert "hidden" not in str(first)
    assert first["when"] == "2024-01-02T12:00:00.678901Z"


def test_root_models(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log({"v": Root([1, 2])})
    table.finish()
    assert server.rows(name)[0]["v"] == [1, 2]


def test_rows_of_a_structured_array(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log(np.array([(1, "x"), (2, "y")], dtype=[("n", "i8"), ("s", "U4")]))
    table.finish()
    assert [(row["n"], row["s"]) for row in server.rows(name)] == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([pd.DataFrame({"a": [1]})], "not DataFrame; log each frame by a call of its own"),
        ([pl.DataFrame({"a": [1]})], "not DataFrame; log each frame by a call of its own"),
        (pl.LazyFrame({"a": [1]}), "not LazyFrame; call its method collect first"),
        (np.zeros((2, 2)), "not ndarray; name the columns"),
    ],
    ids=["pandas", "polars", "lazy", "array"],
)
def test_what_is_no_row_says_what_to_do(open_table: Open, rows: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        open_table().log(rows)


def test_recursive_values_are_refused(open_table: Open) -> None:
    endless: list[Any] = []
    endless.append(endless)
    table = open_table()
    with pytest.raises(TypeError, match="nest deeper than 64"):
        table.log({"v": endless})
    deep: Any = 1
    for _ in range(64):
        deep = [deep]
    table.log({"v": deep})
    with pytest.raises(TypeError, match="nest deeper than 64"):
        table.log({"v": [deep]})


NAIVE = """
    import datetime, sys
    import numpy as np, pandas as pd, polars as pl, pyarrow as pa
    from streamtable import StreamTable

    times = [
        datetime.datetime(2024, 1, 2, 3, 4, 5, 678901),
        datetime.datetime(2024, 7, 2, 3, 4, 5),
        datetime.datetime(1969, 7, 20, 20, 17, 40),
        # Skipped, and twice, in New York.
        datetime.datetime(2024, 3, 10, 2, 30),
        datetime.datetime(2024, 11, 3, 1, 30),
    ]
    frame = pd.DataFrame({"t": times})
    ways = [
        [{"t": t} for t in times],
        [{"t": pd.Timestamp(t)} for t in times],
        [{"t": np.datetime64(t)} for t in times],
        frame.to_dict("records"),
        [row for _, row in frame.iterrows()],
        frame,
        pl.DataFrame({"t": times}),
        pa.table({"t": times}),
        pa.table({"t": pa.array(times, pa.timestamp("ns"))}),
    ]
    with StreamTable(sys.argv[1], quiet=True) as table:
        for rows in ways:
            table.log(rows)
        table.log({"t": datetime.datetime(2024, 11, 3, 1, 30, fold=1)})
    for t in times:
        print(t.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    print(len(ways))
"""


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC"])
def test_naive_times_are_local_in_every_form(program: Any, server: Server, name: str, zone: str) -> None:
    *expected, ways = program(NAIVE, name, TZ=zone).stdout.split()
    *stored, later = [row["t"] for row in server.rows(name)]
    assert stored == expected * int(ways)
    if zone == "America/New_York":
        assert expected[0] == "2024-01-02T08:04:05.678901Z"
        assert expected[4] == "2024-11-03T05:30:00.000000Z"
        assert later == "2024-11-03T06:30:00.000000Z"


def test_frames_of_naive_times_in_a_cell(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    frame = pd.DataFrame({"t": [pd.Timestamp("2024-01-02"), pd.NaT]})
    table.log({"series": frame["t"], "frame": frame})
    table.finish()
    row = server.rows(name)[0]
    assert row["series"][1] is None
    assert row["frame"][0] == {"t": row["series"][0]}


FRAME = {
    "n": [1, 2, None],
    "x": [0.5, None, 2.0],
    "s": ["a", None, "c"],
    "t": [NOON, None, NOON],
    "b": [True, False, None],
    "l": [[1], [], None],
}
ROWS = [
    {"n": 1, "x": 0.5, "s": "a", "t": "2024-01-02T12:00:00.678901Z", "b": True, "l": [1]},
    {"n": 2, "x": None, "s": None, "t": None, "b": False, "l": []},
    {"n": None, "x": 2.0, "s": "c", "t": "2024-01-02T12:00:00.678901Z", "b": None, "l": None},
]


def frames() -> dict[str, Callable[[], Any]]:
    pandas_types = {"n": "Int64", "b": "boolean"}
    return {
        "pyarrow.Table": lambda: pa.table(FRAME),
        "pyarrow.RecordBatch": lambda: pa.table(FRAME).to_batches()[0],
        "pyarrow.RecordBatchReader": lambda: pa.table(FRAME).to_reader(),
        "polars": lambda: pl.DataFrame(FRAME),
        "pandas": lambda: pd.DataFrame(FRAME).astype(pandas_types),
    }


@pytest.mark.parametrize("kind", frames())
def test_frames(server: Server, name: str, open_table: Open, kind: str) -> None:
    table = open_table()
    table.log(frames()[kind]())
    assert table.finish().acked == 3
    rows = [{k: row[k] for k in FRAME} for row in server.rows(name)]
    assert rows == ROWS
    assert list(server.columns(name)) == [*FRAME, "timestamp"]


def test_pandas_without_pyarrow(
    server: Server, name: str, open_table: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = frames()["pandas"]()

    def no_arrow(*_: object) -> None:
        raise ImportError("no pyarrow")

    monkeypatch.setattr(pd.DataFrame, "__arrow_c_stream__", no_arrow, raising=False)
    table = open_table()
    table.log(frame)
    assert table.finish().acked == 3
    assert [{k: row[k] for k in FRAME} for row in server.rows(name)] == ROWS


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_of_versions_that_export_no_arrow_data(
    server: Server, name: str, open_table: Open, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Before pandas 2.2 and Polars 1.3."""
    for frame_class in (pd.DataFrame, pl.DataFrame):
        monkeypatch.delattr(frame_class, "__arrow_c_stream__", raising=False)
    frame = frames()[kind]()
    table = open_table()
    table.log(frame)
    with pytest.raises(streamtable.RowTypeError, match="not DataFrame; log each frame by a call of its own"):
        table.log([frame])
    with pytest.raises(streamtable.RowTypeError, match="two columns of the frame have the same name"):
        table.log(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    assert table.finish().acked == 3
    assert [{k: row[k] for k in FRAME} for row in server.rows(name)] == ROWS
    of_times = open_table(f"{name}_t")
    with pytest.warns(streamtable.TimestampWarning):
        of_times.log(type(frame)({"timestamp": [1.5]}))


def test_indexes_of_pandas(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    frame = pd.DataFrame({"a": [1, 2, 3]})
    table.log(frame[frame.a > 1])
    table.finish()
    assert list(server.columns(name)) == ["a", "timestamp"]
    named = open_table(name + "b")
    named.log(frame.set_index(pd.Index(["x", "y", "z"], name="key")))
    named.finish()
    assert [(row["a"], row["key"]) for row in server.rows(name + "b")] == [(1, "x"), (2, "y"), (3, "z")]


FROM_ARROW: dict[str, Any] = {
    "u64": 2**63 - 1,
    "f16": 0.5,
    "date": "2024-01-02",
    "time": "01:02:03",
    "duration": 1.5,
    "decimal": 12.5,
    "category": "a",
    "struct": {"x": 1, "y": [None]},
    "map": {"k": 1},
    "fixed": [1, 2],
    "nanos": "2024-01-02T12:00:00.678901Z",
    "large": "x",
    "null": None,
    "runs": "x",
    "view": "x",
    "list_view": [1, 2],
}


def test_many_arrow_types(server: Server, name: str, open_table: Open) -> None:
    columns = {
        "u64": pa.array([2**63 - 1], pa.uint64()),
        "f16": pa.array([np.float16(0.5)], pa.float16()),
        "date": pa.array([dt.date(2024, 1, 2)]),
        "time": pa.array([dt.time(1, 2, 3)]),
        "duration": pa.array([dt.timedelta(seconds=1.5)]),
        "decimal": pa.array([Decimal("12.50")]),
        "category": pa.array(["a"]).dictionary_encode(),
        "struct": pa.array([{"x": 1, "y": [None]}]),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "fixed": pa.array([[1, 2]], pa.list_(pa.int8(), 2)),
        "nanos": pa.array([1_704_196_800_678_901_999], pa.timestamp("ns")),
        "large": pa.array(["x"], pa.large_string()),
        "null": pa.nulls(1),
    }
    if hasattr(pa, "list_view"):
        # Since version 16.
        columns["runs"] = pa.RunEndEncodedArray.from_arrays(pa.array([1], pa.int32()), ["x"])
        columns["view"] = pa.array(["x"], pa.string_view())
        columns["list_view"] = pa.array([[1, 2]], pa.list_view(pa.int64()))
    table = open_table()
    table.log(pa.table(columns))
    table.finish()
    row = server.rows(name)[0]
    assert {k: row[k] for k in columns} == {k: FROM_ARROW[k] for k in columns}


DECIMALS = ["12.50", "3", "3.00", "-0.1", "0.0010", "0", "-0", "123456789012345678", "1234567890.123456789012",
    "12345678901234.5", "1234567890123456.5", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "1E+30", "1E-10"]  # fmt: skip


def test_decimals_are_the_same_in_dicts_and_in_frames(server: Server, name: str, open_table: Open) -> None:
    values = {text: Decimal(text) for text in DECIMALS}
    table = open_table()
    table.log(pa.table({text: [value] for text, value in values.items()}))
    table.log(values)
    other = open_table(f"{name}_other")
    other.log({"v": Decimal("Infinity")})
    other.log({"v": Decimal("1E+1000000")})
    table.finish()
    other.finish()
    in_frame, in_dict = ([row[text] for text in DECIMALS] for row in server.rows(name))
    assert [repr(value) for value in in_dict] == [repr(value) for value in in_frame]
    assert in_dict[:2] == [12.5, 3] and in_dict[8] == "1234567890.123456789012"
    assert [row["v"] for row in server.rows(other.path)] == ["Infinity", "1E+1000000"]


@pytest.mark.parametrize(
    "rows",
    [
        {"timestamp": "yesterday"},
        [{"timestamp": 1.5}, {"timestamp": 2.5}],
        pd.DataFrame({"timestamp": [1.5]}),
        pl.DataFrame({"timestamp": [1.5]}),
        pa.table({"timestamp": [1.5]}),
    ],
    ids=["dict", "list", "pandas", "polars", "pyarrow"],
)
def test_a_timestamp_that_is_no_time_is_a_warning(open_table: Open, rows: Any) -> None:
    table = open_table()
    with pytest.warns(streamtable.TimestampWarning, match='stays a column like others') as warned:
        table.log(rows)
    assert warned[0].filename == __file__
    # Once, as all rows have the same columns.
    table.log(rows)
    row = table.rows()[0]
    assert row["timestamp"] in ("yesterday", 1.5)
    assert isinstance(row["_timestamp"], dt.datetime)


def test_a_timestamp_that_is_a_time_is_no_warning(open_table: Open) -> None:
    table = open_table()
    table.log({"timestamp": None, "n": 0})
    table.log(pd.DataFrame({"timestamp": [NOON], "n": [1]}))
    table.log({"timestamp": NOON, "n": 2})
    with table.context(n=3):
        table.log({"timestamp": NOON})
    table.log({"timestamp": NOON.isoformat(), "n": 4})
    rows = table.rows()
    assert [row["n"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["timestamp"] for row in rows[1:]] == [NOON] * 4


def test_the_cost_of_a_dictionary_column_is_linear(open_table: Open) -> None:
    """A cell is read by its key, so that twice the rows do not cost four times the time."""
    rows = 200_000
    keys = pa.array(np.arange(rows) % 3, pa.int32())
    column = pa.DictionaryArray.from_arrays(keys, ["a", "b", None])
    table = open_table(buffer_bytes=256 << 20, spool_dir=False)
    start = time.process_time()
    table.log(pa.table({"category": column}))
    # A quadratic cost is more than a minute.
    assert time.process_time() - start < 20
    assert table.finish().acked == rows


def test_dictionary_columns(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    kinds = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    for kind in kinds:
        keys = pa.array([1, None, 0, 2], kind)
        table.log(pa.table({"c": pa.DictionaryArray.from_arrays(keys, ["a", "b", None])}))
    table.finish()
    assert [row["c"] for row in server.rows(name)] == ["b", None, "a", None] * len(kinds)


def test_the_rows_of_a_frame_are_refused_alone(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log({"n": 0, "x": "first"})
    # More rows than are encoded at a time do not fit, and then come others that do.
    frame = pl.DataFrame({"n": [2**63 + n if n < 3000 else n for n in range(5000)], "x": ["a"] * 5000}, {"n": pl.UInt64, "x": pl.String})
    with pytest.raises(TypeError, match="3000 of 5000 rows refused, the first at 0") as raised:
        table.log(frame)
    assert isinstance(raised.value, streamtable.RowTypeError)
    assert raised.value.accepted == 2000
    assert [row.index for row in raised.value.refused] == list(range(3000))
    assert {row.column for row in raised.value.refused} == {"n"}
    assert table.finish().acked == 2001
    assert [row["n"] for row in server.rows(name)] == [0, *range(3000, 5000)]


def test_frames_that_do_not_fit(open_table: Open) -> None:
    table = open_table()
    table.log({"a": 1})
    with pytest.raises(streamtable.RowError, match='"b" is not one of the table') as raised:
        table.log(pa.table({"a": range(50), "b": range(50)}))
    assert raised.value.refused[0].row == {"a": 0, "b": 0}
    assert len(raised.value.refused) == 50
    # The number of refused rows of a call is bounded.
    with pytest.raises(streamtable.RowError, match="the rows after these were not tried") as raised:
        table.log(pa.table({"a": range(50_000), "b": range(50_000)}))
    assert 10_000 < len(raised.value.refused) < 12_000
    with pytest.raises(TypeError, match="18446744073709551615 does not fit"):
        table.log(pa.table({"a": pa.array([2**64 - 1, 3], pa.uint64())}))
    assert table.finish().acked == 2


def test_a_null_is_a_value_of_every_arrow_type(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    with pytest.raises(TypeError, match='column "b": .*Arrow type Binary cannot be stored') as raised:
        table.log(pa.table({"a": [1, 2, 3], "b": pa.array([None, b"x", None], pa.binary())}))
    assert [row.index for row in raised.value.refused] == [1]
    table.finish()
    assert [(row["a"], row["b"]) for row in server.rows(name)] == [(1, None), (3, None)]


class Unreadable:
    """A frame whose Arrow data breaks off."""

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        def batches() -> Any:
            yield pa.RecordBatch.from_pydict({"a": [1, 2]})
            raise OSError("the disk is gone")

        reader = pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), batches())
        return reader.__arrow_c_stream__(requested_schema)


class Broken:
    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        raise OSError("there is no stream")


def test_a_frame_without_usable_arrow_data_is_logged_by_rows(
    server: Server, name: str, open_table: Open
) -> None:
    frames = {
        # pyarrow refuses to convert each of these.
        "mixed": pd.DataFrame({"v": [1, "x", 2.5]}, dtype=object),
        "sparse": pd.DataFrame({"v": pd.arrays.SparseArray([0, 0, 7])}),
        "polars of nulls": pl.DataFrame({"v": [None, None]}),
        "polars series of structs": pl.Series([{"v": 1}, {"v": 2}]),
    }
    shown = {"mixed": [1, "x", 2.5], "sparse": [0, 0, 7], "polars of nulls": [None, None], "polars series of structs": [1, 2]}
    for kind, frame in frames.items():
        table = open_table(name + kind.replace(" ", "_"))
        table.log(frame)
        table.finish()
        assert [row["v"] for row in server.rows(table.path)] == shown[kind], kind


@pytest.mark.parametrize(
    ("frame", "words", "accepted"),
    [
        (pd.DataFrame({"v": [1j, 2j]}), "complex cannot be stored", 0),
        (pl.Series([1, 2]), "a row must be a dict", 0),
        (Broken(), "the rows of this Broken cannot be read: .*there is no stream", 0),
        (Unreadable(), "the rows of this Unreadable cannot be read: .*the disk is gone", 2),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns of the frame have the same name", 0),
    ],
    ids=["complex", "series", "broken", "unreadable", "duplicates"],
)
def test_errors_of_frames_are_log_errors(open_table: Open, frame: Any, words: str, accepted: int) -> None:
    table = open_table()
    with pytest.raises(streamtable.RowTypeError, match=words) as raised:
        table.log(frame)
    assert raised.value.accepted == accepted
    assert table.finish().acked == accepted


def png(width: int = 4, height: int = 3) -> bytes:
    return Image(np.zeros((height, width, 3), dtype="uint8")).data or b""


def images(folder: Path) -> dict[str, Any]:
    from matplotlib.figure import Figure
    from PIL import Image as Pillow

    path = folder / "x.png"
    path.write_bytes(png())
    figure = Figure(figsize=(0.04, 0.03), dpi=100)
    pillow = Pillow.new("RGB", (4, 3), (200, 10, 10))

    class OfWandb:
        """Has the same attributes as wandb's class."""

        _log_type = "image-file"
        _path = str(path)
        _caption = "theirs"

    return {
        "bytes": Image(png()),
        "path": Image(path),
        "text": Image(str(path), caption="c"),
        "file": Image(io.BytesIO(png())),
        "pillow": pillow,
        "wrapped": Image(pillow, caption="c"),
        "palette": pillow.convert("P"),
        "cmyk": pillow.convert("CMYK"),
        "figure": figure,
        "axes": figure.add_axes((0, 0, 1, 1)),
        "gray": Image(np.zeros((3, 4))),
        "rgba": Image(np.zeros((3, 4, 4), dtype="uint8")),
        "bools": Image(np.eye(3, 4, dtype=bool)),
        "wandb": OfWandb(),
    }


def test_images(server: Server, name: str, open_table: Open, tmp_path: Path) -> None:
    from PIL import Image as Pillow

    table = open_table(columns="evolve")
    all_images = images(tmp_path)
    table.log(all_images)
    stats = table.finish()
    assert stats.media.failed == stats.media.pending == 0
    row = server.rows(name)[0]
    for kind in all_images:
        cell = row[kind]
        assert (cell["_type"], cell["width"], cell["height"]) == ("image-file", 4, 3), kind
        stored = Pillow.open(io.BytesIO(server.get(f"/files/{name}/{cell['path']}")))
        assert stored.size == (4, 3), kind
        stored.load()
    assert row["text"]["caption"] == "c"
    assert row["wandb"]["caption"] == "theirs"
    assert row["pillow"]["sha256"] == row["wrapped"]["sha256"]
    assert server.columns(name)["pillow"] == "image"


def test_pixels_survive(server: Server, name: str, open_table: Open) -> None:
    from PIL import Image as Pillow

    pixels = np.arange(60, dtype="uint8").reshape(4, 5, 3)
    table = open_table()
    table.log({"image": Image(pixels)})
    table.finish()
    path = server.rows(name)[0]["image"]["path"]
    stored = Pillow.open(io.BytesIO(server.get(f"/files/{name}/{path}")))
    assert (np.asarray(stored) == pixels).all()


def test_other_media(server: Server, name: str, open_table: Open, tmp_path: Path) -> None:
    import wave

    page = tmp_path / "page.html"
    page.write_text("<b>from a file</b>")
    table = open_table()
    table.log(
        {
            "sound": Audio(np.sin(np.arange(800) / 10), sample_rate=8000),
            "film": Video(b"\0\0\0\x18ftypmp42", caption="a film"),
            "html": Html("<b>hello</b>"),
            "file": Html(page),
            "note": Markdown("**hello**"),
            "frame": Html(pd.DataFrame({"ms": [7]})),
        }
    )
    table.finish()
    row = server.rows(name)[0]
    assert {k: v["_type"] for k, v in row.items() if isinstance(v, dict)} == {
        "sound": "audio-file",
        "film": "video-file",
        "html": "html-file",
        "file": "html-file",
        "note": "markdown-file",
        "frame": "html-file",
    }
    assert b"<td>7</td>" in server.get(f"/files/{name}/{row['frame']['path']}")
    files = {k: server.get(f"/files/{name}/{row[k]['path']}") for k in ("sound", "html", "file", "note")}
    assert (files["html"], files["file"]) == (b"<b>hello</b>", b"<b>from a file</b>")
    assert files["note"] == b"**hello**"
    with wave.open(io.BytesIO(files["sound"])) as sound:
        assert (sound.getframerate(), sound.getnframes(), sound.getnchannels()) == (8000, 800, 1)
    assert row["film"]["caption"] == "a film"
    assert row["film"]["format"] == "mp4"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Image(7), "Image takes bytes, a path or an open file, not int"),
        (lambda: Image(io.StringIO("x")), "open the file in binary mode"),
        (lambda: Image(np.zeros((3, 4, 5))), "1 to 4 channels"),
        (lambda: Image(np.full((3, 4), 256)), "from 0 to 255"),
        (lambda: Audio(np.zeros(3)), "needs its sample_rate"),
        (lambda: Audio(np.zeros(3, dtype="int64"), sample_rate=1), "16 bits or floats"),
        (lambda: streamtable.Media(b"x"), "make an Image"),
    ],
)
def test_bad_media(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        make()


def test_invalid_media_content(open_table: Open, tmp_path: Path) -> None:
    table = open_table()
    with pytest.raises(TypeError, match='column "image": .*not an image of a known format'):
        table.log({"image": Image(b"no picture")})
    with pytest.raises(TypeError, match='column "image": cannot read .*gone.png'):
        table.log({"image": Image(tmp_path / "gone.png")})
    with pytest.raises(ValueError, match="give the format"):
        Audio(b"????")
    table.log({"image": Image(png())})
    assert table.finish().acked == 1


def test_conversion_imports_no_packages(program: Any) -> None:
    code = """
        import sys
        import streamtable
        heavy = {"numpy", "pandas", "pyarrow", "PIL", "polars", "matplotlib", "IPython", "asyncio"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    program(code)
    assert "numpy" in sys.modules


class Money:
    def __init__(self, cents: int):
        self.cents = cents


class Euro(Money, float):  # type: ignore[misc]
    pass


def test_registered_conversions(
    server: Server, name: str, open_table: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_convert, "_registered", {})
    table = open_table(columns="evolve")
    with pytest.raises(TypeError, match="convert it with the option default or streamtable.register"):
        table.log({"v": Money(5)})
    streamtable.register(Money, lambda money: {"cents": money.cents})
    streamtable.register(object, repr)
    table.log({"v": Money(5)})
    table.log({"w": 1j, "x": [Euro(7)]})
    table.finish()
    first, second = server.rows(name)
    assert first["v"] == {"cents": 5}
    assert (second["w"], second["x"]) == ("1j", [{"cents": 7}])
    with pytest.raises(TypeError, match="takes a class"):
        streamtable.register("Money", repr)  # type: ignore[arg-type]


def test_a_sparse_union_of_arrow(server: Server, name: str, open_table: Open) -> None:
    types = pa.array([0, 1, 0], pa.int8())
    union = pa.UnionArray.from_sparse(types, [pa.array([1, 0, None]), pa.array(["", "a", ""])])
    table = open_table()
    table.log(pa.table({"u": union}))
    table.finish()
    assert [row["u"] for row in server.rows(name)] == [1, "a", None]
