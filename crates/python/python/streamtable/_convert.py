"""Conversion of Python values for tables.

The native module handles plain values itself and calls this module for all others. Conversion never
imports another package: a value's type comes from a module that is already loaded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from datetime import date, datetime, time, timedelta, timezone
from enum import Enum
from itertools import islice
from types import SimpleNamespace
from typing import Any, TypeVar

from ._errors import RowTypeError
from ._media import Media, media_of
from ._native import MediaStats, Recovered, Stats

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_PLAIN = frozenset((type(None), bool, int, float, str, list, tuple, dict))

_EXACT_DIGITS = 15
"""Maximum number of significant digits that every float keeps."""

_MAX_EXPONENT = 400
"""Exponent of a decimal number above which its digits are not written out."""

_MAX_DEFAULTS = 8
"""Maximum number of times that ``default`` converts its own result."""

MAX_ARRAY = 65_536
"""Maximum number of elements of an array in a cell."""


class Instant:
    """A point in time: microseconds since 1970 in UTC, or of local time if ``fold`` is given.

    ``fold`` is true for the second of two times that are equal because clocks were set back.
    """

    __slots__ = ("fold", "micros")

    def __init__(self, micros: int, fold: bool | None = None):
        self.micros = micros
        self.fold = fold


def simplify(value: Any) -> object:
    """Convert a value to a plain value, an ``Instant`` or ``Media``.

    The elements of a list, tuple or dict are not converted.
    """
    if type(value) in _PLAIN or isinstance(value, (Media, Instant)):
        return value
    if isinstance(value, _Failed):
        raise TypeError(value.reason)
    if _registered:
        convert = _registered_for(type(value))
        if convert is not None:
            return simplify(convert(value))
    # Before str and int, because enum members may be both.
    if isinstance(value, Enum):
        return simplify(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _seconds(value)
    if _is_of(value, "decimal", "Decimal"):
        return _decimal(value)
    if _is_of(value, "fractions", "Fraction"):
        return float(value)
    if _is_of(value, "uuid", "UUID"):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        kind = type(value).__qualname__
        raise TypeError(
            f"{kind} has no media type; wrap it in Image, Audio, Video, Html or Markdown"
        )
    if isinstance(value, Mapping):
        return dict(value.items())
    if isinstance(value, Set):
        return _in_order(value)
    if isinstance(value, (tuple, list)):
        return list(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(type(value), "__pydantic_root_model__") and value.__pydantic_root_model__:
        return simplify(value.root)
    found = _of_other_packages(value)
    if found is not _NOTHING:
        return found
    fields = _fields(value)
    if fields is not None:
        return fields
    if isinstance(value, (Sequence, ValuesView)):
        return list(value)
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    if type(value).__module__.split(".")[0] in ("ipaddress", "pydantic", "pydantic_core"):
        # Addresses, URLs and secrets, whose text hides them.
        return str(value)
    if object in _registered:
        return simplify(_registered[object](value))
    kind = type(value).__qualname__
    raise TypeError(
        f"a value of type {kind} cannot be stored in a table; convert it to a number, a string, a list, "
        "a dict or media, or convert it with the option default or streamtable.register"
    )


def _is_of(value: Any, module: str, name: str) -> bool:
    """Return whether a value is of a class of a module, without importing it."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(value, kind)


def _decimal(value: Any) -> object:
    """Convert a decimal number as the columns of frames are: without a loss of digits."""
    if not value.is_finite():
        return float("nan") if value.is_nan() else float(value)
    if abs(value.adjusted()) > _MAX_EXPONENT:
        return str(value)
    text = format(value, "f")
    whole, point, fraction = text.lstrip("-").partition(".")
    if not point:
        return int(text) if -(2**63) <= int(text) < 2**63 else text
    digits = (whole + fraction.rstrip("0")).lstrip("0")
    return float(text) if len(digits) <= _EXACT_DIGITS else text


_registered: dict[type, Callable[[Any], object]] = {}

T = TypeVar("T")


def register(kind: type[T], convert: Callable[[T], object]) -> None:
    """Convert values of a class and its subclasses by a function, in all tables.

    The function returns a value that a table accepts. It takes precedence over the package's own
    conversion, except for exact ``bool``, ``int``, ``float``, ``str``, ``list``, ``tuple`` and ``dict``.
    A function for ``object`` is used for values that have no other conversion.

    >>> streamtable.register(complex, lambda z: {"re": z.real, "im": z.imag})   # doctest: +SKIP
    >>> streamtable.register(object, repr)                              # doctest: +SKIP
    """
    if not isinstance(kind, type):
        raise TypeError(f"register takes a class, not {kind!r}")
    _registered[kind] = convert


def _registered_for(kind: type) -> Callable[[Any], object] | None:
    return next((_registered[base] for base in kind.__mro__[:-1] if base in _registered), None)


class _Failed:
    """Stands for a value that ``default`` could not convert; its row is refused."""

    __slots__ = ("reason",)

    def __init__(self, value: Any, why: object):
        self.reason = f"default cannot convert a value of type {type(value).__qualname__}: {why}"


def with_default(value: Any, default: Callable[[Any], object], depth: int = 0) -> Any:
    """Convert the parts of a value that no table accepts by a function, as ``json.dumps`` does."""
    kind = type(value)
    if kind is dict:
        return {name: with_default(cell, default, depth) for name, cell in value.items()}
    if kind is list or kind is tuple:
        return [with_default(item, default, depth) for item in value]
    try:
        simple = simplify(value)
    except Exception as error:
        return _by_default(value, default, depth, error)
    if type(simple) is int and simple.bit_length() > 63 and simple != -(2**63):
        return _by_default(value, default, depth, "more than 64 bits")
    if isinstance(simple, (dict, list, tuple)):
        return with_default(simple, default, depth)
    # A point in time is converted when the row is logged.
    return value if isinstance(simple, Instant) else simple


def _by_default(value: Any, default: Callable[[Any], object], depth: int, why: object) -> Any:
    if depth == _MAX_DEFAULTS:
        return _Failed(value, why)
    try:
        return with_default(default(value), default, depth + 1)
    except Exception as error:
        return _Failed(value, repr(error))


def as_row(row: Any) -> dict[Any, Any]:
    """Convert a row to a dict."""
    if isinstance(row, Mapping):
        return dict(row.items())
    # Before the fields, because the columns of a frame look like those of a row.
    fields = None if is_frame(row) else _row_fields(row)
    if fields is None:
        kind = type(row).__qualname__
        raise TypeError(f"a row must be a dict or another mapping of columns, not {kind}{_hint(row)}")
    return fields


def _rows_without_arrow(frame: Any) -> Iterator[object] | None:
    try:
        return frame_rows(frame, 0)
    except TypeError as error:
        raise RowTypeError(str(error)) from None


def _types(table: Any) -> set[str]:
    """Return the names of the types of a PyArrow table's columns."""
    return {str(kind) for kind in getattr(getattr(table, "schema", None), "types", ())}


def _differs_in_arrow(frame: Any) -> bool:
    """Return whether Arrow has other values for the cells of a column than they are alone."""
    if _is_of(frame, "polars", "DataFrame"):
        objects = sys.modules["polars"].Object
        return any(dtype == objects for dtype in frame.dtypes)
    pandas = sys.modules["pandas"]
    columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
    index = frame.index
    columns += [index.get_level_values(n) for n, name in enumerate(index.names) if name is not None]
    return any(_column_differs(column, pandas) for column in columns)


def _column_differs(column: Any, pandas: Any) -> bool:
    dtype = column.dtype
    categories = getattr(dtype, "categories", None)
    if categories is not None:
        # Their values.
        column, dtype = categories, categories.dtype
    if isinstance(dtype, (pandas.PeriodDtype, pandas.IntervalDtype)):
        return True
    if dtype != object:
        return False
    first = next((cell for cell in column if not _is_missing(cell, pandas)), None)
    # Arrow refuses a column of several kinds, which is then read by rows.
    return not _is_same_in_arrow(first)


def _is_missing(cell: Any, pandas: Any) -> bool:
    return cell is None or cell is pandas.NA or cell is pandas.NaT or (type(cell) is float and cell != cell)


def _is_same_in_arrow(cell: Any) -> bool:
    if _registered and _registered_for(type(cell)) is not None:
        return False
    if isinstance(cell, (list, tuple, dict)) or getattr(getattr(cell, "dtype", None), "kind", "") == "f":
        # PyArrow makes null of NaN in them in some versions, and adds fields to dicts.
        return getattr(cell, "ndim", 1) == 0
    if type(cell) in _PLAIN or isinstance(cell, (date, time, timedelta)):
        return True
    module = type(cell).__module__.split(".")[0]
    return module in ("numpy", "pandas", "pyarrow", "polars") or _is_of(cell, "decimal", "Decimal")


def is_frame(value: Any) -> bool:
    """Return whether a value is a pandas or Polars frame, a PyArrow table or similar."""
    if _is_of(value, "pandas", "DataFrame") or _is_of(value, "polars", "DataFrame"):
        return True
    exports = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")
    return exports and (hasattr(value, "num_columns") or len(getattr(value, "shape", ())) == 2)


def _hint(value: Any) -> str:
    """Return what to do with a value that is not a row."""
    if is_frame(value):
        return "; log each frame by a call of its own"
    if callable(getattr(value, "collect", None)):
        return "; call its method collect first"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return "; name the columns, as in log(dict(zip(names, row)) for row in array)"
    return ""


def rows_of(rows: Any) -> Iterable[object] | None:
    """Return the rows of a collection of rows, or ``None`` if it is a single row."""
    if isinstance(rows, Mapping):
        return None
    if _is_of(rows, "pandas", "DataFrame") or _is_of(rows, "polars", "DataFrame"):
        # Old versions export no Arrow data.
        usable = hasattr(rows, "__arrow_c_stream__") and not _differs_in_arrow(rows)
        return rows if usable else _rows_without_arrow(rows)
    if _row_fields(rows) is not None:
        return None
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__"):
        # Columns of UUIDs are bytes in Arrow.
        has_uuids = callable(getattr(rows, "to_pylist", None)) and "extension<arrow.uuid>" in _types(rows)
        return _rows_without_arrow(rows) if has_uuids else rows
    if isinstance(rows, Iterable) and not isinstance(
        rows, (str, bytes, bytearray, memoryview)
    ):
        return rows
    # Treat it as one row, which then fails with an error.
    return None


def as_name(key: object) -> str:
    """Convert a key to a column name, as JSON does."""
    if isinstance(key, Enum):
        return as_name(key.value)
    if isinstance(key, str):
        return str.__str__(key)
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return int.__repr__(int(key))
    if isinstance(key, float):
        return float.__repr__(float(key))
    kind = type(key).__qualname__
    raise TypeError(f"a column name must be a string, not {kind}")


def from_micros(micros: int) -> datetime:
    """Return a timestamp as a datetime."""
    return _EPOCH + timedelta(microseconds=micros)


def _instant(value: datetime) -> Instant | None:
    # pandas.NaT is a datetime that does not equal itself.
    if value != value:
        return None
    fold = None
    if value.utcoffset() is None:
        # Without a time zone, it is local time.
        fold = bool(value.fold)
        value = value.replace(tzinfo=timezone.utc)
    since = value - _EPOCH
    micros = (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return Instant(micros, fold)


def _seconds(value: timedelta) -> float | None:
    return None if value != value else timedelta.total_seconds(value)


def _in_order(values: Set[Any]) -> list[Any]:
    """Return the elements sorted if possible, so that the order is the same in each run."""
    try:
        return sorted(values)
    except TypeError:
        return list(values)


_NOTHING = object()


def _of_other_packages(value: Any) -> object:
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.generic):
            return _numpy_scalar(value, numpy)
        if isinstance(value, numpy.ndarray):
            return _array(value, numpy)
    pandas = sys.modules.get("pandas")
    if pandas is not None:
        if value is pandas.NA:
            return None
        if isinstance(value, (pandas.Period, pandas.Interval)):
            return str(value)
        if isinstance(value, pandas.DataFrame):
            return list(_frame_rows(value))
        if isinstance(value, (pandas.Series, pandas.Index)):
            missing = value.isna()
            return [None if gone else cell for cell, gone in zip(value, missing)]
    media = media_of(value)
    if media is not None:
        return media
    # Scalars, arrays and frames of Arrow and Polars.
    for method in ("as_py", "to_pylist", "to_dicts", "to_list"):
        convert = getattr(value, method, None)
        if callable(convert) and not isinstance(value, type):
            return simplify(convert())
    # Tensors of PyTorch, JAX and others.
    if hasattr(value, "__array__") or hasattr(value, "__dlpack__"):
        if hasattr(value, "detach"):
            value = value.detach().cpu()
        _check_size(getattr(value, "shape", ()))
        if hasattr(value, "tolist"):
            return simplify(value.tolist())
        if numpy is not None:
            return _array(numpy.asarray(value), numpy)
    return _NOTHING


def _numpy_scalar(value: Any, numpy: Any) -> object:
    if isinstance(value, numpy.datetime64):
        if numpy.isnat(value):
            return None
        # It has no time zone, so it is local time.
        return Instant(int(value.astype("datetime64[us]").astype("int64")), False)
    if isinstance(value, numpy.timedelta64):
        return None if numpy.isnat(value) else float(value / numpy.timedelta64(1, "s"))
    if isinstance(value, numpy.floating):
        return float(value)
    if isinstance(value, (numpy.bool_, numpy.integer)):
        return value.item()
    if isinstance(value, numpy.void) and value.dtype.names:
        return {name: value[name] for name in value.dtype.names}
    raise TypeError(f"a value of type numpy.{type(value).__name__} cannot be stored in a table")


def _array(value: Any, numpy: Any) -> object:
    _check_size(value.shape)
    kind = value.dtype.kind
    if kind in "mM":
        if value.ndim == 0:
            return _numpy_scalar(value[()], numpy)
        return [_array(item, numpy) if item.ndim else _numpy_scalar(item[()], numpy) for item in value]
    if kind in "biuUOT":
        return simplify(value.tolist())
    if kind == "f":
        return simplify(value.astype("float64").tolist())
    if kind == "V" and value.dtype.names:
        return [dict(zip(value.dtype.names, item.tolist())) for item in value.reshape(-1)]
    raise TypeError(f"an array of {value.dtype} cannot be stored in a table")


def _check_size(shape: Iterable[int]) -> None:
    size = 1
    for side in shape:
        size *= side
    if size > MAX_ARRAY:
        raise TypeError(
            f"an array of {size} elements is too large for a cell, at most {MAX_ARRAY} are allowed; "
            "log a summary of it, or an Image"
        )


def _row_fields(row: Any) -> dict[Any, Any] | None:
    if isinstance(row, tuple) and hasattr(row, "_asdict"):
        return dict(row._asdict())
    fields = _fields(row)
    if fields is not None:
        return fields
    # Rows of a structured array.
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(row, numpy.void) and row.dtype.names:
        return {name: row[name] for name in row.dtype.names}
    # Database rows, such as sqlite3.Row.
    keys = getattr(row, "keys", None)
    if callable(keys) and hasattr(row, "__getitem__") and not isinstance(row, type):
        return {key: row[key] for key in keys()}
    return None


def _fields(value: Any) -> dict[Any, Any] | None:
    """Return the fields of a dataclass, a pydantic model or an attrs class."""
    if isinstance(value, type):
        return None
    names = getattr(value, "__dataclass_fields__", None)
    if names is not None:
        # Excludes class variables and init-only fields.
        from dataclasses import fields

        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(value, "__pydantic_fields__") or hasattr(value, "__fields__"):
        dump = getattr(value, "model_dump", None)
        if callable(dump):
            return _model_fields(dump)
        dump = getattr(value, "dict", None)
        if callable(dump):
            return dict(dump())
    if isinstance(value, (Stats, MediaStats, Recovered)):
        return value._asdict()
    if isinstance(value, SimpleNamespace) or type(value).__module__ == "argparse":
        return dict(vars(value))
    names = getattr(value, "__struct_fields__", None)
    if isinstance(names, tuple):
        # msgspec.Struct.
        return {name: getattr(value, name) for name in names}
    attributes = getattr(value, "__attrs_attrs__", None)
    if attributes is not None:
        return {attribute.name: getattr(value, attribute.name) for attribute in attributes}
    return None


def _model_fields(dump: Any) -> dict[Any, Any] | None:
    """Return the fields of a pydantic model. A field that has no value of a table is as in JSON."""
    fields = dump()
    if not isinstance(fields, dict):
        return None
    odd = [name for name, value in fields.items() if not _is_simple(value)]
    if odd:
        as_json = dump(mode="json")
        fields.update((name, as_json[name]) for name in odd if name in as_json)
    return fields


def _is_simple(value: Any) -> bool:
    """Return whether a value and all its elements can be stored in a table."""
    try:
        value = simplify(value)
    except Exception:
        return False
    if isinstance(value, dict):
        return all(map(_is_simple, value.values()))
    return not isinstance(value, list) or all(map(_is_simple, value))


def frame_rows(frame: Any, first: int) -> Iterator[object] | None:
    """Iterate over a frame's rows from ``first`` on, if its Arrow data cannot be used.

    Returns ``None`` if they cannot be read in another way.
    """
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(frame, pandas.DataFrame):
        return islice(_frame_rows(frame), first, None)
    if callable(getattr(frame, "iter_rows", None)):
        return islice(frame.iter_rows(named=True), first, None)
    for method in ("to_pylist", "to_list"):
        convert = getattr(frame, method, None)
        if callable(convert):
            return islice(convert(), first, None)
    return None


def _frame_rows(frame: Any) -> Iterator[dict[str, object]]:
    """Iterate over the rows of a pandas frame without pyarrow."""
    columns = {str(name): frame.iloc[:, place] for place, name in enumerate(frame.columns)}
    if len(columns) < frame.shape[1]:
        raise TypeError("two columns of the frame have the same name; keep one")
    for place, name in enumerate(frame.index.names):
        if name is not None:
            columns[str(name)] = frame.index.get_level_values(place).to_series()
    cells = [
        [None if gone else cell for cell, gone in zip(column, column.isna())]
        for column in columns.values()
    ]
    return (dict(zip(columns, row)) for row in zip(*cells))
