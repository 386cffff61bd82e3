"""Reads a table in a bucket in place with delta-rs, DuckDB and Polars; prints what each counts.

    read_bucket.py URL COLUMN     with AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, … in the environment
"""
import json
import os
import pathlib
import platform
import sys

import deltalake
import duckdb
import duckdb_ext
import polars as pl

url, column = sys.argv[1:]
endpoint = os.environ["AWS_ENDPOINT_URL"]


def delta_rs():
    values = deltalake.DeltaTable(url).to_pyarrow_table(columns=[column])[column].to_pylist()
    return len(values), len(set(values)), sum(values)


def of_duckdb():
    db = duckdb.connect(config={"allow_unsigned_extensions": True})
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    folder = pathlib.Path(duckdb_ext.__path__[0]) / "extensions" / f"v{duckdb.__version__}" / f"linux_{machine}"
    for name in ["httpfs", "delta"]:
        db.sql(f"load '{folder / name}.duckdb_extension'")
    db.sql(f"""create secret (type s3, key_id '{os.environ["AWS_ACCESS_KEY_ID"]}', url_style path, use_ssl false,
        secret '{os.environ["AWS_SECRET_ACCESS_KEY"]}', region 'us-east-1', endpoint '{endpoint.split("//")[1]}')""")
    values = f'select count(*), count(distinct "{column}"), sum("{column}") from delta_scan(\'{url}\')'
    return tuple(map(int, db.sql(values).fetchone()))


def of_polars():
    values = pl.col(column)
    counts = [values.count().alias("rows"), values.n_unique().alias("different"), values.sum().alias("sum")]
    return pl.scan_delta(url).select(counts).collect().row(0)


print(json.dumps({"delta-rs": delta_rs(), "duckdb": of_duckdb(), "polars": of_polars()}))
