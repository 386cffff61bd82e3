"""Runs in the form of the package wandb."""

from __future__ import annotations

import argparse
import inspect
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lab import Server

import streamtable
import streamtable.wandb as wandb


@pytest.fixture
def project(name: str) -> Iterator[str]:
    yield name.split("/")[2]
    wandb.finish()


def rows(server: Server, project: str, table: str = "history") -> list[dict[str, Any]]:
    return server.rows(f"me/{project}/{table}")


def test_a_run(server: Server, project: str) -> None:
    run = wandb.init(project=project, name="first", config={"rate": 0.1}, tags=["a"], group="g")
    assert wandb.run is run and wandb.init() is run
    wandb.config.layers = 2
    wandb.config.update({"seed": 7}, allow_val_change=True)
    assert (run.config["rate"], wandb.config.rate, run.config.get("absent")) == (0.1, 0.1, None)
    with pytest.raises(AttributeError, match="there is no 'absent'; there are rate, layers, seed"):
        run.config.absent
    for loss in (0.7, 0.5):
        wandb.log({"train": {"loss": loss}, "accuracy": np.float32(0.5)})
    wandb.summary["best"] = 0.5
    wandb.finish()
    assert wandb.run is None
    found = rows(server, project)
    assert [(row["run"], row["step"], row["train.loss"]) for row in found] == [(run.id, 0, 0.7), (run.id, 1, 0.5)]
    assert found[0]["accuracy"] == 0.5 and 0 <= found[0]["runtime"] <= found[1]["runtime"]
    began, ended = rows(server, project, "runs")
    assert (began["state"], ended["state"]) == ("running", "finished")
    assert (ended["name"], ended["tags"], ended["group"], began["config"]) == ("first", ["a"], "g", {"rate": 0.1})
    assert ended["config"] == {"rate": 0.1, "layers": 2, "seed": 7}
    assert ended["summary"] == {"train.loss": 0.5, "accuracy": 0.5, "best": 0.5}
    assert (run.project, run.entity) == (project, "me") and run.url is not None


def test_steps(server: Server, project: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = wandb.init(project=project)
    wandb.log({"a": 1}, step=3)
    wandb.log({"b": 2}, step=3)
    wandb.log({"a": 3}, step=5)
    wandb.log({"a": 9}, step=4)
    wandb.log({"b": 4}, commit=False)
    wandb.log({"c": 5})
    wandb.log({"a": 6})
    assert run.step == 7
    wandb.log({"a": 7}, step=9)
    wandb.finish()
    found = [(row["step"], row.get("a"), row.get("b"), row.get("c")) for row in rows(server, project)]
    assert found == [(3, 1, 2, None), (5, 3, 4, 5), (6, 6, None, None), (9, 7, None, None)]
    assert "metrics of step 4 are dropped, because the run is at step 5" in capsys.readouterr().err


def test_media_tables_and_histograms(server: Server, project: str) -> None:
    with wandb.init(project=project) as run:
        table = wandb.Table(columns=["q", "score"], data=[["why?", 0.9]])
        table.add_data("how?", 0.5)
        with pytest.raises(ValueError, match="the table has 2 columns, this row has 1 values"):
            table.add_data("what?")
        frame = wandb.Table(dataframe=pd.DataFrame({"q": ["a"], "n": [1]}))
        image = wandb.Image(np.zeros((2, 2)), caption="c")
        histogram = wandb.Histogram([1, 2, 2, 3], num_bins=2)
        run.log({"eval/answers": table, "history": frame, "image": image, "two": [image] * 2, "h": histogram, "n": 1})
    assert run.summary == {"n": 1}
    assert rows(server, project, "runs")[1]["summary"] == {"n": 1}
    (row,) = rows(server, project)
    assert [found["caption"] for found in row["two"]] == ["c", "c"]
    assert row["image"]["caption"] == "c" and row["h"] == {"counts": [1, 3], "edges": [1, 2, 3]}
    assert row["eval/answers"] == "2 rows in eval_answers"
    answers = rows(server, project, "eval_answers")
    assert [(row["run"], row["step"], row["q"], row["score"]) for row in answers] == [
        (run.id, 0, "why?", 0.9),
        (run.id, 0, "how?", 0.5),
    ]
    assert [row["n"] for row in rows(server, project, "history_")] == [1]


def test_threads_lose_nothing(server: Server, project: str) -> None:
    with wandb.init(project=project) as run:
        work = [threading.Thread(target=lambda: [run.log({"n": n}) for n in range(50)]) for _ in range(4)]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    found = rows(server, project)
    assert [row["step"] for row in found] == list(range(200))
    assert sorted(row["n"] for row in found) == sorted([*range(50)] * 4)


def test_a_run_is_resumed(server: Server, project: str) -> None:
    for _ in range(2):
        with wandb.init(project=project, id="r'1", resume="allow") as run:
            run.log({"n": run.step})
            run.log({"n": run.step})
        with wandb.init(project=project, id="other") as other:
            other.log({"n": 100})
    assert [row["n"] for row in rows(server, project) if row["run"] == "r'1"] == [0, 1, 2, 3]
    assert [row["step"] for row in rows(server, project) if row["run"] == "other"] == [0, 0]


def test_another_run(server: Server, project: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = wandb.init(project=project, config=argparse.Namespace(rate=0.1), sync_tensorboard=True)  # type: ignore[arg-type]
    second = wandb.init(project=project, reinit=True)
    assert first is not second and first.config.rate == 0.1
    assert "init ignores sync_tensorboard" in capsys.readouterr().err
    with pytest.raises(wandb.Error, match="the run is finished"):
        first.log({"a": 1})
    with pytest.raises(ValueError, match="log takes a dict of metrics, not int"):
        second.log(1)  # type: ignore[arg-type]
    second.define_metric("loss", step_metric="epoch")
    second.watch(None)
    second.finish(exit_code=1)
    assert [row["state"] for row in rows(server, project, "runs")] == ["running", "finished", "running", "failed"]


def test_without_a_run() -> None:
    assert wandb.run is None and wandb.login()
    wandb.finish()
    wandb.define_metric("loss")
    for use in (lambda: wandb.log({"a": 1}), lambda: wandb.config, lambda: wandb.summary):
        with pytest.raises(wandb.Error, match=r"call wandb.init\(\) before"):
            use()
    assert not hasattr(wandb, "config")
    with pytest.raises(AttributeError, match="has no 'Artifact'; the package wandb has"):
        wandb.Artifact  # type: ignore[attr-defined]
    with pytest.raises(wandb.Error, match="mode must be"):
        wandb.init(mode="fast")  # type: ignore[arg-type]
    with pytest.raises(wandb.Error, match="config must be a dict"):
        wandb.init(config="config.yaml")


def test_disabled_and_offline_runs(project: str, machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(streamtable.UnavailableError):
        wandb.init(project=project)
    with wandb.init(project=project, mode="disabled") as run:
        run.log({"a": 1})
        assert run.summary == {"a": 1} and run.url is None
    assert not list(machine.glob("spool/**/*.seg"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    with wandb.init("me", project) as run:
        run.log({"a": 1})
    assert list(machine.glob("spool/**/history/**/*.seg"))


def test_a_run_ends_with_the_program(server: Server, project: str, program: Any) -> None:
    code = """
        import sys
        import streamtable.wandb as wandb
        wandb.init(project=sys.argv[1])
        wandb.log({"a": 1}, step=5)
        if len(sys.argv) > 2:
            raise ValueError("bad")
    """
    ended = program(code, project)
    assert ended.stderr.count("View data at: ") == 1
    program(code, project, "fail", code_is=1)
    assert [row["a"] for row in rows(server, project)] == [1, 1]
    assert [row["state"] for row in rows(server, project, "runs")] == ["running", "finished", "running", "failed"]


def test_every_name_has_an_example() -> None:
    for name in wandb.__all__:
        value = getattr(wandb, name)
        if not (isinstance(value, type) and issubclass(value, Exception)):
            assert ">>>" in (inspect.getdoc(value) or ""), name
