"""Runs cases of the public API, and compares each result with the expected one.

Arguments of the programs that import this: entity, project. They print the number of cases, and the
cases with another result, as one line of JSON. An exception is a result, too.
"""
import json
import os
import signal
import sys

import wandb

entity, project = sys.argv[1:3]
os.environ["WANDB_ENTITY"] = entity
path = f"{entity}/{project}"
# Seconds until a case has failed.
TIMEOUT = 30
count = 0
differences = {}


def time_out(*_):
    raise TimeoutError(f"took more than {TIMEOUT} s")


signal.signal(signal.SIGALRM, time_out)


def case(name, expected, action):
    """Runs an action and compares its result with the expected one."""
    global count
    count += 1
    signal.alarm(TIMEOUT)
    try:
        found = action()
    except Exception as error:
        text = " ".join(str(error).split())
        found = f"{type(error).__name__}: {text}"[:400]
    finally:
        signal.alarm(0)
    if found != expected:
        differences[name] = {"expected": repr(expected), "found": repr(found)}


def failure(action):
    """Returns the message of the exception that an action raises."""
    try:
        action()
    except Exception as error:
        return str(error)
    return ""


def start(run_id, **options):
    return wandb.init(entity=entity, project=project, id=run_id, **options)


def get(name):
    """Reads a run without anything that another reader has kept."""
    return wandb.Api().run(f"{path}/{name}")


def report():
    print("FOUND " + json.dumps({"count": count, "differences": differences}))
