"""The package's exceptions, one class per way to handle them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

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


class RefusedRow:
    """A row that was not accepted, and the reason.

    >>> try:                                                            # doctest: +SKIP
    ...     table.log(rows)
    ... except streamtable.LogError as error:
    ...     for refused in error.refused:
    ...         print(refused.index, refused.column, refused.reason)
    """

    # Not a dataclass, because the import of that module takes several milliseconds.
    __slots__ = ("column", "index", "reason", "row")

    index: int
    """The row's index in the call, from 0."""
    row: object
    """The row as passed; for a row of a frame, a dict of its cells."""
    reason: str
    """The reason, as text."""
    column: str | None
    """The column that caused the error, if it was one column."""

    def __init__(self, index: int, row: object, reason: str, column: str | None = None):
        for name, value in (("index", index), ("row", row), ("reason", reason), ("column", column)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"cannot assign to {name!r}: a RefusedRow cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"cannot delete {name!r}: a RefusedRow cannot be changed")

    def _values(self) -> tuple[int, object, str, str | None]:
        return self.index, self.row, self.reason, self.column

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, RefusedRow) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        index, row, reason, column = self._values()
        return f"RefusedRow(index={index!r}, row={row!r}, reason={reason!r}, column={column!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return RefusedRow, self._values()


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


class TimestampWarning(UserWarning):
    """The first row of a table has a column ``timestamp`` that is no time.

    The column of this name is the time of a row: a ``datetime`` or a text such as
    ``2026-01-02T03:04:05Z`` that the row has, otherwise the time at which it was logged. Another value
    makes it a column like others; then the time at which a row was logged is ``_timestamp``.

    >>> table.log({"timestamp": "yesterday"})                           # doctest: +SKIP
    """


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, as ``BaseException.add_note`` of Python 3.11 does."""
    error.__notes__ = [*getattr(error, "__notes__", ()), note]  # type: ignore[attr-defined, unused-ignore]


# Tracebacks name the classes as programs import them.
for _kind in [kind for kind in globals().values() if isinstance(kind, type)]:
    if _kind.__module__ == __name__:
        _kind.__module__ = "streamtable"
del _kind
