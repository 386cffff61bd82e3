"""Reads a run with the public API and prints the result as one line of JSON."""
import json
import os
import sys
import tempfile

import wandb

entity, project, run_id = sys.argv[1:4]
api = wandb.Api()
run = api.run(f"{entity}/{project}/{run_id}")
found = {
    "state": run.state,
    "config": {k: v for k, v in run.config.items() if k != "_wandb"},
    "tags": sorted(run.tags),
    "group": run.group,
    "loss": [row["loss"] for row in run.scan_history(keys=["loss"])],
    "scanned": sum(1 for _ in run.scan_history(page_size=2)),
    "sampled": len(run.history(samples=3, pandas=False)),
    "files": sorted(f.name for f in run.files()),
    "runs": sorted(r.id for r in api.runs(f"{entity}/{project}")),
    "filtered": [r.id for r in api.runs(f"{entity}/{project}", filters={"group": "nobody"})],
    "projects": [p.name for p in api.projects(entity)],
    "summary_loss": run.summary.get("loss"),
    "viewer": api.viewer.username,
}
with tempfile.TemporaryDirectory() as root:
    media = [f for f in run.files() if f.name.startswith("media/images/")]
    found["images"] = [os.path.getsize(f.download(root=root).name) for f in media]
    artifacts = list(run.logged_artifacts())
    found["artifacts"] = sorted(a.name for a in artifacts)
    data = api.artifact(f"{entity}/{project}/data:best")
    found["version"], found["aliases"] = data.version, sorted(data.aliases)
    found["metadata"] = data.metadata
    folder = data.download(root=os.path.join(root, "data"))
    found["content"] = open(os.path.join(folder, "a.txt")).read()
    found["empty"] = os.path.getsize(os.path.join(folder, "sub", "empty.txt"))
    created = data.logged_by()
    found["made_by"] = created.id if created else None
print("FOUND " + json.dumps(found))
