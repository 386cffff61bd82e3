"""A processor for structlog."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from .._loggable import SECRETS, Redact
from .._table import StreamTable
from ._sink import Sink


class TableProcessor:
    """Logs each event as a row with its fields, ``event`` and ``level``, and passes it on unchanged.

    >>> structlog.configure(processors=[TableProcessor("me/shop/events"), structlog.dev.ConsoleRenderer()])
    ... # doctest: +SKIP
    >>> structlog.get_logger().warning("slow", ms=71)                   # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        redact: Names of fields whose values are not logged, or a function, as of ``monitor``.
    """

    def __init__(self, table: StreamTable | str, *, redact: Redact = SECRETS):
        self._sink = Sink(table, redact)

    def __call__(
        self, logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Log an event as a row."""
        self._sink.put({"level": method_name, **event_dict})
        return event_dict

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
