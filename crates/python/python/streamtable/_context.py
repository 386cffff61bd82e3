"""Columns that a table adds to each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from ._convert import as_row, frame_rows, rows_of

if TYPE_CHECKING:
    from ._table import StreamTable

_Columns = Mapping[str, Any]

# By table, so that columns for one table do not reach another.
_added: ContextVar[Mapping[int, _Columns] | None] = ContextVar("streamtable_added", default=None)


@contextmanager
def added(table: StreamTable, columns: _Columns) -> Iterator[None]:
    """Add columns to each row that this thread or task logs to the table in the block."""
    now = _added.get() or {}
    own = {**now.get(id(table), {}), **columns}
    token = _added.set({**now, id(table): own})
    table._have_constants(True)
    try:
        yield
    finally:
        _added.reset(token)


def with_constants(table: StreamTable, rows: Any) -> Any:
    """Return rows with the columns of the table and of the current context. A row's own value wins.

    Called by the native module, once ``extra`` or ``context`` has been used.
    """
    columns = {**table._extra, **(_added.get() or {}).get(id(table), {})}
    if not columns:
        return rows
    each = rows_of(rows)
    if each is None:
        return {**columns, **as_row(rows)}
    if hasattr(each, "__arrow_c_stream__") or hasattr(each, "__arrow_c_array__"):
        each = frame_rows(each, 0) or each
    return _each(each, columns)


def _each(rows: Any, columns: _Columns) -> Iterator[Any]:
    for row in rows:
        try:
            row = {**columns, **as_row(row)}
        except TypeError:
            # The native module refuses it, with the better error.
            pass
        yield row
