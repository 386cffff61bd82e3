"""Rows whose values do not fit their columns."""

from __future__ import annotations

import json
from typing import Any

from ._errors import RowError
from ._loggable import as_repr
from ._table import StreamTable


def log_fitting(table: StreamTable, row: dict[str, Any]) -> bool:
    """Log a row without waiting. Move values that do not fit their columns to others.

    Returns ``False`` if the table must be opened first.
    """
    misfits: dict[str, Any] = {}
    moved: set[str] = set()
    while True:
        try:
            return table._log_now(row)
        except RowError as error:
            column = error.refused[0].column
            if column == "misfit" or column is None or row.get(column) is None:
                raise
            value = row[column]
            other = f"{column}_{_kind_of(value)}"
            if column in moved or other in row:
                misfits[column] = value
                row = {**row, column: None, "misfit": json.dumps(misfits, default=as_repr)}
            else:
                moved.add(other)
                row = {**row, column: None, other: value}


def _kind_of(value: Any) -> str:
    if isinstance(value, dict):
        return "dict"
    return "list" if isinstance(value, list) else "value"
