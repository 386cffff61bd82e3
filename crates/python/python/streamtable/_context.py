"""Columns that a table adds to each row."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from . import _native
from ._convert import Instant, as_row, frame_rows, is_frame, rows_of, simplify, with_default
from ._errors import TimestampWarning

if TYPE_CHECKING:
    from ._table import StreamTable

_Columns = Mapping[str, Any]

# Re-entrant, because a signal handler may log, too.
_lock = threading.RLock()

# By table, so that columns for one table do not reach another.
_added: ContextVar[Mapping[int, _Columns] | None] = ContextVar("streamtable_added", default=None)


@contextmanager
def added(table: StreamTable, columns: _Columns) -> Iterator[None]:
    """Add columns to each row that this thread or task logs to the table in the block."""
    now = _added.get() or {}
    own = {**now.get(id(table), {}), **columns}
    token = _added.set({**now, id(table): own})
    with _lock:
        table._has_context = True
        table._have_constants(True)
    try:
        yield
    finally:
        _added.reset(token)


def with_constants(table: StreamTable, rows: Any) -> Any:
    """Return rows with the columns of the table and of the current context, and with the values of ``default``.

    A row's own value wins. Called by the native module in the first call of ``log``, and in all calls
    once ``extra``, ``context`` or ``default`` has been used.
    """
    if not table._is_checked:
        table._is_checked = True
        _check_time(rows)
        with _lock:
            if not table._extra and not table._has_context and table._default is None:
                table._have_constants(False)
    columns = {**table._extra, **(_added.get() or {}).get(id(table), {})}
    if not columns and table._default is None:
        return rows
    each = rows_of(rows)
    if each is None:
        return _complete(rows, columns, table._default)
    if hasattr(each, "__arrow_c_stream__") or hasattr(each, "__arrow_c_array__"):
        each = frame_rows(each, 0) or each
    return _each(each, columns, table._default)


def _complete(row: Any, columns: _Columns, default: Callable[[Any], object] | None) -> dict[Any, Any]:
    row = {**columns, **as_row(row)}
    return row if default is None else with_default(row, default)  # type: ignore[no-any-return]


def _check_time(rows: Any) -> None:
    """Warn if the first row has a column ``timestamp`` of something else than times."""
    row = _first_of(rows)
    value = row.get("timestamp") if isinstance(row, Mapping) else None
    try:
        simple = simplify(value)
    except Exception:
        # The row is refused for it.
        return
    if simple is None or isinstance(simple, Instant):
        return
    if isinstance(simple, str) and _native.is_row_time(simple):
        return
    import warnings

    text = (
        'the column "timestamp" is the time of a row if it is a datetime or a text such as '
        '2026-01-02T03:04:05Z; this value is neither, so it stays a column like others, and the time at '
        'which a row is logged is "_timestamp"'
    )
    # The caller of `log`.
    warnings.warn(text, TimestampWarning, stacklevel=3)


def _first_of(rows: Any) -> Any:
    """Return the first row of a call of ``log``, or ``None`` if it comes from an iterator."""
    if isinstance(rows, Mapping):
        return rows
    if isinstance(rows, (list, tuple)):
        return rows[0] if rows else None
    cut = getattr(rows, "head", None) or getattr(rows, "slice", None)
    if is_frame(rows) and callable(cut):
        try:
            first = cut(1) if hasattr(rows, "head") else cut(0, 1)
            return next(iter(frame_rows(first, 0) or ()), None)
        except Exception:
            # The frame cannot be read; `log` says why.
            return None
    return None


def _each(rows: Any, columns: _Columns, default: Callable[[Any], object] | None) -> Iterator[Any]:
    for row in rows:
        try:
            row = _complete(row, columns, default)
        except TypeError:
            # The native module refuses it, with the better error.
            pass
        yield row


def _after_fork() -> None:
    global _lock
    # A thread of the parent may have held it.
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
