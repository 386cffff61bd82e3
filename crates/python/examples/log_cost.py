"""Measures the duration of each call of `log` with a dict of ten columns.

    python log_cost.py ENTITY/PROJECT [ROWS]

Compares it with weave's StreamTable and `wandb.Run.log` if those packages are installed.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

ROW: dict[str, Any] = {
    "step": 1,
    "loss": 0.123456,
    "accuracy": 0.98,
    "name": "train",
    "epoch": 3,
    "rate": 1e-4,
    "ok": True,
    "note": None,
    "path": "/a/b/c",
    "ms": 17.25,
}


def measure(what: str, log: Callable[[dict[str, Any]], object], rows: int) -> None:
    row = dict(ROW)
    log(row)
    took = []
    for step in range(rows):
        row["step"] = step
        start = time.perf_counter_ns()
        log(row)
        took.append(time.perf_counter_ns() - start)
    took.sort()
    p50, p90, p99 = (took[len(took) * part // 100] / 1000 for part in (50, 90, 99))
    print(f"{what:<28} p50 {p50:8.2f} µs   p90 {p90:8.2f} µs   p99 {p99:8.2f} µs")


def main() -> None:
    home = sys.argv[1]
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    name = f"cost-{uuid.uuid4().hex[:8]}"

    from streamtable import StreamTable

    for what, spool_dir in [("ours, rows on disk", None), ("ours, rows in memory", False)]:
        table = StreamTable(
            f"{home}/{name}-{spool_dir is None}", quiet=True, when_full="wait", spool_dir=spool_dir
        )
        measure(what, table.log, rows)
        table.finish()

    try:
        from weave.monitoring import StreamTable as Theirs
    except ImportError:
        print("weave is not installed")
    else:
        theirs = Theirs(f"{home}/{name}-weave")
        measure("weave.StreamTable", theirs.log, rows)
        theirs.finish()

    try:
        import wandb
    except ImportError:
        print("wandb is not installed")
    else:
        entity, project = home.split("/")
        run = wandb.init(entity=entity, project=project, settings=wandb.Settings(silent=True))
        measure("wandb.Run.log", run.log, rows)
        run.finish()


if __name__ == "__main__":
    main()
