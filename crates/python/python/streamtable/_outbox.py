"""Logging that never waits: neither for a server, nor for space in a buffer."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from . import _process
from ._errors import OpenError, UnavailableError
from ._table import StreamTable

Row = dict[str, Any]

MAX_WAITING = 10_000
"""Maximum number of rows that wait until the table is open; further rows are dropped."""

OPEN_TIMEOUT = 3.0
"""Seconds after which rows go to the spool if the server cannot be reached."""

EXIT_TIMEOUT = 4.0
"""Maximum seconds that the exit of the program waits until the tables are open."""

RETRY_PAUSES = (1.0, 30.0)
"""The first and the longest pause in seconds between two attempts to open a table."""


class Outbox:
    """Logs rows to a table that may not be open yet.

    A table given by its name is opened on a thread at the first row, and a table that was inherited
    by a forked process is opened again on a thread. Until it is open, rows wait in memory.
    """

    def __init__(self, table: StreamTable | str, log: Callable[[StreamTable, Row], bool]):
        """``log`` logs a row without waiting. It returns ``False`` if the table must be opened first."""
        self._name = table if isinstance(table, str) else None
        self._table = None if isinstance(table, str) else table
        self._log = log
        self._error: Exception | None = None
        self._has_failed = False
        self._reset()
        _outboxes.add(self)

    def _reset(self) -> None:
        # Its lock is re-entrant, because a signal handler or a finalizer may log, too.
        self._changed = threading.Condition()
        self._waiting: deque[Row] = deque()
        self._thread: threading.Thread | None = None
        self._has_warned = False

    def put(self, row: Row) -> None:
        """Log a row now, or when the table is open. Raises the table's error if it refuses the row."""
        table = self._table
        if table is not None and not self._waiting and self._log(table, row):
            return
        with self._changed:
            if self._has_failed:
                return
            if len(self._waiting) < MAX_WAITING:
                self._waiting.append(row)
                self._start()
                return
            has_warned, self._has_warned = self._has_warned, True
        if not has_warned:
            _process.warn("calls are not logged: %d rows wait for %s", MAX_WAITING, self)

    def opened(self) -> StreamTable:
        """Wait until the table is open and no row waits. Raises the error if it cannot be opened."""
        with self._changed:
            if self._table is None and not self._has_failed:
                self._start()
            self._changed.wait_for(lambda: self._error is not None or self._thread is None)
            if self._table is None:
                raise self._error or OpenError(f"{self} is not open")
            return self._table

    def drain(self, timeout: float) -> int:
        """Wait until no row waits, at most ``timeout`` seconds. Return the number of waiting rows."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting, max(timeout, 0))
            return len(self._waiting)

    @property
    def table(self) -> StreamTable | None:
        """The table, if it is open."""
        return self._table

    def __str__(self) -> str:
        return repr(self._name or self._table)

    def _start(self) -> None:
        if self._thread is not None:
            return
        thread = threading.Thread(target=self._run, name="streamtable-outbox", daemon=True)
        self._thread = thread
        # Children of multiprocessing must wait for the rows at their exit.
        _process.opened()
        try:
            thread.start()
        except RuntimeError:
            # The interpreter shuts down and starts no more threads.
            self._thread = None
            raise

    def _run(self) -> None:
        pause, longest = RETRY_PAUSES
        while True:
            table = self._open()
            if table is not None and self._send(table):
                return
            if self._has_failed:
                return
            if table is None:
                time.sleep(pause)
                pause = min(2 * pause, longest)

    def _open(self) -> StreamTable | None:
        try:
            table = self._table
            if table is None:
                table = StreamTable(
                    self._name or "",
                    columns="evolve",
                    when_unreachable="log_anyway",
                    open_timeout=OPEN_TIMEOUT,
                )
            else:
                # Opens it again after a fork.
                table.stats()
        except Exception as error:
            has_failed = not isinstance(error, UnavailableError)
            if self._error is None or has_failed:
                _process.warn("calls are not logged to %s: %s", self, error)
            with self._changed:
                self._error, self._has_failed = error, has_failed
                if has_failed:
                    self._waiting.clear()
                    self._thread = None
                self._changed.notify_all()
            return None
        with self._changed:
            self._table, self._error = table, None
        return table

    def _send(self, table: StreamTable) -> bool:
        """Log the waiting rows. Return whether no row is left."""
        while True:
            with self._changed:
                if not self._waiting:
                    self._thread = None
                    self._changed.notify_all()
                    return True
                row = self._waiting[0]
            try:
                if not self._log(table, row):
                    return False
            except Exception as error:
                _process.warn("a call of %s was not logged: %s", row.get("name"), error)
            with self._changed:
                # Only now, so that no later row overtakes it.
                self._waiting.popleft()


_outboxes: WeakSet[Outbox] = WeakSet()


def _drain_all() -> None:
    until = time.monotonic() + EXIT_TIMEOUT
    for outbox in list(_outboxes):
        left = outbox.drain(until - time.monotonic())
        if left:
            why = outbox._error or "the table is not open yet"
            _process.print_line(f"streamtable: {left} calls are not logged to {outbox}: {why}")


def _after_fork() -> None:
    # The waiting rows belong to the parent process, and its threads may hold the locks.
    for outbox in list(_outboxes):
        outbox._reset()


_process.before_exit.append(_drain_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
