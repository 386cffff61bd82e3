"""Conversion of query results to Python values.

The server stores lists and structs as JSON text, or as native Arrow columns. Text is decoded here by the
types that the server reports for the columns; native columns need no conversion.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, cast, overload

from . import _native
from ._convert import from_micros

if TYPE_CHECKING:
    import pandas as _pandas
    import polars as _polars
    import pyarrow as _pyarrow

_TIMESTAMP = '_wt_::{"type": "timestamp"}'

Types = Mapping[str, Any]
"""The types of columns of lists and structs, as the server writes types in JSON."""

_SCALARS = {"boolean": "bool_", "int": "int64", "float": "float64", "string": "string", "none": "null", "unknown": "null"}

_MEDIA = ("kind", "path", "hash", "size", "width", "height", "format", "caption")


def nested_types(schema: bytes) -> dict[str, Any]:
    """Return the types of the columns of lists and structs, from the server's description."""
    columns = json.loads(schema)["columns"]
    types = {column["name"]: _without_null(column["weave"]) for column in columns}
    return {name: type_ for name, type_ in types.items() if _name_of(type_) in ("list", "typedDict", "dict")}


def time_column(schema: bytes) -> str:
    """Return the column with the times of rows: ``timestamp``, unless that is a column of the user's."""
    types = {column["name"]: column["type"] for column in json.loads(schema)["columns"]}
    is_time = types.get("timestamp", "timestamp") in ("timestamp", "timestamp?", "null", "unknown")
    return "timestamp" if is_time else "_timestamp"


def _name_of(type_: Any) -> Any:
    return type_.get("type") if isinstance(type_, dict) else type_


def _without_null(type_: Any) -> Any:
    """Return the type of the values that are not null."""
    if _name_of(type_) != "union":
        return type_
    members = [member for member in type_.get("members", ()) if _name_of(member) != "none"]
    return members[0] if len(members) == 1 else {"type": "union", "members": members}


class Rows(Sequence[dict[str, Any]]):
    """The result of a query: a sequence of dicts, which converts itself to frames.

    >>> rows = table.rows(last=100)                                     # doctest: +SKIP
    >>> rows[0]["path"], len(rows)                                      # doctest: +SKIP
    ('/', 100)
    >>> rows.to_pandas().groupby("path")["ms"].mean()                   # doctest: +SKIP

    Lists and structs are returned as such, and timestamps as ``datetime`` in UTC. A cell of media is a
    dict of its kind, path and size; :meth:`StreamTable.read_media` returns its bytes.
    """

    def __init__(self, stream: bytes, types: Types):
        self._stream = stream
        self._types = types
        self._dicts: list[dict[str, Any]] | None = None

    def _all(self) -> list[dict[str, Any]]:
        if self._dicts is None:
            rows = _native.rows_of_arrow(self._stream) if self._stream else []
            self._dicts = decode_rows(rows, self._types)
        return self._dicts

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows as a list of dicts.

        >>> table.rows(limit=2).to_pylist()                             # doctest: +SKIP
        [{'path': '/', 'ms': 7}, {'path': '/a', 'ms': 1.5}]
        """
        return list(self._all())

    def to_arrow(self) -> _pyarrow.Table:
        """Return the rows as a ``pyarrow.Table``, in types that every version since 14 can sort and join.

        A column of lists or structs whose elements have no common type is JSON text.

        >>> table.rows().to_arrow().sort_by("ms")                       # doctest: +SKIP
        """
        pa = import_module("pyarrow")
        if not self._stream:
            return cast("_pyarrow.Table", pa.table({}))
        reader = import_module("pyarrow.ipc").open_stream(_native.arrow_without_views(self._stream))
        return cast("_pyarrow.Table", decode_arrow(pa, reader.read_all(), self._types))

    def to_pandas(self) -> _pandas.DataFrame:
        """Return the rows as a pandas frame.

        >>> table.rows(since="2026-01-01").to_pandas()                  # doctest: +SKIP
        """
        try:
            frame = self.to_arrow().to_pandas()
        except ImportError:
            frame = import_module("pandas").DataFrame(self._all())
        return cast("_pandas.DataFrame", frame)

    def to_polars(self) -> _polars.DataFrame:
        """Return the rows as a Polars frame.

        >>> table.rows(columns=["ms"]).to_polars().mean()               # doctest: +SKIP
        """
        pl = import_module("polars")
        try:
            frame = pl.from_arrow(self.to_arrow())
        except ImportError:
            frame = pl.DataFrame(self._all())
        return cast("_polars.DataFrame", frame)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        return self._all()[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._all())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self._all() == other._all()
        return self._all() == other if isinstance(other, list) else NotImplemented

    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __repr__(self) -> str:
        rows = self._all()
        shown = ", ".join(map(repr, rows[:3]))
        return f"<{len(rows)} rows: {shown}{', …' if len(rows) > 3 else ''}>"

    def _repr_html_(self) -> str:
        from ._notebook import static_table

        rows = self._all()
        more = f"<p>and {len(rows) - 100} rows more</p>" if len(rows) > 100 else ""
        return static_table(rows[:100]) + more


def decode_rows(rows: list[dict[str, Any]], types: Types) -> list[dict[str, Any]]:
    """Decode the JSON text of some columns, in place."""
    for name in types:
        for row in rows:
            if name in row:
                row[name] = _decoded(row[name])
    return rows


def decode_arrow(pyarrow: Any, table: Any, types: Types) -> Any:
    """Decode the JSON text of some columns. A column whose values have no common type stays text."""
    for place, field in enumerate(table.schema):
        if pyarrow.types.is_union(field.type):
            values = _of_union(pyarrow, table.column(place))
        elif field.name in types and pyarrow.types.is_string(field.type):
            values = _of_text(pyarrow, table.column(place), types[field.name])
        else:
            continue
        if values is not None:
            table = table.set_column(place, field.name, values)
    return table


def _of_text(pyarrow: Any, column: Any, type_: Any) -> Any:
    wanted = _arrow_type(pyarrow, type_)
    if wanted is None:
        return None
    try:
        return pyarrow.array([_decoded(cell) for cell in column.to_pylist()], wanted)
    except (pyarrow.ArrowException, OverflowError, TypeError, ValueError):
        # Text of SQL that has the name of a column, or an instant outside of Python's years.
        return None


def _of_union(pyarrow: Any, column: Any) -> Any:
    """Convert a result of ``json_get``, whose values may be of any kind."""
    cells = []
    for scalar in column:
        field = column.type.field(scalar.type_code)
        cell = scalar.value.as_py()
        cells.append(_decoded(cell) if field.name in ("array", "object") else cell)
    try:
        return pyarrow.array(cells)
    except (pyarrow.ArrowException, OverflowError):
        return pyarrow.array([None if cell is None else json.dumps(cell) for cell in cells])


def _arrow_type(pyarrow: Any, type_: Any) -> Any:
    """Return the Arrow type of a type, or ``None`` if it has none."""
    type_ = _without_null(type_)
    name = _name_of(type_)
    if name in _SCALARS:
        return getattr(pyarrow, _SCALARS[name])()
    if name == "timestamp":
        return pyarrow.timestamp("us", "UTC")
    if name in ("list", "dict"):
        element = _arrow_type(pyarrow, type_.get("objectType"))
        if element is None:
            return None
        return pyarrow.list_(element) if name == "list" else pyarrow.map_(pyarrow.string(), element)
    if name == "typedDict":
        fields = [(field, _arrow_type(pyarrow, of)) for field, of in type_["propertyTypes"].items()]
        return None if any(of is None for _, of in fields) else pyarrow.struct(fields)
    if isinstance(name, str) and name.endswith("-file"):
        of = {"size": pyarrow.int64(), "width": pyarrow.int32(), "height": pyarrow.int32()}
        return pyarrow.struct([(field, of.get(field, pyarrow.string())) for field in _MEDIA])
    return None


def _decoded(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("[", "{")):
        return cell
    try:
        # Accepts NaN and infinities, too.
        return json.loads(cell, object_hook=_revive)
    except ValueError:
        return cell


def _revive(fields: dict[str, Any]) -> Any:
    type_ = fields.get("_type")
    if not isinstance(type_, str):
        return fields
    if type_.endswith("-file") and "sha256" in fields:
        # As in a column of media.
        named = {**fields, "kind": type_.removesuffix("-file"), "hash": fields["sha256"]}
        return {name: named.get(name) for name in _MEDIA}
    if type_ != _TIMESTAMP:
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


def of_json(value: Any, type_: Any) -> Any:
    """Convert a cell of the API's JSON, in which an instant is text, by its type."""
    type_ = _without_null(type_)
    name = _name_of(type_)
    if name == "timestamp" and isinstance(value, str):
        return _instant(value)
    if name == "float" and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if name == "list" and isinstance(value, list):
        return [of_json(item, type_.get("objectType")) for item in value]
    if name == "typedDict" and isinstance(value, dict):
        types = type_.get("propertyTypes", {})
        return {field: of_json(item, types.get(field)) for field, item in value.items()}
    if isinstance(value, dict) and isinstance(value.get("_type"), str):
        return _revive(value)
    return value


def _instant(text: str) -> Any:
    from datetime import datetime

    try:
        # Python 3.10 does not know the Z.
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
