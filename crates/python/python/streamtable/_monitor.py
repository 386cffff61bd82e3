"""Logs function calls as rows."""

from __future__ import annotations

import functools
import inspect
import json
import logging
import threading
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextvars import ContextVar
from datetime import datetime, timezone
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import Any, TypeVar, cast

from ._convert import Instant, as_name, simplify
from ._errors import RowError
from ._media import Media
from ._outbox import Outbox
from ._table import StreamTable

_log = logging.getLogger("streamtable")

F = TypeVar("F", bound=Callable[..., Any])

MAX_ITEMS = 1000
"""Maximum number of items of a generator that are logged as its output."""

_OWN = ("name", "start", "end", "latency", "inputs", "output", "exception")


class Record:
    """One call or one ``with`` block that becomes a row.

    Its columns are ``name``, ``start``, ``end``, ``latency`` in seconds, ``inputs``, ``output`` and
    ``exception``, followed by the columns of :meth:`add_data`.
    """

    def __init__(self, owner: monitor, name: str, inputs: Mapping[str, Any] | None = None):
        self.name = name
        self.inputs: Mapping[str, Any] | None = inputs
        self.output: Any = None
        self.exception: str | None = None
        self.data: dict[str, Any] = {}
        self.start = datetime.now(timezone.utc)
        self.end: datetime | None = None
        self.latency: float | None = None
        self._owner = owner
        self._began = time.perf_counter()
        self._is_logged = False
        # Inputs of a call are converted before it, because the function may change them.
        self._has_converted_inputs = inputs is not None
        self._lock = threading.Lock()

    def add_data(self, data: Mapping[str, Any] | None = None, /, **more: Any) -> Record:
        """Add columns to the row. A repeated name replaces the earlier value."""
        for name, value in {**(data or {}), **more}.items():
            if name in _OWN:
                raise ValueError(f"{name!r} is a column of every record; choose another name")
            self.data[name] = value
        return self

    def get(self) -> Any:
        """Return what the function returned."""
        return self.output

    def finalize(self) -> None:
        """Log the row, once. Never raises an exception of the table: errors are warnings of the
        logger ``streamtable``.
        """
        self._stop()
        with self._lock:
            if self._is_logged:
                return
            self._is_logged = True
        self._owner._log(self)

    def _stop(self) -> None:
        if self.end is None:
            self.latency = time.perf_counter() - self._began
            self.end = datetime.now(timezone.utc)

    def _failed(self, error: BaseException) -> None:
        self._stop()
        self.exception = "".join(traceback.format_exception_only(type(error), error)).strip()

    def __repr__(self) -> str:
        return f"Record({self.name!r})"


class monitor:
    """Logs each call of a function, or each run of a block, as a row.

    >>> @monitor("me/shop/calls")                                       # doctest: +SKIP
    ... def price(item, count=1):
    ...     return count * 9.5

    >>> with monitor("me/shop/steps", name="import") as record:         # doctest: +SKIP
    ...     record.add_data(files=3)

    Works for plain functions, async functions and generators, for methods above or below
    ``classmethod`` and ``staticmethod``, and for functions that return a coroutine or a generator. A
    generator's row is logged when it ends, with the first thousand items as output. Exceptions are
    logged and raised again.

    A value that cannot be stored in a table is logged as its ``repr``. If two functions return values
    that cannot share a column, such as a list and a number, the cell of the later one is null and its
    value is JSON in the column ``misfit``.

    Neither errors of the table nor its waits reach the function: errors are warnings of the logger
    ``streamtable``, a full buffer drops the row, and a table is opened in the background. If the server
    cannot be reached, rows wait in the spool. The processors run in the call, and a table opened with
    ``sync="always"`` still waits for its disk.

    Args:
        table: The table or its name. A name is opened in the background at the first row, with evolving
            columns.
        name: The value of the column ``name``; the function's qualified name by default.
        input_preprocessor: Called with the arguments by name; returns the value to log as ``inputs``.
        output_postprocessor: Called with the function's result; returns the value to log as ``output``.
        auto_log: If ``False``, the function returns a :class:`Record`. Add data to it, then call
            :meth:`Record.finalize` to log it; :meth:`Record.get` returns the function's result. Not
            for generators.
    """

    def __init__(
        self,
        table: StreamTable | str,
        *,
        name: str | None = None,
        input_preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        output_postprocessor: Callable[[Any], Any] | None = None,
        auto_log: bool = True,
    ):
        if not isinstance(table, (str, StreamTable)):
            raise TypeError("call monitor with a table or its name: @monitor('me/shop/calls')")
        self._outbox = Outbox(table, _log_fitting)
        self._name = name
        self._inputs = input_preprocessor
        self._output = output_postprocessor
        self._auto_log = auto_log
        self._within: ContextVar[tuple[Record, ...]] = ContextVar("streamtable_within", default=())

    def __enter__(self) -> Record:
        record = Record(self, self._name or "block")
        self._within.set((*self._within.get(), record))
        return record

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        *rest, record = self._within.get()
        self._within.set(tuple(rest))
        if error is not None:
            record._failed(error)
        record._stop()
        if self._auto_log or error is not None:
            record.finalize()

    def __call__(self, function: F) -> F:
        if isinstance(function, (classmethod, staticmethod)):
            return cast(F, type(function)(self(function.__func__)))
        if isinstance(function, type):
            raise TypeError("monitor watches functions, not classes; decorate a method, such as __init__")
        name = self._name or _name_of(function)
        try:
            signature = inspect.signature(function)
        except ValueError:
            # Some builtins do not say their parameters.
            signature = _ANY_SIGNATURE

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Record:
            try:
                inputs = _by_name(signature, args, kwargs)
            except TypeError:
                # The call itself raises the better error.
                return Record(self, name)
            except Exception as error:
                _log.warning("the inputs of %s are not logged: %r", name, error)
                return Record(self, name)
            return Record(self, name, self._processed("input_preprocessor", self._inputs, inputs, name))

        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            if not self._auto_log:
                raise TypeError("a generator has no single result; monitor it with auto_log=True")
            follow = _AsyncItems if inspect.isasyncgenfunction(function) else _Items

            @functools.wraps(function)
            def items(*args: Any, **kwargs: Any) -> Any:
                return follow(function(*args, **kwargs), begin(args, kwargs))

            return cast(F, items)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                record = begin(args, kwargs)
                try:
                    coroutine = function(*args, **kwargs)
                except BaseException as error:
                    record._failed(error)
                    record.finalize()
                    raise
                return await self._awaited(record, coroutine)

            return cast(F, awaited)

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            record = begin(args, kwargs)
            try:
                record.output = function(*args, **kwargs)
            except BaseException as error:
                record._failed(error)
                record.finalize()
                raise
            return self._done(record)

        return cast(F, called)

    def _done(self, record: Record) -> Any:
        output = record.output
        # A function may return what an async function or a generator returns.
        if isinstance(output, CoroutineType):
            return self._awaited(record, output)
        if self._auto_log and isinstance(output, GeneratorType):
            return _Items(output, record)
        if self._auto_log and isinstance(output, AsyncGeneratorType):
            return _AsyncItems(output, record)
        record._stop()
        if not self._auto_log:
            return record
        record.finalize()
        return output

    async def _awaited(self, record: Record, coroutine: Awaitable[Any]) -> Any:
        try:
            record.output = await coroutine
        except BaseException as error:
            record._failed(error)
            record.finalize()
            raise
        return self._done(record)

    def _processed(
        self, kind: str, processor: Callable[[Any], Any] | None, value: Any, name: str
    ) -> Any:
        """Convert a value to one that a table accepts. Return ``None`` if its processor fails."""
        if processor is None:
            return _loggable(value)
        try:
            return _loggable(processor(value))
        except Exception as error:
            # Not the value itself, because a processor may have to remove secrets from it.
            _log.warning("the %s of %s failed, and null is logged: %r", kind, name, error)
            return None

    def _log(self, record: Record) -> None:
        try:
            inputs: Any = record.inputs
            if record._has_converted_inputs and self._auto_log:
                pass
            elif record._has_converted_inputs:
                # The caller has the record, and may have changed them.
                inputs = _loggable(inputs)
            elif inputs is not None:
                inputs = self._processed("input_preprocessor", self._inputs, dict(inputs), record.name)
            output = record.output
            if record.exception is None:
                output = self._processed("output_postprocessor", self._output, output, record.name)
            else:
                output = _loggable(output)
            row = {
                "name": record.name,
                "start": record.start,
                "end": record.end,
                "latency": record.latency,
                "inputs": inputs,
                "output": output,
                "exception": record.exception,
            }
            row.update((name, _loggable(value)) for name, value in record.data.items())
            self._outbox.put(row)
        except Exception as error:
            _log.warning("a call of %s was not logged: %s", record.name, error)

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has the rows of all calls so far."""
        return self._outbox.opened()


def _name_of(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return _name_of(function.func)
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def _any(*args: Any, **kwargs: Any) -> None: ...


_ANY_SIGNATURE = inspect.signature(_any)


def _by_name(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments of a call by the names of the function's parameters."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    inputs = dict(bound.arguments)
    first = next(iter(signature.parameters), None)
    if first in ("self", "cls"):
        inputs.pop(first, None)
    return inputs


def _log_fitting(table: StreamTable, row: dict[str, Any]) -> bool:
    """Log a row without waiting. Move values that do not fit their columns to the column ``misfit``.

    Returns ``False`` if the table must be opened first.
    """
    misfits: dict[str, Any] = {}
    while True:
        try:
            return table._log_now(row)
        except RowError as error:
            column = error.refused[0].column
            if column == "misfit" or column is None or row.get(column) is None:
                raise
            misfits[column] = row[column]
            row = {**row, column: None, "misfit": json.dumps(misfits, default=_repr)}


class _Items(Generator[Any, Any, Any]):
    """A generator whose items are recorded."""

    def __init__(self, inner: Generator[Any, Any, Any], record: Record):
        self._inner = inner
        self._record = record
        record.output = []

    def send(self, value: Any) -> Any:
        return self._step(lambda: self._inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._step(lambda: self._inner.throw(*error))

    def _step(self, step: Callable[[], Any]) -> Any:
        try:
            item = step()
        except (StopIteration, GeneratorExit):
            self._record.finalize()
            raise
        except BaseException as error:
            self._record._failed(error)
            self._record.finalize()
            raise
        _note(self._record, item)
        return item

    def __del__(self) -> None:
        # Does not close the generator, because the function may use it further.
        self._record.finalize()


class _AsyncItems(AsyncGenerator[Any, Any]):
    """An async generator whose items are recorded."""

    def __init__(self, inner: AsyncGenerator[Any, Any], record: Record):
        self._inner = inner
        self._record = record
        record.output = []

    async def asend(self, value: Any) -> Any:
        return await self._step(self._inner.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return await self._step(self._inner.athrow(*error))

    async def _step(self, step: Any) -> Any:
        try:
            item = await step
        except (StopAsyncIteration, GeneratorExit):
            self._record.finalize()
            raise
        except BaseException as error:
            self._record._failed(error)
            self._record.finalize()
            raise
        _note(self._record, item)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()
        self._record.finalize()

    def __del__(self) -> None:
        self._record.finalize()


def _note(record: Record, item: Any) -> None:
    if len(record.output) < MAX_ITEMS:
        # Converted now, because the caller may change the item. A postprocessor gets the items themselves.
        record.output.append(item if record._owner._output is not None else _loggable(item))


def _loggable(value: Any, depth: int = 0) -> Any:
    """Convert any value to one that a table accepts."""
    if depth > 20:
        return _repr(value)
    try:
        simple = simplify(value)
    except Exception:
        return _repr(value)
    # A point in time cannot change, so it is converted when the row is logged.
    value = value if isinstance(simple, Instant) else simple
    if isinstance(value, dict):
        fields = {}
        # A copy, because another thread may change the dict.
        for name, field in list(value.items()):
            try:
                name = as_name(name)
            except TypeError:
                name = _repr(name)
            fields[name] = _loggable(field, depth + 1)
        return fields
    if isinstance(value, (list, tuple)):
        return _alike([_loggable(item, depth + 1) for item in value])
    if type(value) is int and value.bit_length() > 63:
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def _alike(items: list[Any]) -> list[Any]:
    """Convert items to strings if they cannot be in one list: lists or dicts mixed with other kinds."""
    kinds = {_kind(item) for item in items} - {None}
    if len(kinds) > 1 and kinds & {"list", "dict"}:
        return [item if item is None or isinstance(item, str) else _repr(item) for item in items]
    return items


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return "dict"
    return "list" if isinstance(value, list) else "one"


def _repr(value: Any) -> str:
    if isinstance(value, Media):
        return repr(value)
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__qualname__}, whose repr fails: {error!r}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 1000 else text[:1000] + "…"
