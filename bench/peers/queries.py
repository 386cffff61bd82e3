"""Runs the same queries as the bench in DuckDB and Polars, on the same files; prints the best times.

    python queries.py FOLDER QUERIES
"""
import json
import sys
import time

import deltalake
import duckdb
import polars as pl

TIMES = 7
folder, queries = sys.argv[1], json.loads(sys.argv[2])
files = deltalake.DeltaTable(folder).file_uris()


def best(ask):
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        ask()
        times.append(time.perf_counter() - start)
    return min(times)


con = duckdb.connect()
con.execute("set TimeZone = 'UTC'")
con.execute(f"create view t as select *, _time as timestamp from read_parquet({files})")
found = {"duckdb": {}, "polars": {}}
for name, sql in queries:
    found["duckdb"][name] = best(lambda: con.sql(sql).to_arrow_table())

t = pl.scan_parquet(files)
lazy = {
    "count": t.select(pl.len()),
    "filtered top 100": t.filter(pl.col("loss") > 0.9).select("step", "loss", "prompt", "accuracy")
    .sort(["accuracy", "step"], descending=[True, False]).head(100),
    "newest 100": t.select("_time", "step", "loss", "prompt").sort("_time", descending=True).head(100),
    "group by": t.group_by("run").agg(pl.len().alias("n"), pl.col("loss").mean(), pl.col("accuracy").max().alias("best")),
    "group by many": t.group_by("host").agg(pl.len().alias("n"), pl.col("tokens").mean()),
    "time buckets": t.group_by(pl.col("_time").dt.truncate("1s").alias("second"))
    .agg(pl.len().alias("n"), pl.col("loss").mean()).sort("second"),
    "text search": t.filter(pl.col("prompt").str.contains("of session 0000007", literal=True)).select(pl.len()),
}
for name, question in lazy.items():
    found["polars"][name] = best(question.collect)
print(json.dumps(found))
