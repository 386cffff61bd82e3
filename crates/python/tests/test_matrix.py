"""The same value gives the same result through Python and through every other client.

``tests/values/kinds.json`` has the kinds of values; ``crates/server/tests/it/values.rs`` describes it and has
the paths and readers that are not Python.
"""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from lab import Server

from streamtable import StreamTable
from streamtable._read import _revive

Open = Callable[..., StreamTable]

KINDS = json.loads((Path(__file__).parents[3] / "tests/values/kinds.json").read_text("utf-8"))
PYTHON = [kind for kind in KINDS if "python" in kind]
NAMES = {"np": np, "pd": pd, "dt": dt, "decimal": decimal, "math": math}
PATHS = ["dict", "pandas", "polars", "pyarrow", "curl"]


def value(kind: dict[str, Any]) -> Any:
    """Return the value as Python code writes it."""
    return eval(kind["python"], dict(NAMES))


def log(path: str, table: StreamTable, server: Server) -> None:
    if path == "curl":
        cells = ",".join(f"{json.dumps(kind['kind'])}:{kind['value']}" for kind in PYTHON)
        server.append(table.path, f"{{{cells}}}")
        return
    row = {kind["kind"]: value(kind) for kind in PYTHON}
    columns = {name: [cell] for name, cell in row.items()}
    rows = {"dict": lambda: row, "pandas": lambda: pd.DataFrame(columns)}
    rows |= {"polars": lambda: pl.DataFrame({name: series(cells) for name, cells in columns.items()}), "pyarrow": lambda: pa.table(columns)}
    table.log(rows[path]())
    table.flush()


def shape(value: Any) -> str:
    """Return the text of a value. Older versions of PyArrow sort the fields of structs."""
    if isinstance(value, dict) and int(pa.__version__.split(".")[0]) < 20:
        value = dict(sorted(value.items()))
    return repr(value)


def series(cells: list[Any]) -> pl.Series:
    try:
        return pl.Series(cells)
    except ValueError:
        # Before version 2, Polars has no half floats.
        return pl.Series([cell.item() for cell in cells])


@pytest.mark.parametrize("evolving", [False, True], ids=["strict", "evolving"])
@pytest.mark.parametrize("first", PATHS)
def test_python_agrees_with_all_paths(open_table: Open, server: Server, first: str, evolving: bool) -> None:
    table = open_table(columns="evolve" if evolving else "strict")
    order = [first, *(path for path in PATHS if path != first)]
    for path in order:
        log(path, table, server)
    shown, rows = server.rows(table.path), table.rows()
    tailed = list(islice(table.tail(last=len(order)), len(order)))
    faults = []
    for place, path in enumerate(order):
        for kind in PYTHON:
            name = kind["kind"]
            if path == "polars" and kind["python"] == "{}" and pl.Series([{}]).to_list() != [{}]:
                # Before version 2, Polars has no structs without fields.
                continue
            if path == "pandas" and "pandas" in kind:
                # In pandas, NaN is a missing value.
                kind = {"value": kind["pandas"], "shown": kind.get("pandas_shown", kind["pandas"])}
            expected = json.loads(kind.get("shown", kind["value"]))
            if (found := shown[place].get(name)) != expected or type(found) is not type(expected):
                faults.append(f"{name} by {path} is {found!r} in JSON, not {expected!r}")
            stored = json.loads(kind["value"], object_hook=_revive)
            for reader, row in (("rows", rows[place]), ("tail", tailed[place])):
                if shape(row.get(name)) != shape(stored):
                    faults.append(f"{name} by {path} is {row.get(name)!r} in {reader}, not {stored!r}")
    assert not faults, "\n".join(faults)
    print(f"{len(PATHS)} paths × {len(PYTHON)} kinds × 3 readers")
