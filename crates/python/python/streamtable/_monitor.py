"""Logs function calls as rows."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import ContextVar
from types import AsyncGeneratorType, CoroutineType, GeneratorType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, overload

from ._follow import AsyncItems, Items, Managed, follow_stream, is_manager, is_stream
from ._llm import Prices, cost_of, facts_of
from ._loggable import SECRETS, Redact, as_repr, loggable, redactor
from ._outbox import Outbox
from ._process import warn
from ._record import Record, is_off
from ._table import StreamTable

if TYPE_CHECKING:
    from typing_extensions import ParamSpec

    _P = ParamSpec("_P")

F = TypeVar("F", bound=Callable[..., Any])


class monitor:
    """Logs each call of a function, or each run of a block, as a row.

    >>> @monitor("me/shop/calls")                                       # doctest: +SKIP
    ... def price(item, count=1):
    ...     return count * 9.5

    >>> with monitor("me/shop/steps", name="import") as record:         # doctest: +SKIP
    ...     record.add_data(files=3)

    Works for plain functions, async functions and generators, for methods above or below
    ``classmethod`` and ``staticmethod``, and for functions that return a coroutine, a generator or a
    streamed response of OpenAI or Anthropic. A generator's row is logged when it ends, with the first
    thousand items as output. A class gets a monitor for each public method that it defines, and for
    ``__call__``. Exceptions are logged and raised again.

    A call within another is its child: it has the same ``trace_id``, and the other's ``id`` as
    ``parent_id``. :func:`current` is the record of the running call, :func:`attributes` adds columns to
    all calls of a block. A new thread begins a new trace, unless it runs in a copy of the context.

    A value that cannot be stored in a table is logged as its ``repr``. One table can serve many
    functions: a column may have values of several kinds.

    If the environment variable ``STREAMTABLE_MONITOR`` is ``off``, nothing is logged.

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
        sample: The part of the calls that is logged, from 0 to 1. A call within another follows it.
        redact: Names of arguments, fields and columns whose values are not logged, in any case and at
            any depth; by default names of passwords and keys. Or a function that is called with each
            name and value, and returns the value to log.
        accumulate: Called with the list of a generator's items, when it ends; returns the output.
        prices: For responses of language models, the price of a million input tokens and of a million
            output tokens, by the beginning of the model's name, for the column ``cost``.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(
            cls,
            table: StreamTable | str,
            *,
            name: str | None = None,
            input_preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
            output_postprocessor: Callable[[Any], Any] | None = None,
            auto_log: Literal[False],
            sample: float = 1.0,
            redact: Redact = SECRETS,
            accumulate: Callable[[list[Any]], Any] | None = None,
            prices: Prices | None = None,
        ) -> _Recording: ...
        @overload
        def __new__(
            cls,
            table: StreamTable | str,
            *,
            name: str | None = None,
            input_preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
            output_postprocessor: Callable[[Any], Any] | None = None,
            auto_log: bool = True,
            sample: float = 1.0,
            redact: Redact = SECRETS,
            accumulate: Callable[[list[Any]], Any] | None = None,
            prices: Prices | None = None,
        ) -> monitor: ...
        def __new__(cls, table: StreamTable | str, **options: Any) -> monitor: ...

    def _set_up(
        self,
        table: StreamTable | str,
        *,
        name: str | None = None,
        input_preprocessor: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None,
        output_postprocessor: Callable[[Any], Any] | None = None,
        auto_log: bool = True,
        sample: float = 1.0,
        redact: Redact = SECRETS,
        accumulate: Callable[[list[Any]], Any] | None = None,
        prices: Prices | None = None,
    ) -> None:
        if not isinstance(table, (str, StreamTable)):
            raise TypeError("call monitor with a table or its name: @monitor('me/shop/calls')")
        self._outbox = Outbox(table, StreamTable._log_now)
        self._name = name
        self._inputs = input_preprocessor
        self._output = output_postprocessor
        self._auto_log = auto_log
        self._sample = sample
        self._hide = redactor(redact)
        self._join = accumulate
        self._prices = prices or {}
        self._within: ContextVar[tuple[Record, ...]] = ContextVar("streamtable_within", default=())

    if not TYPE_CHECKING:
        # Type checkers take the signature of `__new__`, whose result depends on `auto_log`.
        __init__ = _set_up
        # As errors about its arguments name it.
        __init__.__qualname__ = "monitor"

    def __enter__(self) -> Record:
        record = self._record(self._name or "block")
        self._within.set((*self._within.get(), record))
        record._enter()
        return record

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        *rest, record = self._within.get()
        self._within.set(tuple(rest))
        record._leave()
        if error is not None:
            record._failed(error)
        record._stop()
        if self._auto_log or error is not None:
            record.finalize()

    def __call__(self, function: F) -> F:
        if isinstance(function, (classmethod, staticmethod)):
            return cast(F, type(function)(self(function.__func__)))
        if isinstance(function, type):
            return cast(F, self._of_class(function))
        name = self._name or _name_of(function)
        try:
            signature = inspect.signature(function)
        except ValueError:
            # Some builtins do not say their parameters.
            signature = _ANY_SIGNATURE

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Record:
            record = self._record(name)
            if not record._is_sampled:
                return record
            try:
                inputs = _by_name(signature, args, kwargs)
            except TypeError:
                # The call itself raises the better error.
                return record
            except Exception as error:
                warn("the inputs of %s are not logged: %r", name, error)
                return record
            record.inputs = self._processed("input_preprocessor", self._inputs, inputs, name)
            record._has_converted_inputs = record.inputs is not None
            return record

        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            if not self._auto_log:
                raise TypeError("a generator has no single result; monitor it with auto_log=True")
            follow = AsyncItems if inspect.isasyncgenfunction(function) else Items

            @functools.wraps(function)
            def items(*args: Any, **kwargs: Any) -> Any:
                return follow(function(*args, **kwargs), begin(args, kwargs), self._kept, self._join)

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
            record._enter()
            try:
                record.output = function(*args, **kwargs)
            except BaseException as error:
                record._failed(error)
                record.finalize()
                raise
            finally:
                record._leave()
            return self._done(record)

        return cast(F, called)

    def _record(self, name: str) -> Record:
        return Record(None if is_off() else self, name, sample=self._sample)

    def _of_class(self, watched: type) -> type:
        """Monitor the public methods that a class defines. Returns the same class."""
        for name, method in list(vars(watched).items()):
            if name.startswith("_") and name != "__call__":
                continue
            if inspect.isfunction(method) or isinstance(method, (classmethod, staticmethod)):
                setattr(watched, name, self(cast(Any, method)))
        return watched

    def _kept(self, item: Any) -> Any:
        # A postprocessor and `accumulate` get the items themselves.
        if self._output is not None or self._join is not None:
            return item
        return self._loggable(item)

    def _loggable(self, value: Any) -> Any:
        return loggable(value, self._hide)

    def _done(self, record: Record) -> Any:
        output = record.output
        # A function may return what an async function or a generator returns.
        if isinstance(output, CoroutineType):
            return self._awaited(record, output)
        if self._auto_log and isinstance(output, GeneratorType):
            return Items(output, record, self._kept, self._join)
        if self._auto_log and isinstance(output, AsyncGeneratorType):
            return AsyncItems(output, record, self._kept, self._join)
        if self._auto_log and is_stream(output) and hasattr(output, "_iterator"):
            return follow_stream(output, record)
        if self._auto_log and is_manager(output):
            return Managed(output, record)
        record._stop()
        if not self._auto_log:
            return record
        record.finalize()
        return output

    async def _awaited(self, record: Record, coroutine: Awaitable[Any]) -> Any:
        record._enter()
        try:
            record.output = await coroutine
        except BaseException as error:
            record._failed(error)
            record.finalize()
            raise
        finally:
            record._leave()
        return self._done(record)

    def _processed(
        self, kind: str, processor: Callable[[Any], Any] | None, value: Any, name: str
    ) -> Any:
        """Convert a value to one that a table accepts. Return ``None`` if its processor fails."""
        if processor is None:
            return self._loggable(value)
        try:
            return self._loggable(processor(value))
        except Exception as error:
            # Not the value itself, because a processor may have to remove secrets from it.
            warn("the %s of %s failed, and null is logged: %r", kind, name, error)
            return None

    def _log(self, record: Record) -> None:
        try:
            inputs: Any = record.inputs
            if record._has_converted_inputs and self._auto_log:
                pass
            elif record._has_converted_inputs:
                # The caller has the record, and may have changed them.
                inputs = self._loggable(inputs)
            elif inputs is not None:
                inputs = self._processed("input_preprocessor", self._inputs, dict(inputs), record.name)
            output = record.output
            if record.exception is None:
                output = self._processed("output_postprocessor", self._output, output, record.name)
            else:
                output = self._loggable(output)
            row = {
                "name": record.name,
                "start": record.start,
                "end": record.end,
                "latency": record.latency,
                "inputs": inputs,
                "output": output,
                "exception": record.exception,
                "id": record.id,
                "trace_id": record.trace_id,
                "parent_id": record.parent_id,
            }
            facts = {**facts_of(record.output), **record._model}
            cost = cost_of(facts, self._prices)
            more = {**record.attributes, **facts, **({} if cost is None else {"cost": cost}), **record.data}
            row.update(self._loggable(more))
            self._outbox.put(row)
        except Exception as error:
            warn("a call of %s was not logged: %s", record.name, error)

    def feedback(self, record_id: str, **scores: Any) -> None:
        """Log a row of scores for a record, by the record's ``id``, as :meth:`Record.feedback` does.

        >>> calls = monitor("me/shop/calls")                            # doctest: +SKIP
        >>> calls.feedback(record_id, thumbs_up=True)                   # doctest: +SKIP
        """
        if not is_off():
            self._log_feedback(record_id, None, scores)

    def _log_feedback(self, record_id: str, trace_id: str | None, scores: Mapping[str, Any]) -> None:
        record = Record(self, "feedback")
        record.add_data(scores)
        record.parent_id, record.trace_id = record_id, trace_id or record_id
        record.finalize()

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


if TYPE_CHECKING:

    class _Recording(monitor):
        """A monitor whose functions return their records."""

        @overload  # type: ignore[override]
        def __call__(
            self, function: Callable[_P, Coroutine[Any, Any, Any]]
        ) -> Callable[_P, Coroutine[Any, Any, Record]]: ...
        @overload
        def __call__(self, function: Callable[_P, Any]) -> Callable[_P, Record]: ...
        def __call__(self, function: Any) -> Any: ...
