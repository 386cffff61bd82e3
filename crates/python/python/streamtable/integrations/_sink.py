"""Rows of adapters, which never wait for the table and never fail."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from .._loggable import SECRETS, Redact, loggable, redactor
from .._outbox import Outbox
from .._process import warn
from .._table import StreamTable


class Sink:
    """Logs rows to a table, or to a table of a name that is opened in the background."""

    def __init__(self, table: StreamTable | str, redact: Redact = SECRETS):
        self._outbox = Outbox(table, lambda table, row: table._log_now(row))
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

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._outbox.opened()
