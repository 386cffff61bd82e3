"""Logs every kind of data that the current SDK supports; with `resume`, continues the run."""
import sys

import numpy as np
import wandb

entity, project, run_id, mode = sys.argv[1:5]
image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
run = wandb.init(
    entity=entity,
    project=project,
    id=run_id,
    resume="must" if mode == "resume" else None,
    config={"lr": 0.1, "layers": [1, 2]},
    tags=["one", "two"],
    group="g",
    settings=wandb.Settings(x_file_stream_no_gzip=False, x_disable_stats=False),
)
if mode == "resume":
    assert run.resumed and run.starting_step == 5, (run.resumed, run.starting_step)
    run.log({"loss": 0.0625})
    run.finish()
    sys.exit(0)

for i in range(4):
    run.log({"loss": 1 / 2**i, "nan": float("nan"), "nested": {"a": i}, "text": f"row {i}"})
run.log(
    {
        "image": wandb.Image(image, caption="a picture"),
        "html": wandb.Html("<p>hello</p>"),
        "table": wandb.Table(columns=["a", "b"], data=[[1, "x"], [2, "y"]]),
        "histogram": wandb.Histogram([1, 2, 3, 3]),
    }
)
print("a line of output")
artifact = wandb.Artifact("data", type="dataset", metadata={"k": 1})
with artifact.new_file("a.txt") as file:
    file.write("content of a")
with artifact.new_file("sub/empty.txt") as file:
    pass
run.log_artifact(artifact, aliases=["best"])
artifact.wait()
run.finish()
