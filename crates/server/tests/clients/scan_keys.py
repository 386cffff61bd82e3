"""Reads a large run by keys, and prints what it found and how long it took as one line of JSON.

Arguments: entity, project, run, number of rows.
"""
import json
import sys
import time

import wandb

entity, project, name, count = sys.argv[1:4] + [int(sys.argv[4])]
run = wandb.Api(timeout=120).run(f"{entity}/{project}/{name}")


def scan(**options):
    start = time.monotonic()
    rows = [row["i"] for row in run.scan_history(**options)]
    return rows, round(time.monotonic() - start, 3)


found = {}
for title, bounds in {"start": (0, 3000), "end": (count - 3000, count), "part": (0, 100_000)}.items():
    options = {"keys": ["i"], "min_step": bounds[0], "max_step": bounds[1]}
    rows, seconds = scan(**options)
    found[title] = {"exact": rows == list(range(*bounds)), "rows": len(rows), "seconds": seconds}
rows, seconds = scan(min_step=0, max_step=3000)
found["all columns"] = {"exact": rows == list(range(3000)), "rows": len(rows), "seconds": seconds}
print("FOUND " + json.dumps(found))
