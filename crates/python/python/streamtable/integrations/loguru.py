"""A sink for loguru."""

from __future__ import annotations

from typing import Any

from .._loggable import SECRETS, Redact
from .._table import StreamTable
from ._sink import Sink


class TableSink:
    """Logs each message as a row: ``time``, ``level``, ``logger``, ``message``, ``exception``, and the
    fields of ``bind``.

    >>> loguru.logger.add(TableSink("me/shop/logs"))                    # doctest: +SKIP
    >>> loguru.logger.bind(ms=71).warning("slow")                       # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        redact: Names of fields whose values are not logged, or a function, as of ``monitor``.
    """

    def __init__(self, table: StreamTable | str, *, redact: Redact = SECRETS):
        self._sink = Sink(table, redact)

    def __call__(self, message: Any) -> None:
        """Log a message as a row."""
        record = message.record
        error = record["exception"]
        row = {
            "time": record["time"],
            "level": record["level"].name,
            "logger": record["name"],
            "message": record["message"],
            "exception": None if error is None else f"{error.type.__name__}: {error.value}",
            "place": f"{record['file'].path}:{record['line']}",
        }
        self._sink.put({**record["extra"], **row})

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
