"""The page `docs/python-values.md`: what values and columns of frames become, and read back as.

The page has a column for each generation of pandas, Polars and PyArrow; `cargo xtask python --generations` runs
this test with each. With `UPDATE_VALUES=1` in the environment, it writes the column of the
installed generation.

A frame and its rows must give the same, for each type of column.
"""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import math
import os
import pathlib
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import streamtable
from streamtable import StreamTable

Open = Callable[..., StreamTable]

PAGE = Path(__file__).parents[3] / "docs/python-values.md"

UTC = dt.timezone.utc
AT = dt.datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
DAY = dt.date(2026, 1, 2)
ID = uuid.UUID(int=7)
Level = enum.IntEnum("Level", "LOW HIGH")
Pair = collections.namedtuple("Pair", "x y")
NAN = float("nan")

VALUES = """
None
True
2**63 - 1
2**63
0.5
NAN
math.inf
-0.0
5e-324
'text'
'a\\0b'
AT
AT.astimezone(dt.timezone(dt.timedelta(hours=5)))
DAY
dt.time(3, 4, 5)
dt.timedelta(seconds=90)
decimal.Decimal('3.10')
decimal.Decimal('0.12345678901234567890')
fractions.Fraction(1, 4)
ID
pathlib.PurePosixPath('a/b')
Level.HIGH
ipaddress.ip_address('10.0.0.1')
ValueError('wrong')
b'ab'
1j
object()
[1, 2.5, None]
[{'a': 1}, {'b': 'x'}]
(1, 2)
Pair(1, 2)
{3, 1}
collections.deque([1, 2])
range(3)
array.array('d', [0.5])
{'a': {'b': [1]}}
collections.OrderedDict(a=1)
collections.Counter('aab')
collections.ChainMap({'a': 1})
types.MappingProxyType({'a': 1})
types.SimpleNamespace(a=1)
{'a': 1}.values()
np.int8(7)
np.uint64(2**64 - 1)
np.float16(0.5)
np.float32(0.1)
np.str_('x')
np.bool_(True)
np.datetime64('NaT')
np.timedelta64(90, 's')
np.array([1, 2])
np.array([[0.5, 1.5]])
np.array(['a', 'b'])
np.array([1j])
np.ma.array([1, 2], mask=[0, 1])
pd.NA
pd.NaT
pd.Timestamp(AT)
pd.Timedelta(seconds=90)
pd.Period('2026-01')
pd.Interval(1, 2)
pd.Series([1, None])
pd.DataFrame({'a': [1, 2]})
pl.Series([1, None])
pl.DataFrame({'a': [1]})
pa.array([1, None])
pa.scalar(7)
"""

FRAMES = """
pd.Series([1, 2], dtype='int8')
pd.Series([2**63, 1], dtype='uint64')
pd.Series([0.5, NAN], dtype='float16')
pd.Series([0.5, NAN])
pd.Series([1, None], dtype='Int64')
pd.Series([0.5, None], dtype='Float64')
pd.Series([True, None], dtype='boolean')
pd.Series(['a', None], dtype='string')
pd.Series(['a', None], dtype='string[pyarrow]')
pd.Series(['a', None])
pd.Series(['a', 'b'], dtype='category')
pd.cut(pd.Series([1, 9]), [0, 5, 10])
pd.Series([AT, None])
pd.Series(pd.to_timedelta([90, None], unit='s'))
pd.Series(pd.period_range('2026-01', periods=2, freq='D'))
pd.Series(pd.interval_range(0, 2))
pd.Series(pd.arrays.SparseArray([0, 7]))
pd.Series([ID, None])
pd.Series([[ID], None])
pd.Series([DAY, None])
pd.Series([decimal.Decimal('3.10'), None])
pd.Series([{'a': 1}, None])
pd.Series([[1, 2], []])
pd.Series([np.array([1, 2]), None])
pd.Series([1, 'x'], dtype=object)
pd.Series([Level.HIGH, None], dtype=object)
pd.Series([ipaddress.ip_address('10.0.0.1'), None])
pd.Series([1j, 2j])
pl.Series([1, None], dtype=pl.Int8)
pl.Series([2**64 - 1, 1], dtype=pl.UInt64)
pl.Series([2**100, 1], dtype=pl.Int128)
pl.Series([0.5, NAN], dtype=pl.Float32)
pl.Series(['a', None])
pl.Series([True, None])
pl.Series([None, None], dtype=pl.Null)
pl.Series(['a', None], dtype=pl.Categorical)
pl.Series(['a', 'b'], dtype=pl.Enum(['a', 'b']))
pl.Series([AT, None])
pl.Series([DAY, None])
pl.Series([dt.time(3, 4, 5), None])
pl.Series([dt.timedelta(seconds=90), None])
pl.Series([decimal.Decimal('3.10'), None])
pl.Series([[1, 2], []])
pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int64, 2))
pl.Series([{'a': 1}, {'a': None}])
pl.Series([ID, None], dtype=pl.Object)
pl.Series([b'ab', None], dtype=pl.Binary)
pa.array([1, None], pa.int8())
pa.array([0.5, None], pa.float32())
pa.array(np.array([0.5, 1], 'float16'))
pa.array(['a', None])
pa.array(['a', None], pa.large_string())
pa.array(['a', None], pa.string_view())
pa.array(['a', None]).dictionary_encode()
pa.array([AT, None])
pa.array([DAY, None])
pa.array([dt.time(3, 4, 5), None])
pa.array([dt.timedelta(seconds=90), None])
pa.array([decimal.Decimal('3.10'), None])
pa.array([decimal.Decimal('3.10'), None], pa.decimal256(50, 2))
pa.array([[1, 2], None])
pa.array([[1, 2], None], pa.list_(pa.int64(), 2))
pa.array([[1, 2], None], pa.list_view(pa.int64()))
pa.array([[('k', 1)], None], pa.map_(pa.string(), pa.int64()))
pa.array([{'a': 1}, {'a': None}])
pa.nulls(2)
pa.RunEndEncodedArray.from_arrays([1, 2], ['a', 'b'])
pa.array([ID.bytes, None], pa.uuid())
pa.array([b'ab', None])
"""

# Columns whose rows are not the same as their cells, and why.
OTHER = {
    "pd.Series([0.5, NAN], dtype='float16')": "NaN is a missing value in pandas",
    "pd.Series([0.5, NAN])": "NaN is a missing value in pandas",
    "pd.Series(['a', None])": "since pandas 3, the missing text is NaN",
    "pa.array([[('k', 1)], None], pa.map_(pa.string(), pa.int64()))": "PyArrow returns a list of pairs",
}


def generation() -> str:
    version = lambda package: ".".join(package.__version__.split(".")[:2])
    return f"pandas {version(pd)}, Polars {version(pl)}, PyArrow {pa.__version__.split('.')[0]}"


def made(expression: str) -> Any:
    """Return the value, or `None` if an installed package does not have it."""
    return eval(expression, globals())


def lines(text: str) -> list[str]:
    return text.strip().split("\n")


def cells(column: Any) -> list[Any]:
    if isinstance(column, pd.Series):
        return list(column)
    return column.to_list() if isinstance(column, pl.Series) else column.to_pylist()


def frame(name: str, column: Any) -> Any:
    kind = {pd.Series: pd.DataFrame, pl.Series: pl.DataFrame}.get(type(column), pa.table)
    return kind({name: column})


class Found:
    """What became of each expression."""

    def __init__(self, open_table: Open):
        self.table = open_table(columns="evolve")
        self.refused: dict[str, str] = {}
        self.places: dict[str, list[int]] = {}
        self.count = 0

    def log(self, name: str, rows: Any, count: int) -> None:
        accepted = count
        try:
            self.table.log(rows)
        except streamtable.LogError as error:
            accepted = error.accepted
            self.refused[name] = "refused" if accepted == 0 else "refused in part"
        self.places[name] = list(range(self.count, self.count + accepted))
        self.count += accepted

    def read(self) -> Iterator[tuple[str, str]]:
        rows = self.table.rows()
        client = streamtable.Client(self.table.base_url)
        kinds = client.table(self.table.path).columns()
        for name, places in self.places.items():
            values = [rows[place].get(name) for place in places]
            if name in self.refused and not values:
                yield name, "refused"
                continue
            shown = ", ".join(map(shown_value, values))
            text = f"{kinds.get(name, 'null')}: {shown}"
            yield name, f"{text}; {self.refused[name]}" if name in self.refused else text


def shown_value(value: Any) -> str:
    if isinstance(value, dt.datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, list):
        return f"[{', '.join(map(shown_value, value))}]"
    return repr(value)


def results(open_table: Open) -> dict[str, str]:
    """Return the text of each expression."""
    found = Found(open_table)
    names: dict[str, str] = {}
    missing: dict[str, str] = {}
    for place, expression in enumerate(lines(VALUES)):
        name = names[f"v{place}"] = expression
        found.log(f"v{place}", {f"v{place}": made(expression)}, 1)
    for place, expression in enumerate(lines(FRAMES)):
        try:
            column = made(expression)
        except (AttributeError, TypeError, ValueError, pa.ArrowNotImplementedError, ImportError):
            missing[expression] = "not in this version"
            continue
        name = f"f{place}"
        names[name] = expression
        found.log(name, frame(name, column), len(column))
        found.log(f"{name}_rows", [{f"{name}_rows": cell} for cell in cells(column)], len(column))
    texts = dict(found.read())
    faults = []
    for name, expression in names.items():
        alone = texts.get(f"{name}_rows")
        if alone is not None and alone != texts[name] and expression not in OTHER:
            faults.append(f"{expression} is {texts[name]!r} in a frame and {alone!r} in rows")
    assert not faults, "\n".join(faults)
    return {**{expression: texts[name] for name, expression in names.items()}, **missing}


def test_the_table_of_values_is_as_documented(open_table: Open) -> None:
    found = results(open_table)
    text = PAGE.read_text("utf-8")
    start = text.index("| value |")
    head, rule, *old = text[start:].strip().split("\n")
    _, *generations = columns_of(head)
    if generation() not in generations:
        pytest.skip(f"the page has no column for {generation()}")
    known = {value.strip("`"): rest for value, *rest in map(columns_of, old)}
    place = generations.index(generation())
    made = [head, rule]
    for expression in [*lines(VALUES), *lines(FRAMES)]:
        row = known.get(expression, [""] * len(generations))
        cell = escaped(found[expression])
        # The first column is that of the newest generation.
        row[place] = "=" if place and cell == row[0] else cell
        made.append(f"| `{expression}` | {' | '.join(row)} |")
    wanted = text[:start] + "\n".join(made) + "\n"
    if os.environ.get("UPDATE_VALUES"):
        PAGE.write_text(wanted, "utf-8")
    assert PAGE.read_text("utf-8") == wanted


def columns_of(line: str) -> list[str]:
    return [part.strip() for part in line.removeprefix("|").removesuffix("|").split(" | ")]


def escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("_", "\\_").replace("*", "\\*")
