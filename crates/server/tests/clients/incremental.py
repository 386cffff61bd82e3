"""Logs an incremental table."""
import sys

import wandb

entity, project, run_id = sys.argv[1:4]
run = wandb.init(entity=entity, project=project, id=run_id)
table = wandb.Table(columns=["a"], log_mode="INCREMENTAL")
for i in range(3):
    table.add_data(i)
    run.log({"table": table})
run.finish()
