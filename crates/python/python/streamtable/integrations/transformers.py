"""A callback for the trainer of Hugging Face Transformers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._table import StreamTable
from ._sink import Sink

if TYPE_CHECKING:
    # The package is not needed to check types.
    _Callback = object
else:
    from transformers import TrainerCallback as _Callback


class TableCallback(_Callback):
    """Logs a row with the ``step``, the ``epoch`` and the metrics whenever the trainer logs.

    The names of the metrics are the trainer's: ``loss``, ``learning_rate``, ``eval_loss``, and at the end
    ``train_loss``, ``train_runtime`` and others. Only the main process logs.

    >>> trainer = transformers.Trainer(model, arguments, train_dataset=data,
    ...                                callbacks=[TableCallback("me/shop/training")])   # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        extra: Columns of each row, such as ``{"run": "first"}``.
    """

    def __init__(self, table: StreamTable | str, *, extra: Mapping[str, Any] | None = None):
        self._sink = Sink(table)
        self._extra = dict(extra or {})

    def on_log(
        self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **more: Any
    ) -> None:
        """Log the metrics."""
        if state.is_world_process_zero and logs:
            self._sink.put({**self._extra, "step": state.global_step, "epoch": state.epoch, **logs})

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
