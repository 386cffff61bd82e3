"""A callback for XGBoost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._table import StreamTable
from ._sink import Sink

if TYPE_CHECKING:
    # XGBoost has no type annotations.
    _Callback = object
else:
    from xgboost.callback import TrainingCallback as _Callback


class TableCallback(_Callback):
    """Logs a row with the ``iteration`` and the metrics of each data set after each iteration.

    >>> xgboost.train(params, data, evals=[(data, "train")],
    ...               callbacks=[TableCallback("me/shop/training")])    # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        extra: Columns of each row.
    """

    def __init__(self, table: StreamTable | str, *, extra: Mapping[str, Any] | None = None):
        super().__init__()
        self._sink = Sink(table)
        self._extra = dict(extra or {})

    def after_iteration(self, model: Any, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        """Log the metrics of an iteration. Returns false: training continues."""
        row: dict[str, Any] = {**self._extra, "iteration": epoch}
        for data, metrics in evals_log.items():
            for name, values in metrics.items():
                last = values[-1]
                # Of cross-validation: the mean and the standard deviation.
                row[f"{data}_{name}"] = last[0] if isinstance(last, tuple) else last
        self._sink.put(row)
        return False

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
