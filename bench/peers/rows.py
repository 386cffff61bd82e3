"""The rows of `../src/rows.rs`, and the output format of the measurements."""
import json
import resource
import sys
import time

MASK = (1 << 64) - 1


def row(i):
    mix = (((i + 1) & MASK) * 0x9E3779B97F4A7C15 & MASK) >> 20
    return {
        "loss": mix % 1_000_000 / 1e6,
        "accuracy": mix % 997 / 997.0,
        "learning_rate": 1e-3 / (1 + i % 1000),
        "step": i,
        "tokens": mix % 65_536,
        "run": f"run-{mix % 40:04}",
        "host": f"worker-{mix % 4096:04}.local",
        "prompt": f"request {i:09} of session {mix % 1_000_000_007:012}",
        "is_cached": mix % 13 != 0,
        "score": mix % 9 if i % 2 == 0 else f"grade-{mix % 9}",
    }


def measure(log, finish):
    """Calls `log(row)` for each row, then `finish()`, and prints the measurements."""
    count = int(sys.argv[2])
    times, logged, chunk = [], 0.0, 10_000
    start = time.perf_counter()
    for first in range(0, count, chunk):
        rows = [row(i) for i in range(first, min(count, first + chunk))]
        for it in rows:
            before = time.perf_counter_ns()
            log(it)
            times.append(time.perf_counter_ns() - before)
    logged = sum(times) / 1e9
    finish()
    finished = time.perf_counter() - start
    times.sort()
    at = lambda part: times[round((len(times) - 1) * part)] / 1e9
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print()
    print(json.dumps({
        "rows": count, "p50": at(0.5), "p99": at(0.99), "p999": at(0.999),
        "logged": logged, "finished": finished,
        "cpu": own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime,
        "peak_bytes": (own.ru_maxrss + children.ru_maxrss) * 1024,
    }))
