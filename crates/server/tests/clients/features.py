"""Uses what the public API offers beside logging, and prints the results as one line of JSON.

Arguments: entity, project. A feature that the server refuses is reported with its message.
"""
import json
import os
import pathlib
import subprocess
import sys

import wandb

entity, project = sys.argv[1:3]
os.environ["WANDB_ENTITY"] = entity
found = {}


def attempt(name, action):
    try:
        found[name] = action()
    except Exception as error:
        text = " ".join(str(error).split())
        found[name] = f"{type(error).__name__}: {text}"[:400]


def start(name, **options):
    return wandb.init(entity=entity, project=project, id=name, name=f"name of {name}", **options)


def steps(name):
    run = wandb.Api().run(f"{entity}/{project}/{name}")
    return [row["i"] for row in run.scan_history(keys=["i"])]


pathlib.Path("ref.txt").write_text("referenced")
run = start("f1", tags=["one"])
run.log({"i": 0})
pathlib.Path("saved.txt").write_text("saved")
run.save("saved.txt")
versions = []
for i in range(3):
    artifact = wandb.Artifact("data", type="dataset")
    with artifact.new_file("x.txt") as file:
        file.write(f"content {i}")
    artifact.add_reference(pathlib.Path("ref.txt").resolve().as_uri())
    run.log_artifact(artifact, aliases=["prod"] if i == 1 else [])
    artifact.wait()
run.finish()
used = start("f2")
used.use_artifact("data:latest")
used.log({"i": 0})
used.finish()

path = f"{entity}/{project}"
api = wandb.Api()
attempt("aliases", lambda: sorted(api.artifact(f"{path}/data:v2").aliases))
attempt("logged", lambda: sorted(a.name for a in api.run(f"{path}/f1").logged_artifacts() if a.type == "dataset"))
attempt("used", lambda: sorted(a.name for a in api.run(f"{path}/f2").used_artifacts()))
attempt("versions", lambda: sorted(a.name for a in api.artifacts("dataset", f"{path}/data")))
attempt("download", lambda: sorted(os.listdir(api.artifact(f"{path}/data:v2").download(root="down"))))
attempt("regex", lambda: [r.id for r in api.runs(path, filters={"display_name": {"$regex": "f1$"}})])
attempt("reports", lambda: len(list(api.reports(path))))
attempt("user", lambda: api.user(entity) is not None)


def delete_file():
    api.run(f"{path}/f1").file("saved.txt").delete()
    return [f.name for f in wandb.Api().run(f"{path}/f1").files() if f.name == "saved.txt"]


def delete_artifact(version):
    api.artifact(f"{path}/data:{version}").delete()
    return sorted(a.name for a in wandb.Api().artifacts("dataset", f"{path}/data"))


def delete_run():
    api.run(f"{path}/f2").delete()


def link():
    run = start("f3")
    try:
        run.link_artifact(api.artifact(f"{path}/data:v1"), f"{path}/portfolio")
    finally:
        run.finish()


def fork():
    start("f4", fork_from="f1?_step=0").finish()


def rewind():
    wandb.init(entity=entity, project=project, resume_from="f1?_step=0").finish()


def sweep():
    return wandb.sweep({"method": "grid", "parameters": {"x": {"values": [1]}}}, project=project, entity=entity)


attempt("delete file", delete_file)
attempt("delete aliased artifact", lambda: delete_artifact("v1"))
attempt("delete latest artifact", lambda: delete_artifact("v2"))
attempt("latest", lambda: api.artifact(f"{path}/data:latest").version)
attempt("delete run", delete_run)
attempt("link", link)
attempt("fork", fork)
attempt("rewind", rewind)
attempt("sweep", sweep)


def again():
    """Starts a run again under its id, without `resume`."""
    for value in (0, 100):
        run = start("again")
        for i in range(3):
            run.log({"i": value + i})
        run.finish()
    return steps("again")


def offline():
    """Uploads the same offline run twice."""
    run = start("off", mode="offline")
    for i in range(3):
        run.log({"i": i})
    folder = str(pathlib.Path(run.dir).parent)
    run.finish()
    for _ in range(2):
        command = [sys.executable, "-m", "wandb", "sync", "--include-synced", "-e", entity, "-p", project, folder]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)
    return steps("off")


attempt("again", again)
attempt("offline twice", offline)
print("FOUND " + json.dumps(found))
