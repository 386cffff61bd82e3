"""Calls whose result comes bit by bit: generators, and streamed responses of language models."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from typing import Any

from ._llm import Accumulator
from ._record import Record

MAX_ITEMS = 1000
"""Maximum number of items of a generator that are logged as its output."""

Keep = Callable[[Any], Any]
"""Converts an item when it is yielded, because the caller may change it later."""

Join = Callable[[list[Any]], Any]
"""Makes the output of the items."""


_ENDS = (StopIteration, StopAsyncIteration, GeneratorExit)
"""Exceptions by which a generator ends without an error."""


class _Collected:
    """The items of a generator so far."""

    def __init__(self, record: Record, keep: Keep, join: Join | None):
        self.record = record
        self._keep = keep
        self._join = join
        self._items: list[Any] = []
        record.output = self._items

    def add(self, item: Any) -> None:
        # A caller that joins the items needs all of them.
        if self._join is not None or len(self._items) < MAX_ITEMS:
            self._items.append(self._keep(item))

    def __enter__(self) -> None:
        """Begin a step of the generator."""
        self.record._enter()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """End a step. An exception ends the generator."""
        if error is not None:
            self.end(None if isinstance(error, _ENDS) else error)
        self.record._leave()

    def end(self, error: BaseException | None = None) -> None:
        record = self.record
        if record._is_logged:
            return
        if error is not None:
            record._failed(error)
        record._stop()
        if self._join is not None:
            try:
                record.output = self._join(self._items)
            except Exception as why:
                record.add_data(accumulate_error=repr(why))
        record.finalize()


class Items(Generator[Any, Any, Any]):
    """A generator whose items are recorded."""

    def __init__(self, inner: Generator[Any, Any, Any], record: Record, keep: Keep, join: Join | None):
        self._inner = inner
        self._collected = _Collected(record, keep, join)

    def send(self, value: Any) -> Any:
        return self._step(lambda: self._inner.send(value))

    def throw(self, *error: Any) -> Any:
        return self._step(lambda: self._inner.throw(*error))

    def _step(self, step: Callable[[], Any]) -> Any:
        with self._collected:
            item = step()
        self._collected.add(item)
        return item

    def __del__(self) -> None:
        # Does not close the generator, because the function may use it further.
        self._collected.end()


class AsyncItems(AsyncGenerator[Any, Any]):
    """An async generator whose items are recorded."""

    def __init__(self, inner: AsyncGenerator[Any, Any], record: Record, keep: Keep, join: Join | None):
        self._inner = inner
        self._collected = _Collected(record, keep, join)

    async def asend(self, value: Any) -> Any:
        return await self._step(self._inner.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return await self._step(self._inner.athrow(*error))

    async def _step(self, step: Any) -> Any:
        with self._collected:
            item = await step
        self._collected.add(item)
        return item

    async def aclose(self) -> None:
        await self._inner.aclose()
        self._collected.end()

    def __del__(self) -> None:
        self._collected.end()


def is_stream(value: Any) -> bool:
    """Return whether a value is a streamed response of the OpenAI or the Anthropic package."""
    return any(
        kind.__name__ in ("Stream", "AsyncStream") and _is_of_client(kind) for kind in type(value).__mro__
    )


def follow_stream(stream: Any, record: Record) -> Any:
    """Record the parts of a streamed response while the program reads it. Return the same object."""
    accumulator = Accumulator()
    inner = stream._iterator
    kind = _async_parts if hasattr(type(stream), "__aiter__") else _parts
    stream._iterator = kind(inner, record, accumulator)
    return stream


def _ended(record: Record, accumulator: Accumulator, error: BaseException | None) -> None:
    if error is not None and not isinstance(error, GeneratorExit):
        record._failed(error)
    record._stop()
    record.output = accumulator.output()
    record._model.update(accumulator.facts())
    record.finalize()


def _parts(inner: Iterator[Any], record: Record, accumulator: Accumulator) -> Iterator[Any]:
    why: BaseException | None = None
    try:
        for part in inner:
            accumulator.add(part, time.perf_counter() - record._began)
            yield part
    except BaseException as error:
        why = error
        raise
    finally:
        _ended(record, accumulator, why)


async def _async_parts(
    inner: AsyncIterator[Any], record: Record, accumulator: Accumulator
) -> AsyncIterator[Any]:
    why: BaseException | None = None
    try:
        async for part in inner:
            accumulator.add(part, time.perf_counter() - record._began)
            yield part
    except BaseException as error:
        why = error
        raise
    finally:
        _ended(record, accumulator, why)


class Managed:
    """The result of ``client.messages.stream(…)``: a context manager whose stream is recorded."""

    def __init__(self, inner: Any, record: Record):
        self._inner = inner
        self._record = record
        self._stream: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def _entered(self, stream: Any) -> Any:
        self._stream = follow_stream(stream, self._record) if hasattr(stream, "_iterator") else stream
        return self._stream

    def __enter__(self) -> Any:
        return self._entered(self._call(self._inner.__enter__))

    async def __aenter__(self) -> Any:
        try:
            return self._entered(await self._inner.__aenter__())
        except BaseException as error:
            self._end(error)
            raise

    def __exit__(self, *why: Any) -> Any:
        try:
            return self._inner.__exit__(*why)
        finally:
            self._end(why[1])

    async def __aexit__(self, *why: Any) -> Any:
        try:
            return await self._inner.__aexit__(*why)
        finally:
            self._end(why[1])

    def _call(self, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except BaseException as error:
            self._end(error)
            raise

    def _end(self, error: BaseException | None) -> None:
        record = self._record
        if record._is_logged:
            return
        if error is not None:
            record._failed(error)
        # The program did not read the stream to its end.
        record.output = getattr(self._stream, "_current_snapshot_or_none", None)
        record.finalize()


def is_manager(value: Any) -> bool:
    """Return whether a value is the context manager of a streamed response."""
    return type(value).__name__.endswith("StreamManager") and _is_of_client(type(value))


def _is_of_client(kind: type) -> bool:
    return kind.__module__.split(".")[0] in ("openai", "anthropic")
