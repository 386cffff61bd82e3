"""A callback for LightGBM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._table import StreamTable
from ._sink import Sink


class TableCallback:
    """Logs a row with the ``iteration`` and the metrics of each data set after each iteration.

    >>> lightgbm.train(params, data, valid_sets=[data],
    ...                callbacks=[TableCallback("me/shop/training")])   # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        extra: Columns of each row.
    """

    order = 10
    """Its place among the callbacks: after those that change the parameters, before early stopping."""

    before_iteration = False

    def __init__(self, table: StreamTable | str, *, extra: Mapping[str, Any] | None = None):
        self._sink = Sink(table)
        self._extra = dict(extra or {})

    def __call__(self, env: Any) -> None:
        """Log the metrics of an iteration."""
        row: dict[str, Any] = {**self._extra, "iteration": env.iteration}
        for data, name, value, *_ in env.evaluation_result_list or ():
            row[f"{data}_{name}"] = value
        self._sink.put(row)

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
