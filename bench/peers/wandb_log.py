"""The present SDK."""
import sys

import wandb
from rows import measure

run = wandb.init(entity="bench", project="speed", id=sys.argv[1], settings=wandb.Settings(console="off"))


def finish():
    run.finish()
    # Its service is a process of its own, whose time counts once it has ended.
    wandb.teardown()


measure(run.log, finish)
