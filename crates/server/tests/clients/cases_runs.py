"""Cases of projects, runs, their filters, histories, values, summaries and edits."""
import functools
import json
import math

import numpy as np
import wandb
from cases import case, entity, failure, get, path, project, report, start

# Runs with different configurations and results.
run = start(
    "a",
    name="alpha",
    group="g1",
    job_type="train",
    tags=["x", "y"],
    notes="first notes",
    config={"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.999]}, "flag": True, "a.b": 1, "big": 2**60 + 1, "nan": math.nan},
)
for i in range(3):
    run.log({"loss": 1 / 2**i, "epoch": i // 2})
run.summary["acc"] = 0.9
run.summary["m"] = {"f1": 0.5}
run.finish()
run = start("b", name="beta", group="g1", job_type="eval", tags=["y"], config={"lr": 0.01})
run.log({"loss": 3})
run.summary["acc"] = 0.5
run.finish(exit_code=1)
run = start("c", name="Gamma ray", config={"lr": 1, "nothing": None})
run.log({"loss": 2})
run.finish()
api = wandb.Api()


def runs(filters=None, **options):
    return [run.id for run in wandb.Api().runs(path, filters=filters, order=options.pop("order", "+created_at"), **options)]


for filters, expected in [
    ({"config.lr": 0.1}, ["a"]),
    ({"config.lr": {"$in": [0.1, 1]}}, ["a", "c"]),
    ({"config.lr": {"$nin": [0.1]}}, ["b", "c"]),
    ({"config.lr": {"$ne": 0.1}}, ["b", "c"]),
    ({"config.lr": {"$gt": 0.01, "$lte": 1}}, ["a", "c"]),
    ({"config.lr": {"$not": {"$gt": 0.05}}}, ["b"]),
    ({"config.flag": {"$exists": True}}, ["a"]),
    ({"config.flag": {"$exists": False}}, ["b", "c"]),
    ({"config.nothing": {"$exists": True}}, ["c"]),
    ({"config.nothing": None}, ["a", "b", "c"]),
    ({"config.flag": True}, ["a"]),
    ({"config.opt.name": "adam"}, ["a"]),
    ({"config.opt.betas": 0.9}, ["a"]),
    ({"config.opt": {"name": "adam", "betas": [0.9, 0.999]}}, ["a"]),
    ({"config.a.b": 1}, ["a"]),
    ({"config.big": 2**60 + 1}, ["a"]),
    ({"config.big": 2**60}, []),
    ({"config.lr.value": {"$lt": 0.05}}, ["b"]),
    ({"summary_metrics.acc": {"$gte": 0.5}}, ["a", "b"]),
    ({"summary.acc": {"$lt": 0.9}}, ["b"]),
    ({"summary_metrics.m.f1": 0.5}, ["a"]),
    ({"summary_metrics.loss": {"$gt": 1}}, ["b", "c"]),
    ({"tags": "y"}, ["a", "b"]),
    ({"tags": {"$in": ["x"]}}, ["a"]),
    ({"tags": {"$nin": ["x"]}}, ["b", "c"]),
    ({"tags": {"$ne": "x"}}, ["b", "c"]),
    ({"tags": {"$all": ["x", "y"]}}, ["a"]),
    ({"state": "failed"}, ["b"]),
    ({"state": {"$in": ["finished", "running"]}}, ["a", "c"]),
    ({"group": "g1"}, ["a", "b"]),
    ({"group": None}, ["c"]),
    ({"group": {"$exists": True}}, ["a", "b"]),
    ({"job_type": "eval"}, ["b"]),
    ({"jobType": "train"}, ["a"]),
    ({"display_name": "Gamma ray"}, ["c"]),
    ({"displayName": {"$regex": "^[ab]"}}, ["a", "b"]),
    ({"display_name": {"$regex": "gamma", "$options": "i"}}, ["c"]),
    ({"name": "a"}, ["a"]),
    ({"name": {"$in": ["a", "c"]}}, ["a", "c"]),
    ({"entity": entity}, ["a", "b", "c"]),
    ({"project": project}, ["a", "b", "c"]),
    ({"entity": "nobody"}, []),
    ({"notes": {"$regex": "first"}}, ["a"]),
    ({"created_at": {"$gt": "2020-01-01T00:00:00"}}, ["a", "b", "c"]),
    ({"created_at": {"$gt": "2020-01-01"}}, ["a", "b", "c"]),
    ({"createdAt": {"$lt": "2020-01-01T00:00:00Z"}}, []),
    ({"created_at": {"$lt": "2100-01-01T00:00:00+02:00", "$gte": "2020-01-01T00:00:00.000Z"}}, ["a", "b", "c"]),
    ({"duration": {"$lt": 1000}}, ["a", "b", "c"]),
    ({"$and": [{"group": "g1"}, {"$or": [{"state": "failed"}, {"config.lr": 5}]}]}, ["b"]),
    ({"$nor": [{"state": "failed"}, {"config.lr": 1}]}, ["a"]),
    ({"config.lr": {"$gt": 0.01}, "group": "g1"}, ["a"]),
    ({"$or": [{"config.lr": {"$gt": 0.5}}, {"tags": "x"}]}, ["a", "c"]),
]:
    case(f"filter {json.dumps(filters)}", expected, functools.partial(runs, filters))
for filters in ({"tags": {"$size": 2}}, {"$not": {"state": "failed"}}, {"$where": "1"}):
    case(f"unknown filter {json.dumps(filters)}", True, lambda filters=filters: "unknown filter operator" in failure(lambda: runs(filters)))
case("filter by no time", True, lambda: "time" in failure(lambda: runs({"created_at": {"$gt": "yesterday"}})))
for order, expected in [
    ("+created_at", ["a", "b", "c"]),
    ("-created_at", ["c", "b", "a"]),
    ("created_at", ["a", "b", "c"]),
    ("+config.lr", ["b", "a", "c"]),
    ("-config.lr", ["c", "a", "b"]),
    ("+config.lr.value", ["b", "a", "c"]),
    ("-summary_metrics.loss", ["b", "c", "a"]),
    ("+summary_metrics.loss", ["a", "c", "b"]),
    ("+display_name", ["c", "a", "b"]),
    ("-heartbeat_at", ["c", "b", "a"]),
]:
    case(f"order {order}", expected, functools.partial(runs, order=order))
case("pages of runs", ["a", "b", "c"], lambda: runs(per_page=1))
case("length of runs", 3, lambda: len(wandb.Api().runs(path, per_page=2)))
case("index of runs", "b", lambda: wandb.Api().runs(path, order="+created_at", per_page=1)[1].id)
case("unknown project", True, lambda: "could not find" in failure(lambda: list(wandb.Api().runs(f"{entity}/none"))).lower())
case("unknown run", True, lambda: "could not find run" in failure(lambda: get("none")).lower())


def details():
    run = get("a")
    config = {key: value for key, value in run.config.items() if key not in ("_wandb", "nan")}
    return [run.name, run.group, run.job_type, sorted(run.tags), run.notes, run.state, config, run.entity, run.project]


config = {"lr": 0.1, "opt": {"name": "adam", "betas": [0.9, 0.999]}, "flag": True, "a.b": 1, "big": 2**60 + 1}
case("details", ["alpha", "g1", "train", ["x", "y"], "first notes", "finished", config, entity, project], details)
case("summary", [0.25, 1, 0.9, 0.5, 2], lambda: [get("a").summary[key] for key in ("loss", "epoch", "acc")] + [get("a").summary["m"]["f1"], get("a").summary["_step"]])
case("metadata", True, lambda: "host" in get("a").metadata and "python" in get("a").metadata)
case("created at", True, lambda: get("a").created_at <= get("b").created_at <= get("c").created_at)
case("last step", 2, lambda: get("a").lastHistoryStep)
case("history keys", ["acc", "epoch", "loss"], lambda: sorted(k for k in set(get("a").history_keys["keys"]) | {"acc"} if not k.startswith("_")))
case("wait until finished", None, lambda: get("a").wait_until_finished())
case("projects", [project], lambda: [p.name for p in wandb.Api().projects(entity)])
case("project", [entity, project], lambda: [wandb.Api().project(project, entity).entity, wandb.Api().project(project, entity).name])
case("from path", ["a", project], lambda: [wandb.Api().from_path(f"{path}/a").id, wandb.Api().from_path(path).name])
case("create project", ["made", project], lambda: [wandb.Api().create_project("made", entity), sorted(p.name for p in wandb.Api().projects(entity))][1])
case("create run", ["made"], lambda: [wandb.Api().create_run(run_id="made", project="made", entity=entity), [r.id for r in wandb.Api().runs(f"{entity}/made")]][1])

# Histories.
case("history", [1, 0.5, 0.25], lambda: [row["loss"] for row in get("a").history(pandas=False)])
case("history of keys", [[0, 1], [1, 0.5], [2, 0.25]], lambda: [[row["_step"], row["loss"]] for row in get("a").history(keys=["loss"], pandas=False)])
case("history over an axis", [[0, 1], [0, 0.5], [1, 0.25]], lambda: [[row["epoch"], row["loss"]] for row in get("a").history(keys=["loss"], x_axis="epoch", pandas=False)])
case("history samples", 2, lambda: len(get("a").history(samples=2, keys=["loss"], pandas=False)))
case("history of no key", [], lambda: get("a").history(keys=["none"], pandas=False))
case("system metrics", True, lambda: isinstance(get("a").history(stream="system", pandas=False), list))


def scan(name, key, **options):
    return [row[key] for row in get(name).scan_history(keys=[key], **options)]


case("scan from", [0.5, 0.25], lambda: scan("a", "loss", min_step=1))
case("scan to", [1, 0.5], lambda: scan("a", "loss", max_step=2))
case("scan between", [0.5], lambda: scan("a", "loss", min_step=1, max_step=2))
case("scan by one", [1, 0.5, 0.25], lambda: scan("a", "loss", page_size=1))
case("scan of no key", [], lambda: scan("a", "none"))
case("scan of all", [1, 0.5, 0.25], lambda: [row["loss"] for row in get("a").scan_history()])
case("histories", {"a": [1, 0.5, 0.25], "b": [3], "c": [2]}, lambda: {
    r: [row["loss"] for row in wandb.Api().runs(path, order="+created_at").histories(keys=["loss"], format="default") if row["run_id"] == r]
    for r in ("a", "b", "c")
})

# Values.
run = start("values")
values = {
    "nan": math.nan,
    "inf": math.inf,
    "minus": -math.inf,
    "big": 2**53 + 1,
    "bigger": 2**63 - 1,
    "negative": -(2**63),
    "smallest": 5e-324,
    "text": "naïve 😀 \"quoted\"\n",
    "bool": True,
    "list": [1, 2, 3],
    "texts": ["a", "b"],
    "null": None,
    "größe": 1,
    "train/loss": 0.5,
    "a.b": 7,
    "with space": 8,
    "nested": {"x": 1, "deep": {"y": 2}},
    "np": np.float32(0.5),
    "np int": np.int64(2**53 + 1),
    "array": np.array([1.5, 2.5]),
}
run.log(values, commit=False)
run.log({"added": 1})
run.log({"only": 5}, step=10)
run.log({"late": 1}, step=3)
run.finish()


def shown(value):
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def row_of(**options):
    row = next(iter(get("values").scan_history(**options)))
    return {key: shown(value) for key, value in row.items() if not key.startswith("_")}


plain = {key: shown(value) for key, value in values.items() if not key.startswith("np") and key != "array"}
plain = {**plain, "np": 0.5, "np int": 2**53 + 1, "array": [1.5, 2.5], "added": 1}
plain = {"nan": "NaN", "inf": "Infinity", "minus": "-Infinity"} | {k: v for k, v in plain.items() if k not in ("nan", "inf", "minus")}


def names(row):
    """Gives the special numbers the names that they have in files."""
    other = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return {key: other.get(value, value) if isinstance(value, str) else value for key, value in row.items()}


for key in plain:
    case(f"value {key}", [plain[key]], lambda key=key: [names(row_of()).get(key)])
    if key not in ("null", "a.b"):
        case(f"value {key} by key", [plain[key]], lambda key=key: [names(row_of(keys=[key])).get(key)])
case("value of a field", [1, 2], lambda: scan("values", "nested.x") + scan("values", "nested.deep.y"))
case("steps", [0, 10], lambda: [row["_step"] for row in get("values").scan_history()])
summary = lambda: get("values").summary
for key in ("big", "bigger", "text", "list", "größe", "train/loss", "a.b", "with space"):
    case(f"summary {key}", values[key], lambda key=key: summary()[key])
case("summary of a field", 2, lambda: summary()["nested"]["deep"]["y"])
case("summary of not a number", ["NaN", "Infinity"], lambda: [{"nan": "NaN", "inf": "Infinity"}.get(str(summary()[key]), summary()[key]) for key in ("nan", "inf")])

# Summaries of metrics.
run = start("metrics")
run.define_metric("epoch")
run.define_metric("val/*", step_metric="epoch")
for way in ("min", "max", "mean", "last"):
    run.define_metric(f"m_{way}", summary=way)
run.define_metric("m_none", summary="none")
run.define_metric("hidden", hidden=True)
for i, value in enumerate((3.0, 1.0, 2.0)):
    run.log({"epoch": i, "val/acc": value, "hidden": value, **{f"m_{way}": value for way in ("min", "max", "mean", "last", "none")}})
run.finish()


def metrics():
    found = get("metrics").summary
    values = [found[f"m_{way}"] for way in ("min", "max", "mean")]
    values = [list(dict(value).values())[0] for value in values]
    return values + [found["m_last"] if not hasattr(found["m_last"], "keys") else found["m_last"]["last"], found["val/acc"]]


case("defined summaries", [1.0, 3.0, 2.0, 2.0, 2.0], metrics)
case("no summary", False, lambda: "m_none" in get("metrics").summary.keys())
case("filter by a summary", ["metrics"], lambda: runs({"summary_metrics.m_min.min": 1}))

# Edits.


def edit():
    run = get("a")
    run.config["lr"] = 0.2
    run.config["new"] = {"k": [1, 2]}
    del run.config["flag"]
    run.tags.append("z")
    run.notes = "second notes"
    run.name = "alpha 2"
    run.group = "g2"
    run.update()
    return None


case("edit", None, edit)
config = {"lr": 0.2, "opt": {"name": "adam", "betas": [0.9, 0.999]}, "a.b": 1, "big": 2**60 + 1, "new": {"k": [1, 2]}}
case("edited", ["alpha 2", "g2", "train", ["x", "y", "z"], "second notes", "finished", config, entity, project], details)


def clear():
    run = get("a")
    run.tags = []
    run.notes = ""
    run.name = "alpha"
    run.update()
    run = get("a")
    return [run.tags, run.notes or "", run.name, run.state]


case("clear", [[], "", "alpha", "finished"], clear)


def edit_summary():
    run = get("a")
    run.summary["acc"] = 0.95
    run.summary["m"] = {"f1": 0.6, "g": {"h": 1}}
    run.summary.update({"added": "text"})
    run.summary.update()
    found = get("a").summary
    return [found["acc"], found["m"]["f1"], found["m"]["g"]["h"], found["added"], found["loss"]]


case("edit the summary", [0.95, 0.6, 1, "text", 0.25], edit_summary)
case("rows after edits", [1, 0.5, 0.25], lambda: scan("a", "loss"))


def delete_of_summary():
    run = get("a")
    del run.summary["added"]
    run.summary.update()
    return "added" in get("a").summary.keys()


case("delete of the summary", False, delete_of_summary)
report()
