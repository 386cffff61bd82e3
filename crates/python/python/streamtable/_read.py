"""Conversion of query results to Python values."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ._convert import from_micros

_TIMESTAMP = '_wt_::{"type": "timestamp"}'

_NESTED = ("list<", "struct{")


def nested_columns(schema: bytes) -> list[str]:
    """Return the columns of lists and structs, which the server stores as JSON text."""
    columns = json.loads(schema)["columns"]
    return [column["name"] for column in columns if str(column["type"]).startswith(_NESTED)]


def decode_rows(rows: list[dict[str, Any]], names: Iterable[str]) -> list[dict[str, Any]]:
    """Decode the JSON text of some columns."""
    for name in names:
        for row in rows:
            if name in row:
                row[name] = _decoded(row[name])
    return rows


def decode_arrow(pyarrow: Any, table: Any, names: Iterable[str]) -> Any:
    """Decode the JSON text of some columns. A column whose values have no common type stays text."""
    for name in names:
        place = table.schema.get_field_index(name)
        if place < 0:
            continue
        try:
            values = pyarrow.array([_decoded(cell) for cell in table.column(place).to_pylist()])
        except (pyarrow.ArrowException, OverflowError):
            continue
        table = table.set_column(place, name, values)
    return table


def _decoded(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        # Accepts NaN and infinities, too.
        return json.loads(cell, object_hook=_revive)
    except ValueError:
        return cell


def _revive(fields: dict[str, Any]) -> Any:
    if fields.get("_type") != _TIMESTAMP:
        return fields
    # Milliseconds, and the microseconds of the last one.
    millis, micros = fields.get("_val"), fields.get("_micros", 0)
    if not isinstance(millis, (int, float)) or not isinstance(micros, int):
        return fields
    try:
        return from_micros(round(millis * 1000) + micros)
    except OverflowError:
        # Python's dates end with the year 9999.
        return fields
