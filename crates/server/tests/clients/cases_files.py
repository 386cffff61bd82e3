"""Cases of files, media, alerts, resumed runs and offline runs."""
import base64
import functools
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

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

def query(sql):
    base = wandb.Api().settings["base_url"]
    token = base64.b64encode(f"api:{os.environ['WANDB_API_KEY']}".encode()).decode()
    headers = {"content-type": "application/json", "authorization": f"Basic {token}"}
    body = json.dumps({"sql": sql, "format": "json", "entity": entity, "project": project}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{base}/api/query", body, headers)) as answer:
        return json.load(answer)


def alert():
    run = start("alert")
    run.alert("title", "text", level="WARN")
    run.log({"i": 1})
    run.finish()
    assert get("alert").state == "finished"
    # The transition is recorded first, and becomes a row soon after.
    while not query("select table_name from information_schema.tables where table_name = '_monitors'"):
        time.sleep(0.1)
    return query("""select monitor, "group", "to", severity, message from _monitors""")


recorded = {"monitor": "wandb.alert", "group": "alert", "to": "firing", "severity": "warning", "message": "title: text"}
case("alert", [recorded], alert)

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
case("sync of an artifact", "v0", lambda: wandb.Api().artifact(f"{path}/off1-data:latest").version)
case("sync to an id", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off2", "-e", entity, "-p", project, "--id", "renamed"), found_offline("renamed")][1])
case("sync to a project", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off3", "-e", entity, "-p", "elsewhere"), found_offline("off3", "elsewhere")][1])
case("sync to its own project", [[0, 1, 2], 1, ["off"], "finished"], lambda: [offline("off4"), found_offline("off4")][1])
report()
