"""A callback for Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._table import StreamTable
from ._sink import Sink

if TYPE_CHECKING:
    # Keras has no type annotations.
    _Callback = object
else:
    from keras.callbacks import Callback as _Callback


class TableCallback(_Callback):
    """Logs a row with the ``epoch`` and the metrics after each epoch.

    >>> model.fit(x, y, callbacks=[TableCallback("me/shop/training")])  # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        every_batches: Also log a row with ``epoch`` and ``batch`` after each so many batches.
        extra: Columns of each row.
    """

    def __init__(
        self,
        table: StreamTable | str,
        *,
        every_batches: int | None = None,
        extra: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        self._sink = Sink(table)
        self._every = every_batches
        self._extra = dict(extra or {})
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of an epoch."""
        self._sink.put({**self._extra, "epoch": epoch, "batch": None, **(logs or {})})

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Log the metrics of a batch."""
        if self._every is not None and (batch + 1) % self._every == 0:
            self._sink.put({**self._extra, "epoch": self._epoch, "batch": batch, **(logs or {})})

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
