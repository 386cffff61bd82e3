"""Logs an artifact with two files: artifact_again.py ENTITY PROJECT"""

import sys

import wandb

entity, project = sys.argv[1:]
with wandb.init(entity=entity, project=project) as run:
    artifact = wandb.Artifact("data", "dataset")
    for name, content in [("a.txt", "hello"), ("b.txt", "world")]:
        with artifact.new_file(name) as file:
            file.write(content)
    run.log_artifact(artifact).wait()
