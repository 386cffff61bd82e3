"""The same program with weave's StreamTable and with ours stores the same rows.

`cargo xtask python --clients` installs weave and runs this.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from lab import Server

CLIENTS = os.environ.get("STREAMTABLE_CLIENTS")

PROGRAM = """
import datetime, math, sys
from {module} import StreamTable

table = StreamTable(sys.argv[1], project_name="p", entity_name="me")
for i in range(20):
    table.log({{
        "i": i,
        "float": i + 0.5,
        "whole": 2.0,
        "nan": math.nan,
        "inf": -math.inf,
        "mixed": i if i % 2 else str(i),
        "number": i if i % 2 else i / 4,
        "text": 'naïve 😀 "quoted"\\n',
        "bool": i % 2 == 0,
        "none": None,
        "maybe": None if i % 3 else i,
        "list": [1, 2.5, None],
        "tuple": (1, "x"),
        "dict": {{"a": {{"b": [True]}}, "c": i}},
        "zoned": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "naive": datetime.datetime(2024, 1, 2, 3, 4, 5, 678000),
        "big": 9223372036854775807,
        "a/b.c d": i,
    }})
table.log([{{"i": 20 + i, **{{k: None for k in (
    "float", "whole", "nan", "inf", "mixed", "number", "text", "bool", "none", "maybe", "list",
    "tuple", "dict", "zoned", "naive", "big", "a/b.c d")}}}} for i in range(2)])
table.finish()
"""


@pytest.mark.skipif(CLIENTS is None, reason="cargo xtask python --clients installs weave")
@pytest.mark.parametrize("version", ["weave-0.24"])
def test_the_same_rows(server: Server, name: str, tmp_path: Path, version: str) -> None:
    assert CLIENTS is not None
    left: list[tuple[dict[str, str], list[dict[str, Any]]]] = []
    clients = [(Path(CLIENTS) / version / "bin/python", "weave.monitoring"), (Path(sys.executable), "streamtable.monitoring")]
    for number, (python, module) in enumerate(clients):
        table = f"{name}{number}"
        script = tmp_path / f"program{number}.py"
        script.write_text(PROGRAM.format(module=module))
        # The key from the environment: weave refuses to have it in two places.
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "TZ": "America/New_York",
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": server.key,
            "NO_PROXY": "127.0.0.1",
        }
        ended = subprocess.run(
            [python, script, table.split("/")[2]],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=150,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        rows = server.rows(table)
        for row in rows:
            del row["_writer"], row["timestamp"]
        left.append((server.columns(table), rows))
    theirs, ours = left
    assert len(ours[1]) == 22
    assert list(ours[0]) == list(theirs[0])
    assert ours[0] == theirs[0]
    # As texts, so that 2.0 is not 2.
    assert [repr(row) for row in ours[1]] == [repr(row) for row in theirs[1]]
