"""The adapters for PyTorch Lightning and Transformers.

These packages need PyTorch, which is too large for the tests' requirements. The tests with a real trainer
are skipped where the packages are not installed; the others use stand-ins for the base classes.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from lab import Server

from streamtable import StreamTable

@pytest.fixture
def table(name: str) -> Iterator[StreamTable]:
    with StreamTable(name, quiet=True, columns="evolve") as table:
        yield table


def rows(server: Server, table: StreamTable) -> list[dict[str, Any]]:
    table.flush()
    return server.rows(table.path)


ADAPTERS = ("streamtable.integrations.lightning", "streamtable.integrations.transformers")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replaces both packages, and imports the adapters again."""

    def module(name: str, **names: Any) -> None:
        made = ModuleType(name)
        vars(made).update(names)
        monkeypatch.setitem(sys.modules, name, made)

    base = type("Base", (), {})
    module("transformers", TrainerCallback=base)
    for package in ("lightning", "pytorch_lightning"):
        monkeypatch.delitem(sys.modules, package, raising=False)
    module("lightning")
    module("lightning.pytorch")
    module("lightning.pytorch.loggers", Logger=base)
    module("lightning.pytorch.utilities", rank_zero_only=SimpleNamespace(rank=0))
    for adapter in ADAPTERS:
        sys.modules.pop(adapter, None)
    yield
    for adapter in ADAPTERS:
        sys.modules.pop(adapter, None)


def test_transformers_callback(server: Server, table: StreamTable, fakes: None) -> None:
    from streamtable.integrations.transformers import TableCallback

    callback = TableCallback(table, extra={"run": "a"})
    state = SimpleNamespace(is_world_process_zero=True, global_step=5, epoch=0.5)
    callback.on_log(None, state, None, logs={"loss": 0.7, "learning_rate": 1e-3})
    callback.on_log(None, state, None, logs=None)
    state.is_world_process_zero = False
    callback.on_log(None, state, None, logs={"loss": 0.6})
    (row,) = rows(server, table)
    assert (row["run"], row["step"], row["epoch"], row["loss"]) == ("a", 5, 0.5, 0.7)


def test_lightning_logger(server: Server, table: StreamTable, fakes: None) -> None:
    from streamtable.integrations.lightning import TableLogger

    logger = TableLogger(table, extra={"run": "a"})
    assert (logger.name, logger.version, logger.experiment) == (table.path, "a", table)
    logger.log_hyperparams(argparse.Namespace(lr=0.1, layers=[8, 8]))
    logger.log_hyperparams({})
    logger.log_metrics({"loss": 0.7, "epoch": 0}, step=5)
    sys.modules["lightning.pytorch.utilities"].rank_zero_only.rank = 1
    logger.log_metrics({"loss": 0.6}, step=6)
    logger.log_hyperparams({"lr": 0.2})
    logger.save()
    logger.finalize("success")
    given, metrics = rows(server, table)
    assert given["hyperparameters"] == {"lr": 0.1, "layers": [8, 8]} and given["step"] is None
    assert (metrics["run"], metrics["step"], metrics["loss"], metrics["epoch"]) == ("a", 5, 0.7, 0)
    assert isinstance(TableLogger(table.path).version, str)


def test_adapters_are_pickled(server: Server, name: str, fakes: None) -> None:
    from streamtable.integrations.lightning import TableLogger

    copy = pickle.loads(pickle.dumps(TableLogger(name, extra={"run": 7})))
    copy.log_metrics({"loss": 0.7}, step=1)
    copy.table.finish()
    assert [row["run"] for row in server.rows(name)] == [7]


def test_transformers_calls_the_callback(server: Server, table: StreamTable) -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.trainer_callback import CallbackHandler

    from streamtable.integrations.transformers import TableCallback

    handler = CallbackHandler([TableCallback(table)], None, None, None, None)
    state, control = transformers.TrainerState(global_step=3, epoch=1.0), transformers.TrainerControl()
    handler.on_log(None, state, control, {"loss": 0.5})
    handler.on_train_end(None, state, control)
    (row,) = rows(server, table)
    assert (row["step"], row["epoch"], row["loss"]) == (3, 1.0, 0.5)


def test_a_trainer_of_transformers(server: Server, table: StreamTable, tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from streamtable.integrations.transformers import TableCallback

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(1, 1)

        def forward(self, x: Any, labels: Any) -> dict[str, Any]:
            made = self.line(x)
            return {"loss": torch.nn.functional.mse_loss(made, labels), "logits": made}

    data = [{"x": torch.tensor([float(n)]), "labels": torch.tensor([2.0 * n])} for n in range(8)]
    arguments = transformers.TrainingArguments(
        output_dir=tmp_path, max_steps=4, logging_steps=2, report_to=[], disable_tqdm=True, use_cpu=True,
        per_device_train_batch_size=4, save_strategy="no",
    )  # fmt: skip
    callback = TableCallback(table, extra={"run": "a"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer = transformers.Trainer(Model(), arguments, train_dataset=data, eval_dataset=data, callbacks=[callback])
        trainer.train()
        trainer.evaluate()
    found = rows(server, table)
    assert [row["step"] for row in found] == [2, 4, 4, 4]
    assert found[0]["loss"] > 0 and found[2]["train_loss"] > 0 and found[3]["eval_loss"] > 0
    assert {row["run"] for row in found} == {"a"}


@pytest.fixture
def old_torch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """PyTorch. Its versions before 2 have dataclasses with defaults that Python 3.11 does not accept."""
    torch = pytest.importorskip("torch")
    dataclass = dataclasses.dataclass

    def lenient(kind: Any = None, **options: Any) -> Any:
        if kind is None:
            return lambda kind: lenient(kind, **options)
        for value in vars(kind).values():
            value = value.default if isinstance(value, dataclasses.Field) else value
            if type(value).__hash__ is None and type(value).__module__.startswith("torch."):
                type(value).__hash__ = object.__hash__
        return dataclass(kind, **options)

    monkeypatch.setattr(dataclasses, "dataclass", lenient)
    return torch


def test_a_trainer_of_lightning(server: Server, table: StreamTable, tmp_path: Any, old_torch: Any) -> None:
    torch = old_torch
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightning = pytest.importorskip("pytorch_lightning")
        from streamtable.integrations.lightning import TableLogger

        class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
            def __init__(self, rate: float):
                super().__init__()
                self.save_hyperparameters()
                self.line = torch.nn.Linear(1, 1)

            def training_step(self, batch: Any, at: int) -> Any:
                x, y = batch
                loss = torch.nn.functional.mse_loss(self.line(x), y)
                self.log("loss", loss)
                return loss

            def configure_optimizers(self) -> Any:
                return torch.optim.SGD(self.parameters(), lr=self.hparams.rate)

        x = torch.arange(8.0)[:, None]
        data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, 2 * x), batch_size=4)
        trainer = lightning.Trainer(
            logger=TableLogger(table, extra={"run": "a"}), max_epochs=3, log_every_n_steps=1, accelerator="cpu",
            enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(Model(0.001), data)
    given, *metrics = rows(server, table)
    assert given["hyperparameters"] == {"rate": 0.001}
    assert [row["step"] for row in metrics] == list(range(6))
    # The first batch of the first and of the last epoch.
    assert metrics[0]["loss"] > metrics[4]["loss"] and metrics[4]["epoch"] == 2
    assert (tmp_path / table.path / "a" / "checkpoints").is_dir()
