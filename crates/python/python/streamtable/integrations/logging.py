"""A handler for the standard library's ``logging``."""

from __future__ import annotations

import logging
from datetime import datetime, timezone

from .._loggable import SECRETS, Redact
from .._table import StreamTable
from ._sink import Sink

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TableHandler(logging.Handler):
    """Logs each record as a row: ``time``, ``level``, ``logger``, ``message``, ``exception``, and the
    fields of ``extra``.

    Records of this package are left out. If the handler has a formatter, ``message`` is its result.

    >>> logging.getLogger().addHandler(TableHandler("me/shop/logs"))    # doctest: +SKIP
    >>> logging.warning("slow", extra={"ms": 71})                       # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        level: The lowest level that is logged.
        redact: Names of fields whose values are not logged, or a function, as of ``monitor``.
    """

    def __init__(
        self, table: StreamTable | str, level: int | str = logging.NOTSET, *, redact: Redact = SECRETS
    ):
        super().__init__(level)
        self._sink = Sink(table, redact)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record as a row."""
        if record.name.split(".")[0] == "streamtable":
            return
        try:
            message = record.getMessage() if self.formatter is None else self.format(record)
            exception = None
            if record.exc_info and record.exc_info[1] is not None:
                exception = logging.Formatter().formatException(record.exc_info)
            extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
            row = {
                "time": datetime.fromtimestamp(record.created, timezone.utc),
                "level": record.levelname,
                "logger": record.name,
                "message": message,
                "exception": exception,
                "place": f"{record.pathname}:{record.lineno}",
            }
            self._sink.put({**extra, **row})
        except Exception:
            self.handleError(record)

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
