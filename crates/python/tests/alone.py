"""Checks that the package works in an environment without any other package."""

import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from lab import Server  # noqa: E402

import streamtable  # noqa: E402

installed = {path.name.split("-")[0] for path in Path(streamtable.__file__).parents[1].iterdir()}
assert not installed & {"numpy", "pandas", "pyarrow", "PIL", "polars"}, installed

with tempfile.TemporaryDirectory() as folder, Server(Path(folder)) as server:
    table = streamtable.StreamTable(
        "me/p/alone", base_url=server.url, api_key=server.key, spool_dir=folder, quiet=True
    )
    with table:
        table.log({"path": "/", "ms": 7})
        table.log([{"path": "/a", "ms": 1.5}, {"path": "/b", "ms": None}])
    rows = table.rows()
    assert [(row["path"], row["ms"]) for row in rows] == [("/", 7.0), ("/a", 1.5), ("/b", None)]
    html = table._repr_mimebundle_()["text/html"]
    assert "/b" in html, html
print(f"streamtable {streamtable.__version__} works alone")
