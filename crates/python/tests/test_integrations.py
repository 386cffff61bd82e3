"""Adapters, each with the real package."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import loguru
import numpy as np
import pytest
import structlog
from lab import Server

import streamtable
from streamtable import StreamTable
from streamtable.integrations.logging import TableHandler
from streamtable.integrations.loguru import TableSink
from streamtable.integrations.structlog import TableProcessor


@pytest.fixture
def table(name: str) -> Iterator[StreamTable]:
    with StreamTable(name, quiet=True, columns="evolve") as table:
        yield table


def rows(server: Server, table: StreamTable) -> list[dict[str, Any]]:
    table.flush()
    return server.rows(table.path)


def test_logging(server: Server, table: StreamTable) -> None:
    logger = logging.getLogger("shop.test")
    logger.propagate = False
    handler = TableHandler(table, logging.INFO)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        logger.warning("slow: %d ms", 71, extra={"ms": 71, "message_id": object, "password": "p"})
        logger.debug("not logged")
        try:
            raise ValueError("bad")
        except ValueError:
            logger.exception("failed")
        handler.setFormatter(logging.Formatter("<%(message)s>"))
        logger.info("formatted")
    finally:
        logger.removeHandler(handler)
    slow, failed, formatted = rows(server, table)
    assert (slow["level"], slow["logger"], slow["message"]) == ("WARNING", "shop.test", "slow: 71 ms")
    assert (slow["ms"], slow["password"], slow["exception"]) == (71, "[redacted]", None)
    assert slow["message_id"] == "<class 'object'>" and "test_integrations.py:" in slow["place"]
    assert server.columns(table.path)["time"] == "timestamp"
    assert failed["message"] == "failed" and failed["exception"].endswith("ValueError: bad")
    assert formatted["message"] == "<formatted>"


def test_warnings_about_a_table_do_not_come_back(table: StreamTable) -> None:
    root = logging.getLogger()
    handler = TableHandler(table)
    root.addHandler(handler)
    try:
        table.finish()
        # Its own warning, that the table is finished, goes to the handler, too.
        logging.getLogger("shop").warning("late")
    finally:
        root.removeHandler(handler)
    assert table.stats().logged == 0


def test_a_handler_never_waits_for_a_server(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
        handler = TableHandler(name)
        logger = logging.getLogger("shop.silent")
        logger.propagate = False
        logger.addHandler(handler)
        logger.warning("still running")
        logger.removeHandler(handler)
        # Only this waits.
        table = handler.table
        assert table.stats().pending == 1


def test_loguru(server: Server, table: StreamTable) -> None:
    place = loguru.logger.add(TableSink(table), level="INFO")
    try:
        loguru.logger.bind(ms=71).warning("slow: {}", 71)
        try:
            raise ValueError("bad")
        except ValueError:
            loguru.logger.exception("failed")
    finally:
        loguru.logger.remove(place)
    slow, failed = rows(server, table)
    assert (slow["level"], slow["message"], slow["ms"]) == ("WARNING", "slow: 71", 71)
    assert failed["exception"] == "ValueError: bad"


def test_structlog(server: Server, table: StreamTable) -> None:
    seen: list[Any] = []

    def last(_: Any, __: str, event: Any) -> Any:
        seen.append(dict(event))
        raise structlog.DropEvent

    logger = structlog.wrap_logger(None, processors=[TableProcessor(table), last])
    logger.bind(user="ann").warning("slow", ms=71, token={"api_key": "k"})
    (row,) = rows(server, table)
    assert (row["event"], row["level"], row["user"], row["ms"]) == ("slow", "warning", "ann", 71)
    assert row["token"] == {"api_key": "[redacted]"}
    assert seen == [{"event": "slow", "user": "ann", "ms": 71, "token": {"api_key": "k"}}]


def data() -> tuple[Any, Any]:
    x = np.arange(64, dtype="float32").reshape(32, 2)
    return x, (x[:, 0] > 20).astype("float32")


def test_keras(server: Server, table: StreamTable) -> None:
    os.environ["KERAS_BACKEND"] = "jax"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        from streamtable.integrations.keras import TableCallback

        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse")
        callback = TableCallback(table, every_batches=2, extra={"run": 7})
        x, y = data()
        model.fit(x, y, epochs=2, batch_size=8, validation_data=(x, y), verbose=0, callbacks=[callback])
    found = rows(server, table)
    assert [(row["epoch"], row["batch"]) for row in found] == [(0, 1), (0, 3), (0, None), (1, 1), (1, 3), (1, None)]
    assert all(row["run"] == 7 and row["loss"] is not None for row in found)
    assert [row["val_loss"] is not None for row in found if row["batch"] is None] == [True, True]


def test_xgboost(server: Server, table: StreamTable) -> None:
    import xgboost

    from streamtable.integrations.xgboost import TableCallback

    x, y = data()
    matrix = xgboost.DMatrix(x, y)
    evals = [(matrix, "train")]
    params = {"objective": "reg:squarederror", "nthread": 1}
    callback = TableCallback(table, extra={"run": 7})
    xgboost.train(params, matrix, 3, evals=evals, verbose_eval=False, callbacks=[callback])
    found = rows(server, table)
    assert [row["iteration"] for row in found] == [0, 1, 2]
    assert found[0]["train_rmse"] > found[2]["train_rmse"] and found[0]["run"] == 7


def test_lightgbm(server: Server, table: StreamTable) -> None:
    import lightgbm

    from streamtable.integrations.lightgbm import TableCallback

    x, y = data()
    train = lightgbm.Dataset(x, y)
    params = {"objective": "regression", "metric": "l2", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}
    lightgbm.train(params, train, 3, valid_sets=[train], valid_names=["train"], callbacks=[TableCallback(table)])
    found = rows(server, table)
    assert [row["iteration"] for row in found] == [0, 1, 2]
    assert found[0]["train_l2"] > found[2]["train_l2"]


def test_a_name_is_enough(server: Server, name: str) -> None:
    handler = TableHandler(name)
    handler.handle(logging.makeLogRecord({"name": "shop", "msg": "hi", "levelname": "INFO"}))
    assert isinstance(handler.table, streamtable.StreamTable)
    handler.table.finish()
    assert [row["message"] for row in server.rows(name)] == ["hi"]


def test_scikit_learn(server: Server, table: StreamTable) -> None:
    import numpy as np
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, cross_validate

    from streamtable.integrations.sklearn import TableScorer

    x = np.arange(30.0)[:, None]
    y = 2 * x[:, 0] + np.sin(x[:, 0])
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, scoring=TableScorer(table, "r2", extra={"run": 7}), cv=3)
    search.fit(x, y)
    found = rows(server, table)
    assert [(row["run"], row["model"], row["samples"], row["params"]["alpha"]) for row in found] == [
        (7, "Ridge", 10, alpha) for alpha in (0.1, 10.0) for _ in range(3)
    ]
    scores = [search.cv_results_[f"split{fold}_test_score"][place] for place in range(2) for fold in range(3)]
    assert [row["score"] for row in found] == scores
    scored = cross_validate(Ridge(), x, y, scoring=TableScorer(table, ["r2", "neg_max_error"]), cv=2)
    last = rows(server, table)[-2:]
    assert [row["neg_max_error"] for row in last] == list(scored["test_neg_max_error"])


def test_a_search_of_scikit_learn_in_processes(server: Server, name: str) -> None:
    import numpy as np
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    from streamtable.integrations.sklearn import TableScorer

    x = np.arange(30.0)[:, None]
    GridSearchCV(Ridge(), {"alpha": [0.1, 10.0]}, scoring=TableScorer(name), cv=3, n_jobs=2).fit(x, x[:, 0])
    from joblib.externals.loky import get_reusable_executor

    # The tables of the processes are finished with them.
    get_reusable_executor().shutdown(wait=True)
    assert len(StreamTable(name, quiet=True).rows()) == 6
