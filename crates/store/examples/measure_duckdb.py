"""Asks DuckDB what `measure` asks the store, over the same files. Needs `pip install duckdb deltalake`.

    python measure_duckdb.py FOLDER
"""
import sys
import time

import deltalake
import duckdb

table = deltalake.DeltaTable(f"{sys.argv[1]}/tables/bench/measure/t")
files = table.file_uris()
con = duckdb.connect()
con.execute("set threads = 2")
con.execute("set TimeZone = 'UTC'")
con.execute(f"create view t as select *, _time as timestamp from read_parquet({files})")
QUERIES = {
    "count": "select count(*) from t",
    "filtered top 100": "select id, latency, path, score from t where latency > 900 order by score desc limit 100",
    "newest 100": "select id, latency, path from t order by timestamp desc limit 100",
    "group by": "select path, count(*), avg(latency), max(score) from t group by path",
    "time buckets": "select date_trunc('minute', timestamp) as minute, count(*), avg(latency) from t group by minute order by minute",
}
for name, sql in QUERIES.items():
    times = []
    for _ in range(7):
        start = time.perf_counter()
        rows = len(con.execute(sql).fetchall())
        times.append((time.perf_counter() - start) * 1e3)
    print(f"duckdb {name}: first {times[0]:.1f} ms, best of 7 {min(times):.1f} ms, {rows} rows")
