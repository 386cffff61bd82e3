"""A logger for PyTorch Lightning."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._table import StreamTable
from ._sink import Sink

if TYPE_CHECKING:
    # The package is not needed to check types.
    _Logger = object
elif "pytorch_lightning" in sys.modules and "lightning.pytorch" not in sys.modules:
    # The package has two names; this is the one that the program uses.
    from pytorch_lightning.loggers import Logger as _Logger
else:
    try:
        from lightning.pytorch.loggers import Logger as _Logger
    except ModuleNotFoundError:
        from pytorch_lightning.loggers import Logger as _Logger


class TableLogger(_Logger):
    """Logs a row with the ``step`` and the metrics whenever the trainer logs metrics.

    Hyperparameters are a row with the column ``hyperparameters``. Only the process of rank zero logs.

    >>> trainer = lightning.Trainer(logger=TableLogger("me/shop/training"))     # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        extra: Columns of each row, such as ``{"run": "first"}``.
    """

    def __init__(self, table: StreamTable | str, *, extra: Mapping[str, Any] | None = None):
        super().__init__()
        self._path = table if isinstance(table, str) else table.path
        self._started = time.strftime("%Y%m%d-%H%M%S")
        self._sink = Sink(table)
        self._extra = dict(extra or {})

    @property
    def name(self) -> str:
        """The table's name."""
        return self._path

    @property
    def version(self) -> str | int:
        """The value of ``run`` in ``extra``, otherwise the time when this was made.

        Checkpoints are in a folder of this name.
        """
        run = self._extra.get("run")
        return run if isinstance(run, (str, int)) else self._started

    @property
    def experiment(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics."""
        if _is_rank_zero():
            self._sink.put({**self._extra, "step": step, **metrics})

    def log_hyperparams(self, params: Any, metrics: Mapping[str, Any] | None = None) -> None:
        """Log hyperparameters: a dict or a namespace."""
        if _is_rank_zero() and params:
            given = dict(params) if isinstance(params, Mapping) else dict(vars(params))
            self._sink.put({**self._extra, "step": None, "hyperparameters": given, **(metrics or {})})

    def save(self) -> None:
        """Do nothing: each row is stored when it is logged."""

    def finalize(self, status: str) -> None:
        """Do nothing: the table stays open, and rows are delivered in the background."""


def _is_rank_zero() -> bool:
    """Return whether this is the main process of a distributed training."""
    for module in ("lightning.pytorch.utilities", "pytorch_lightning.utilities"):
        rank_zero_only = getattr(sys.modules.get(module), "rank_zero_only", None)
        if rank_zero_only is not None:
            return bool(getattr(rank_zero_only, "rank", 0) == 0)
    return True
