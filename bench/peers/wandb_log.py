"""The current wandb SDK."""
import sys

import wandb
from rows import measure

run = wandb.init(entity="bench", project="speed", id=sys.argv[1], settings=wandb.Settings(console="off"))


def finish():
    run.finish()
    # The CPU time of its service process is counted once that process has exited.
    wandb.teardown()


measure(run.log, finish)
