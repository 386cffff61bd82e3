"""Cases of artifacts."""
import os
import pathlib

import wandb
from cases import case, failure, get, path, report, start

os.makedirs("out/deep")
for name in ("out/two.txt", "out/deep/three.txt"):
    pathlib.Path(name).write_text(f"text of {name}")
run = start("artifacts", job_type="make")
for i in range(3):
    artifact = wandb.Artifact("data", type="dataset", description=f"number {i}", metadata={"i": i, "deep": {"x": [1, 2]}})
    artifact.add_file("out/two.txt", name="in/two.txt")
    artifact.add_dir("out", name="dir")
    with artifact.new_file("number.txt") as file:
        file.write(str(i))
    artifact.add(wandb.Table(columns=["a", "b"], data=[[i, "x"], [2, "y"]]), "table")
    run.log_artifact(artifact, aliases=["first"] if i == 0 else ["best"])
    artifact.wait()
remote = wandb.Artifact("remote", type="model")
remote.add_reference("https://example.com/model.bin", name="remote.bin", checksum=False)
run.log_artifact(remote).wait()
for i in range(4):
    other = wandb.Artifact(f"other{i}", type="model")
    with other.new_file("m.txt") as file:
        file.write(str(i))
    run.log_artifact(other).wait()
run.log({"i": 1})
run.finish()
run = start("user", job_type="use")
used = run.use_artifact("data:first")
case("use", ["v0", "0"], lambda: [used.version, used.get_entry("number.txt").download and open(used.get_entry("number.txt").download(root="used")).read()])
run.log({"i": 1})
run.finish()


def artifact(name="data:latest"):
    return wandb.Api().artifact(f"{path}/{name}")


case("versions", ["v0", "v1", "v2"], lambda: [artifact(f"data:{v}").version for v in ("first", "v1", "best")])
case("aliases", [["first"], [], ["best", "latest"]], lambda: [sorted(artifact(f"data:v{i}").aliases) for i in range(3)])
case("artifact metadata", [{"i": 1, "deep": {"x": [1, 2]}}, "number 1"], lambda: [artifact("data:v1").metadata, artifact("data:v1").description])
case("artifact state", ["COMMITTED", "dataset", 5], lambda: [artifact().state, artifact().type, len(artifact().manifest.entries)])
case("artifact path", "2", lambda: open(artifact().get_entry("number.txt").download(root="path")).read())
case("artifact path of old", "text of out/two.txt", lambda: open(artifact().get_path("in/two.txt").download(root="path")).read())
case("artifact reference", "https://example.com/model.bin", lambda: artifact("remote:v0").get_entry("remote.bin").ref_target())
case("artifact table", [[2, "x"], [2, "y"]], lambda: [list(row) for row in artifact().get("table").data])
case("artifact file", "2", lambda: open(artifact().get_entry("number.txt").download(root="files")).read())
case("artifact files", ["dir/deep/three.txt", "dir/two.txt", "in/two.txt", "number.txt", "table.table.json"], lambda: sorted(f.name for f in artifact().files(per_page=2)))
case("artifact size", True, lambda: artifact().size > 40)
case("artifact digest", True, lambda: artifact("data:v1").digest != artifact("data:v2").digest)


def checkout():
    kept = wandb.Api().artifact(f"{path}/other3:v0")
    os.makedirs("check", exist_ok=True)
    pathlib.Path("check/extra.txt").write_text("extra")
    kept.checkout("check")
    return sorted(os.listdir("check"))


def verify():
    kept = wandb.Api().artifact(f"{path}/other3:v0")
    kept.verify(kept.download(root="verified"))
    pathlib.Path("verified/m.txt").write_text("changed")
    return failure(lambda: kept.verify("verified")) != ""


case("checkout", ["m.txt"], checkout)
case("verify", True, verify)
case("download of a prefix", ["deep", "two.txt"], lambda: sorted(os.listdir(pathlib.Path(artifact().download(root="prefix", path_prefix="dir"), "dir"))))
case("logged by", "artifacts", lambda: artifact().logged_by().id)
case("used by", ["user"], lambda: [r.id for r in artifact("data:v0").used_by()])
case("not used", [], lambda: [r.id for r in artifact("data:v2").used_by()])
case("logged artifacts", 8, lambda: len([a for a in get("artifacts").logged_artifacts(per_page=2) if not a.type.startswith("wandb") and a.type not in ("job", "run_table", "code")]))
case("used artifacts", ["data:v0"], lambda: [a.name for a in get("user").used_artifacts(per_page=1)])
case("artifact types", True, lambda: {"dataset", "model"} <= {t.name for t in wandb.Api().artifact_types(path)})
case("collections", ["other0", "other1", "other2", "other3", "remote"], lambda: sorted(c.name for c in wandb.Api().artifact_collections(path, "model", per_page=2)))
case("collection", ["data", "dataset"], lambda: [wandb.Api().artifact_collection("dataset", f"{path}/data").name, wandb.Api().artifact_collection("dataset", f"{path}/data").type])
case("artifacts", ["data:v2", "data:v1", "data:v0"], lambda: [a.name for a in wandb.Api().artifacts("dataset", f"{path}/data", per_page=2)])
case("number of artifacts", 3, lambda: len(wandb.Api().artifacts("dataset", f"{path}/data")))
case("artifact exists", [True, False, False], lambda: [wandb.Api().artifact_exists(f"{path}/{name}") for name in ("data:v0", "data:v9", "none:v0")])
case("collection exists", [True, False], lambda: [wandb.Api().artifact_collection_exists(f"{path}/{name}", "dataset") for name in ("data", "none")])
case("unknown artifact", True, lambda: "none" in failure(lambda: artifact("none:v0")))
case("unknown version", True, lambda: "v9" in failure(lambda: artifact("data:v9")) or "not found" in failure(lambda: artifact("data:v9")))


def edit_artifact():
    kept = artifact("data:v1")
    kept.aliases.append("prod")
    kept.aliases.append("best")
    kept.metadata["new"] = True
    kept.metadata["i"] = 10
    kept.description = "edited"
    kept.save()
    kept = artifact("data:v1")
    return [sorted(kept.aliases), kept.metadata, kept.description, sorted(artifact("data:v2").aliases)]


case("edit an artifact", [["best", "prod"], {"i": 10, "new": True, "deep": {"x": [1, 2]}}, "edited", ["latest"]], edit_artifact)


def remove_alias():
    kept = artifact("data:prod")
    kept.aliases.remove("prod")
    kept.save()
    return [sorted(artifact("data:v1").aliases), failure(lambda: artifact("data:prod")) != ""]


case("remove an alias", [["best"], True], remove_alias)


def same_content():
    run = start("again")
    again = wandb.Artifact("other0", type="model")
    with again.new_file("m.txt") as file:
        file.write("0")
    run.log_artifact(again).wait()
    run.finish()
    return [again.version, len(wandb.Api().artifacts("model", f"{path}/other0"))]


case("same content", ["v0", 1], same_content)


def draft():
    run = start("draft")
    new = run.use_artifact("other1:latest").new_draft()
    with new.new_file("more.txt") as file:
        file.write("more")
    new.remove("m.txt")
    run.log_artifact(new).wait()
    run.finish()
    return [new.version, sorted(artifact("other1:latest").manifest.entries)]


case("draft", ["v1", ["more.txt"]], draft)


def model():
    run = start("model")
    pathlib.Path("w.txt").write_text("weights")
    run.log_model("w.txt", name="net", aliases=["good"])
    run.finish()
    run = start("model2")
    found = pathlib.Path(run.use_model("net:good")).read_text()
    run.finish()
    return found


case("model", "weights", model)


def code():
    os.makedirs("source", exist_ok=True)
    pathlib.Path("source/train.py").write_text("print(1)")
    run = start("code")
    run.log_code("source", name="my-code")
    run.log({"i": 1})
    run.finish()
    return [[a.name, a.type, sorted(a.manifest.entries)] for a in get("code").logged_artifacts() if a.type == "code"]


case("code", [["my-code:v0", "code", ["train.py"]]], code)

report()
