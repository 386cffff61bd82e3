"""Rows of adapters, which never wait for the table and never fail."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from .._errors import StreamTableError
from .._loggable import SECRETS, Redact, loggable, redactor
from .._outbox import Outbox
from .._process import warn
from .._table import StreamTable


class Sink:
    """Logs rows to a table, or to a table of a name that is opened in the background."""

    def __init__(self, table: StreamTable | str, redact: Redact = SECRETS):
        self._given = (table, redact)
        self._outbox = Outbox(table, StreamTable._log_now)
        self._hide = redactor(redact)
        self._busy = threading.local()

    def put(self, row: Mapping[str, Any]) -> None:
        """Log a row. Errors are warnings of the logger ``streamtable``."""
        # A warning of this package may come back through a handler.
        if getattr(self._busy, "is_putting", False):
            return
        self._busy.is_putting = True
        try:
            self._outbox.put(loggable(dict(row), self._hide))
        except Exception as error:
            warn("a row was not logged to %s: %s", self._outbox, error)
        finally:
            self._busy.is_putting = False

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens the table again.
        return Sink, self._given

    def flush(self, timeout: float) -> bool:
        """Wait until all rows so far are stored, at most ``timeout`` seconds. Return whether they are."""
        until = time.monotonic() + timeout
        if self._outbox.drain(timeout):
            return False
        table = self._outbox.table
        if table is None or table.is_finished:
            return True
        try:
            table.flush(max(until - time.monotonic(), 0.0))
        except StreamTableError:
            return False
        return True

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._outbox.opened()
