"""Cases of files, media, artifacts, resumed runs and offline runs."""
import functools
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import wandb
from cases import case, entity, failure, get, path, project, report, start

# Files.
os.makedirs("out/deep", exist_ok=True)
for name in ("one.txt", "out/two.txt", "out/deep/three.txt", "größe.txt", "a b.txt", "empty.txt"):
    pathlib.Path(name).write_text("" if name == "empty.txt" else f"text of {name}")
run = start("files")
run.log({"i": 1})
run.save("one.txt")
run.save("out/*.txt")
run.save("out/**/*.txt", base_path=".")
run.save("größe.txt")
run.save("a b.txt")
run.save("empty.txt", policy="now")
run.finish()


def download(name, run="files"):
    file = get(run).file(name).download(root="down", replace=True)
    file.close()
    return pathlib.Path("down", name).read_text()


for name in ("one.txt", "out/two.txt", "out/deep/three.txt", "größe.txt", "a b.txt", "empty.txt"):
    case(f"file {name}", pathlib.Path(name).read_text(), functools.partial(download, name))
case("file size", [15, True], lambda: [get("files").file("one.txt").size, get("files").file("one.txt").mimetype.startswith("text/plain")])
case("files by name", ["one.txt"], lambda: [f.name for f in get("files").files(names=["one.txt"])])
case("pages of files", True, lambda: {"one.txt", "out/two.txt", "config.yaml"} <= {f.name for f in get("files").files(per_page=2)})
case("number of files", True, lambda: len(get("files").files()) == len(list(get("files").files())))
start("uploads").finish()
case("upload file", "text of one.txt", lambda: [get("uploads").upload_file("one.txt"), download("one.txt", "uploads")][1])
case("upload file in a folder", "text of out/deep/three.txt", lambda: [get("uploads").upload_file("out/deep/three.txt", root="."), download("out/deep/three.txt", "uploads")][1])
case("upload file again", "changed", lambda: [pathlib.Path("one.txt").write_text("changed"), get("uploads").upload_file("one.txt"), download("one.txt", "uploads")][2])
case("restore", "text of out/two.txt", lambda: wandb.restore("out/two.txt", run_path=f"{path}/files", replace=True, root="restored").read())
case("restore of no file", True, lambda: failure(lambda: wandb.restore("none.txt", run_path=f"{path}/files", root="restored")) != "")
case("file of no name", True, lambda: failure(lambda: get("files").file("none.txt").download(root="down")) != "")

# Media.
run = start("media")
pixels = np.zeros((4, 6, 3), dtype=np.uint8)
pixels[1, 2] = [255, 0, 0]
pathlib.Path("m.pdb").write_text("HEADER    TEST\nEND\n")
pathlib.Path("v.gif").write_bytes(b"GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;")
media = {
    "image": lambda: wandb.Image(pixels, caption="a caption"),
    "images": lambda: [wandb.Image(pixels), wandb.Image(pixels)],
    "histogram": lambda: wandb.Histogram([1, 2, 2, 3]),
    "html": lambda: wandb.Html("<b>text</b>", inject=False),
    "video": lambda: wandb.Video("v.gif", format="gif"),
    "points": lambda: wandb.Object3D(np.array([[0, 0, 0], [1, 1, 1]])),
    "molecule": lambda: wandb.Molecule("m.pdb"),
    "table": lambda: wandb.Table(columns=["n", "text", "image"], data=[[1, "x", wandb.Image(pixels)], [None, "ü", None]]),
    "line": lambda: wandb.plot.line(wandb.Table(columns=["x", "y"], data=[[0, 1], [1, 2]]), "x", "y", title="a line"),
    "boxes": lambda: wandb.Image(pixels, boxes={"p": {"box_data": [{"position": {"minX": 0, "maxX": 1, "minY": 0, "maxY": 1}, "class_id": 1}], "class_labels": {1: "one"}}}),
}
logged = {}
for name, make in media.items():
    try:
        logged[name] = make()
    except Exception as error:
        case(f"make {name}", "made", lambda error=error: repr(error))
run.log(logged)
run.finish()


def cell(name):
    return next(iter(get("media").scan_history()))[name]


for name, kind in {
    "image": "image-file",
    "images": "images/separated",
    "histogram": "histogram",
    "html": "html-file",
    "video": "video-file",
    "points": "object3D-file",
    "molecule": "molecule-file",
    "table": "table-file",
    "boxes": "image-file",
}.items():
    if name in logged:
        case(f"media {name}", kind, lambda name=name: cell(name)["_type"])
        case(f"summary of media {name}", kind, lambda name=name: get("media").summary[name]["_type"])


def content(name):
    file = get("media").file(cell(name)["path"]).download(root="down", replace=True)
    file.close()
    return pathlib.Path("down", cell(name)["path"])


case("image file", True, lambda: content("image").read_bytes().startswith(b"\x89PNG"))
case("image size", [6, 4, "png"], lambda: [cell("image")[key] for key in ("width", "height", "format")])
case("image caption", "a caption", lambda: cell("image").get("caption"))
case("images", [2, 6, 4], lambda: [cell("images")[key] for key in ("count", "width", "height")])
case("histogram", True, lambda: sum(cell("histogram")["values"]) == 4 and len(cell("histogram")["bins"]) > 3)
case("html file", "<b>text</b>", lambda: content("html").read_text())
case("video file", b"GIF89a", lambda: content("video").read_bytes()[:6])
case("points file", [[0, 0, 0], [1, 1, 1]], lambda: json.loads(content("points").read_text()))
case("molecule file", "HEADER    TEST\nEND\n", lambda: content("molecule").read_text())
case("table file", [[1, "x"], [None, "ü"]], lambda: [row[:2] for row in json.loads(content("table").read_text())["data"]])
case("boxes", "boxes2D", lambda: cell("boxes")["boxes"]["p"]["_type"])
case("plot table", [[0, 1], [1, 2]], lambda: [list(row) for row in wandb.Api().artifact(f"{path}/run-media-line_table:latest").get("line_table").data])
case("table of an artifact", [[1, "x"], [None, "ü"]], lambda: [row[:2] for row in wandb.Api().artifact(f"{path}/run-media-table:latest").get("table").data])

# Artifacts.
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


def alert():
    run = start("alert")
    run.alert("title", "text", level="WARN")
    run.log({"i": 1})
    run.finish()
    return get("alert").state


case("alert", "finished", alert)

# Resuming.


def resumed(run_id, mode, first=0):
    run = start(run_id, resume=mode)
    run.config.update({f"k{first}": 1})
    for i in range(first, first + 2):
        run.log({"i": i})
    run.finish()
    return run.resumed


def resume(mode):
    found = [resumed(f"resume-{mode}", None), resumed(f"resume-{mode}", mode, 2)]
    config = sorted(key for key in get(f"resume-{mode}").config if key != "_wandb")
    return found, config, [[row["_step"], row["i"]] for row in get(f"resume-{mode}").scan_history()]


continued = ([False, True], ["k0", "k2"], [[0, 0], [1, 1], [2, 2], [3, 3]])
case("resume must", continued, lambda: resume("must"))
case("resume allow", continued, lambda: resume("allow"))
case("resume allow of a new run", False, lambda: resumed("allow-new", "allow"))
case("resume must of a new run", True, lambda: "must-new" in failure(lambda: resumed("must-new", "must")))
case("resume never of a run", True, lambda: "resume-must" in failure(lambda: resumed("resume-must", "never")))
case("resume never of a new run", False, lambda: resumed("never-new", "never"))
case("resume auto", False, lambda: resumed("auto", "auto"))
case("summary after resume", 3, lambda: get("resume-must").summary["i"])

# Offline runs.


def offline(name, *options):
    run = start(name, mode="offline", config={"lr": 1}, tags=["off"])
    for i in range(3):
        run.log({"i": i})
    artifact = wandb.Artifact(f"{name}-data", type="dataset")
    with artifact.new_file("x.txt") as file:
        file.write(name)
    run.log_artifact(artifact)
    folder = str(pathlib.Path(run.dir).parent)
    run.finish()
    command = [sys.executable, "-m", "wandb", "sync", *options, folder]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=100)


def found_offline(name, project=project):
    run = wandb.Api().run(f"{entity}/{project}/{name}")
    return [[row["i"] for row in run.scan_history()], run.config["lr"], run.tags, run.state]


case("sync", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off1", "-e", entity, "-p", project), found_offline("off1")][1])
case("sync of an artifact", "v0", lambda: artifact("off1-data:latest").version)
case("sync to an id", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off2", "-e", entity, "-p", project, "--id", "renamed"), found_offline("renamed")][1])
case("sync to a project", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off3", "-e", entity, "-p", "elsewhere"), found_offline("off3", "elsewhere")][1])
case("sync to its own project", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off4"), found_offline("off4")][1])
report()
