"""Measures the package, beside other ways to keep rows if they are installed, and prints tables.

    python measure.py [ROWS]

Starts a server of its own (`STREAMTABLE_BIN`, or the one in the package) in a temporary folder. Packages that are
compared: pandas, Polars, PyArrow, DuckDB, wandb (offline), and for imports weave, langfuse and mlflow.
"""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamtable
from streamtable import StreamTable, monitor

ROW: dict[str, Any] = {
    "step": 1, "loss": 0.123456, "accuracy": 0.98, "name": "train", "epoch": 3, "rate": 1e-4, "ok": True,
    "note": None, "path": "/a/b/c", "ms": 17.25,
}  # fmt: skip


def has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def call(what: str, log: Callable[[dict[str, Any]], object], count: int, row: dict[str, Any] = ROW) -> None:
    """Time each call, and print a line of a table."""
    row = dict(row)
    log(row)
    took = []
    for step in range(count):
        row["step"] = step
        start = time.perf_counter_ns()
        log(row)
        took.append(time.perf_counter_ns() - start)
    took.sort()
    p50, p99 = (took[len(took) * part // 100] / 1000 for part in (50, 99))
    print(f"| {what} | {p50:,.1f} | {p99:,.1f} | {took[-1] / 1e6:,.1f} |", flush=True)


def rate(what: str, count: int, begin: Callable[[], tuple[Callable[[], object], Callable[[], object] | None]]) -> None:
    """Print the rows per second of an action, and with what follows, the best of three each."""
    acted, ended = [], []
    for _ in range(3):
        act, then = begin()
        start = time.perf_counter()
        act()
        acted.append(time.perf_counter() - start)
        if then is not None:
            then()
            ended.append(time.perf_counter() - start)
    stored = f"{count / min(ended):,.0f}" if ended else ""
    print(f"| {what} | {count / min(acted):,.0f} | {stored} |", flush=True)


tables = iter(range(1000))


def table(**options: Any) -> StreamTable:
    return StreamTable(f"me/measure/t{next(tables)}", quiet=True, when_full="wait", **options)


def calls(count: int) -> None:
    print("| a call, with a dict of ten columns | p50 µs | p99 µs | max ms |\n| --- | --- | --- | --- |")
    for what, options in [
        ("`log`", {}), ("`log`, `spool_dir=False`", {"spool_dir": False}),
        ('`log`, `columns="evolve"`', {"columns": "evolve"}), ("`log`, `default=repr`", {"default": repr}),
    ]:  # fmt: skip
        with table(**options) as own:
            call(what, own.log, count)
    if has("numpy"):
        import numpy as np

        odd = {**ROW, "loss": np.float64(0.5), "rate": np.float32(0.1), "ms": dt.datetime.now(dt.timezone.utc)}
        with table() as own:
            call("`log`, with NumPy scalars and a `datetime`", own.log, count // 4, odd)
        with table() as own:
            call("`log` of a NumPy array of 1,000", own.log, count // 20, {"step": 0, "a": np.arange(1000.0)})
        with table() as own:
            call("`log` of a list of 1,000 floats", own.log, count // 20, {"step": 0, "a": [0.5] * 1000})
    with table(sync="always") as own:
        call('`log`, `sync="always"`', own.log, 200)
    with table(columns="evolve") as own:
        watched = monitor(own)(lambda row: 1)
        call("a call of a function with `@monitor`", watched, count // 20)
    with open("lines.jsonl", "w") as file:
        call("`json.dumps` and write to a file", lambda row: file.write(json.dumps(row) + "\n"), count)
    base = sqlite3.connect("rows.sqlite")
    names = ", ".join(ROW)
    base.execute(f"create table t ({names})")
    insert = f"insert into t values ({', '.join('?' * len(ROW))})"
    call("sqlite3 insert, without commit", lambda row: base.execute(insert, list(row.values())), count)
    if has("duckdb"):
        import duckdb

        other = duckdb.connect("rows.duckdb")
        other.execute(
            "create table t (step int, loss double, accuracy double, name text, epoch int, rate double, ok bool,"
            " note text, path text, ms double)"
        )
        call("duckdb insert", lambda row: other.execute(insert, list(row.values())), count // 20)
    if has("wandb"):
        import wandb

        run = wandb.init(mode="offline", project="measure", settings=wandb.Settings(silent=True))
        call("`wandb.Run.log`, offline", run.log, count // 20)
        run.finish()


def frames(count: int) -> None:
    print("\n| 10,000 rows of ten columns, the best of three | rows/s at the call | until stored |\n| --- | --- | --- |")
    rows = [{**ROW, "step": step, "loss": step / 7} for step in range(count)]
    at = dt.datetime.now(dt.timezone.utc)

    def logged(what: str, made: Any) -> None:
        def begin() -> Any:
            own = table()
            return lambda: own.log(made), own.finish

        rate(what, count, begin)

    def one_by_one() -> Any:
        own = table()
        return lambda: [own.log(row) for row in rows], own.finish

    def written(what: str, act: Callable[[], object]) -> None:
        rate(what, count, lambda: (act, None))

    logged("`log` of a list of dicts", rows)
    rate("`for row in rows: log(row)`", count, one_by_one)
    logged("`log` of a list of dicts with a `datetime`", [{**row, "at": at} for row in rows])
    if not (has("pandas") and has("polars") and has("pyarrow")):
        return
    import pandas as pd
    import polars as pl

    frame = pd.DataFrame(rows).drop(columns="note")
    frame["at"] = pd.Timestamp.now("UTC")
    lines = pl.DataFrame(rows)
    logged("`log` of a pandas frame with a time column", frame)
    logged("`log` of a pandas frame with a category", frame.assign(name=frame["name"].astype("category")))
    logged("`log` of a Polars frame", lines)
    logged("`log` of a PyArrow table", lines.to_arrow())
    base = sqlite3.connect("frames.sqlite")
    written("pandas `to_sql`, sqlite3", lambda: frame.to_sql("t", base, if_exists="append"))
    if has("duckdb"):
        import duckdb

        other = duckdb.connect("frames.duckdb")
        other.register("frame", frame)
        other.execute("create table t as select * from frame limit 0")
        written("duckdb `insert … from frame`", lambda: other.execute("insert into t select * from frame"))
    written("pandas `to_parquet`", lambda: frame.to_parquet("frame.parquet"))
    written("pandas `to_json`, lines", lambda: frame.to_json("frame.jsonl", orient="records", lines=True, date_format="iso"))
    written("Polars `write_ndjson`", lambda: lines.write_ndjson("lines.ndjson"))


def many(count: int) -> None:
    print(f"\n| {count:,} rows of ten columns | |\n| --- | --- |")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    own = table()
    start = time.perf_counter()
    for step in range(count):
        own.log({**ROW, "step": step})
    called = time.perf_counter() - start
    own.finish()
    stored = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"| at the calls, until stored | {called:.1f} s, {stored:.1f} s |")
    print(f"| maximum memory before and after | {before / 1024:.0f} MiB, {after / 1024:.0f} MiB |")
    for what, read in (("`rows()` of all, as dicts", own.rows), ("`to_polars()` of all", own.to_polars)):
        start = time.perf_counter()
        print(f"| {what} | {len(read()) / (time.perf_counter() - start):,.0f} rows/s |", flush=True)
    for threads in (1, 2, 4, 8):
        own = table()
        each = count // 10 // threads
        work = [threading.Thread(target=lambda: [own.log(ROW) for _ in range(each)]) for _ in range(threads)]
        start = time.perf_counter()
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
        called = time.perf_counter() - start
        own.finish()
        print(f"| {threads} threads, at the calls | {each * threads / called:,.0f} rows/s |", flush=True)


def imports() -> None:
    print("\n| import, more than Python itself, the best of five | ms of CPU |\n| --- | --- |")

    # So that the modules are compiled only once.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def best(code: str) -> float:
        times = []
        for _ in range(5):
            start = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=env)
            end = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
        return min(times) * 1000

    bare = best("")
    print(f"| (Python itself) | {bare:.0f} |")
    for code in ("import streamtable", "from streamtable import StreamTable", "from streamtable import monitor"):
        print(f"| `{code}` | {best(code) - bare:.0f} |")
    for package in ("wandb", "weave", "mlflow", "langfuse", "polars", "pandas"):
        if has(package):
            print(f"| `import {package}` | {best(f'import {package}') - bare:,.0f} |", flush=True)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        os.environ.update(HOME=folder, NETRC=f"{folder}/netrc", STREAMTABLE_SPOOL=f"{folder}/spool", WANDB_SILENT="true")
        os.environ.pop("WANDB_BASE_URL", None)
        with streamtable.serve(Path(folder) / "data", port=0, entity="me", quiet=True):
            calls(count)
            frames(10_000)
            many(count * 50)
        imports()


if __name__ == "__main__":
    main()
