"""The package's exceptions, one class per way to handle them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import Stats


class StreamTableError(Exception):
    """Base class of the package's exceptions."""


class OpenError(StreamTableError):
    """The table cannot be opened."""


class TableNameError(OpenError, ValueError):
    """The table name is invalid; nothing was created on the server."""


class AuthenticationError(OpenError):
    """There is no API key, or the server does not accept it for this table."""


class UnavailableError(OpenError):
    """The server cannot be reached, or is overloaded."""


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not accepted, and the reason."""

    index: int
    """The row's index in the call, from 0."""
    row: object
    """The row as passed; for a row of a frame, a dict of its cells."""
    reason: str
    """The reason, as text."""
    column: str | None = None
    """The column that caused the error, if it was one column."""


class FlushError(StreamTableError):
    """Not all rows are stored."""

    stats: Stats
    """The row counts so far."""


class FlushTimeoutError(FlushError, TimeoutError):
    """Not all rows were stored within the timeout; delivery continues."""


class LogError(StreamTableError):
    """Some rows of a call were refused. The other rows were accepted."""

    accepted: int = 0
    """The number of accepted rows."""
    refused: Sequence[RefusedRow] = ()
    """The refused rows, in the order of the call."""


class RowError(LogError, ValueError):
    """A row does not fit the table: an extra or missing column, or a cell of another type."""


class RowTypeError(LogError, TypeError):
    """A row contains a value that cannot be stored in a table."""


class BufferFullError(LogError):
    """The buffer of pending rows is full: log later, or open with ``when_full="wait"``."""


class StreamStoppedError(LogError, FlushError):
    """The server rejects all rows until a problem is fixed; then call ``resume()``.

    Accepted rows are kept.
    """


class TableFinishedError(LogError):
    """The table is finished: open it again to log more."""


class SpoolError(LogError):
    """The rows were accepted but are only in memory, because they could not be written to disk."""


class ReadError(StreamTableError):
    """A request that reads a table failed."""


class RowsRejectedWarning(UserWarning):
    """The server rejected rows of a table that was finished and has no ``on_reject``."""


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, as ``BaseException.add_note`` of Python 3.11 does."""
    error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined, unused-ignore]
