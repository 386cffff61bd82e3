"""What can go wrong, by what a program may want to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._native import Stats


class StreamTableError(Exception):
    """Whatever the package raises on its own account."""


class OpenError(StreamTableError):
    """The table cannot be opened."""


class TableNameError(OpenError, ValueError):
    """The name is not one of a table; nothing was made on the server."""


class AuthenticationError(OpenError):
    """There is no API key, or the server does not accept it for this table."""


class UnavailableError(OpenError):
    """The server cannot be reached, or has too much to do."""


@dataclass(frozen=True)
class RefusedRow:
    """A row that was not taken, and why."""

    index: int
    """Its place in the call, from 0."""
    row: object
    """The row as it was given; of a frame, a dict of its cells."""
    reason: str
    """What is wrong, in words."""
    column: str | None = None
    """The column that is at fault, where it is one."""


class FlushError(StreamTableError):
    """Not all rows are stored."""

    stats: Stats
    """What became of the rows so far."""


class FlushTimeoutError(FlushError, TimeoutError):
    """Not all rows are stored within the time given; delivery goes on."""


class LogError(StreamTableError):
    """Not every row of a call was taken. The others were: a row is refused alone."""

    accepted: int = 0
    """How many rows of the call were taken."""
    refused: Sequence[RefusedRow] = ()
    """Those that were not, in the order of the call."""


class RowError(LogError, ValueError):
    """A row does not fit the table: a column too many or too few, or of another kind."""


class RowTypeError(LogError, TypeError):
    """A row holds a value that has no meaning in a table."""


class BufferFullError(LogError):
    """As many rows wait to be delivered as may: log later, or open with ``when_full="wait"``."""


class StreamStoppedError(LogError, FlushError):
    """The server wants no more until something is put right: then call ``resume()``.

    Rows that were taken are kept.
    """


class TableFinishedError(LogError):
    """The table is finished: open it again to log more."""


class SpoolError(LogError):
    """The rows were taken, but are only in memory, since the disk does not take them."""


class ReadError(StreamTableError):
    """The server did not answer a question about a table."""
