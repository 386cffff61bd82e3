"""Reads the folder of a table in place with delta-rs, DuckDB and Polars; prints the types and rows that each finds.

    read_folder.py FOLDER COLUMN...
"""
import json
import sys

import deltalake
import duckdb
import polars as pl

folder, columns = sys.argv[1], sys.argv[2:]
table = deltalake.DeltaTable(folder)
files = table.file_uris()


def delta_rs():
    rows = table.to_pyarrow_table(columns=["_pos", *columns]).sort_by("_pos").select(columns).to_pylist()
    fields = {field.name: field.type for field in table.schema().fields}
    return {name: json.loads(fields[name].to_json()) for name in columns}, rows


def of_duckdb():
    found = duckdb.connect().sql(f"select {', '.join(columns)} from read_parquet({files}, union_by_name = true) order by _pos")
    types = dict(zip(found.columns, map(str, found.types)))
    return types, [dict(zip(columns, row)) for row in found.fetchall()]


def of_polars():
    found = pl.scan_delta(folder).sort("_pos").select(columns).collect()
    return {name: str(dtype) for name, dtype in found.schema.items()}, found.to_dicts()


found = {"delta-rs": delta_rs(), "duckdb": of_duckdb(), "polars": of_polars()}
print(json.dumps({name: {"types": types, "rows": rows} for name, (types, rows) in found.items()}))
