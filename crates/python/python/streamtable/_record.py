"""The record of one call, and its place in a trace."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any, Protocol

SWITCH = "STREAMTABLE_MONITOR"
"""The environment variable that turns all monitors off, if it is ``off``, ``0``, ``false`` or ``no``."""

OWN = (
    "name", "start", "end", "latency", "inputs", "output", "exception", "id", "trace_id", "parent_id",
)  # fmt: skip
"""The columns of every record."""

_current: ContextVar[Record | None] = ContextVar("streamtable_current", default=None)
_attributes: ContextVar[Mapping[str, Any] | None] = ContextVar("streamtable_attributes", default=None)


class Owner(Protocol):
    """The part of a monitor that a record uses."""

    def _log(self, record: Record) -> None: ...
    def _log_feedback(self, record_id: str, trace_id: str | None, scores: Mapping[str, Any]) -> None: ...


class Record:
    """One call or one ``with`` block that becomes a row.

    Its columns are ``name``, ``start``, ``end``, ``latency`` in seconds, ``inputs``, ``output``,
    ``exception``, ``id``, ``trace_id`` and ``parent_id``, followed by the attributes of
    :func:`attributes` and the columns of :meth:`add_data`.

    >>> with monitor("me/shop/steps", name="import") as record:         # doctest: +SKIP
    ...     record.add_data(files=3)
    """

    def __init__(
        self,
        owner: Owner | None,
        name: str,
        inputs: Mapping[str, Any] | None = None,
        sample: float = 1.0,
    ):
        outer = _current.get()
        self.name: str = name
        self.inputs: Mapping[str, Any] | None = inputs
        self.output: Any = None
        self.exception: str | None = None
        self.data: dict[str, Any] = {}
        self.start: datetime = datetime.now(timezone.utc)
        self.end: datetime | None = None
        self.latency: float | None = None
        self.id: str = os.urandom(8).hex()
        self.trace_id: str = os.urandom(16).hex() if outer is None else outer.trace_id
        self.parent_id: str | None = None if outer is None else outer.id
        self.attributes: Mapping[str, Any] = _attributes.get() or {}
        # All calls of a trace are logged, or none.
        is_wanted = sample >= 1 or _draw() < sample
        self._is_sampled: bool = owner is not None and (is_wanted if outer is None else outer._is_sampled)
        self._owner = owner
        self._outer = outer
        self._began = time.perf_counter()
        self._is_logged = False
        # Inputs of a call are converted before it, because the function may change them.
        self._has_converted_inputs = inputs is not None
        # Facts of the response of a language model: its model, tokens and time to the first token.
        self._model: dict[str, Any] = {}
        self._lock = threading.Lock()

    def add_data(self, data: Mapping[str, Any] | None = None, /, **more: Any) -> Record:
        """Add columns to the row. A repeated name replaces the earlier value.

        >>> streamtable.current().add_data(cached=True)                 # doctest: +SKIP
        """
        for name, value in {**(data or {}), **more}.items():
            if name in OWN:
                raise ValueError(f"{name!r} is a column of every record; choose another name")
            self.data[name] = value
        return self

    def get(self) -> Any:
        """Return what the function returned.

        >>> record = price("tea")  # of @monitor(…, auto_log=False)      # doctest: +SKIP
        >>> record.get()                                                # doctest: +SKIP
        9.5
        """
        return self.output

    def finalize(self) -> None:
        """Log the row, once. Never raises an exception of the table: errors are warnings of the
        logger ``streamtable``.

        >>> record.add_data(score=0.9).finalize()                       # doctest: +SKIP
        """
        self._stop()
        with self._lock:
            if self._is_logged:
                return
            self._is_logged = True
        if self._is_sampled and self._owner is not None:
            self._owner._log(self)

    def feedback(self, **scores: Any) -> None:
        """Log a row of scores for this record, also after it was logged.

        The row has the name ``feedback``, and the record's id as ``parent_id``.

        >>> record.feedback(thumbs_up=True, comment="right")            # doctest: +SKIP
        """
        if self._is_sampled and self._owner is not None:
            self._owner._log_feedback(self.id, self.trace_id, scores)

    def _stop(self) -> None:
        if self.end is None:
            self.latency = time.perf_counter() - self._began
            self.end = datetime.now(timezone.utc)

    def _failed(self, error: BaseException) -> None:
        self._stop()
        # Imported here, as few calls fail.
        import traceback

        self.exception = "".join(traceback.format_exception_only(type(error), error)).strip()

    def _enter(self) -> None:
        """Make this the current record: calls from here on are its children."""
        _current.set(self)

    def _leave(self) -> None:
        # Not by a token, because a generator may end in another context than it began.
        if _current.get() is self:
            _current.set(self._outer)

    def __repr__(self) -> str:
        return f"Record({self.name!r})"


def current() -> Record:
    """Return the record of the call or block that runs now, to add data to it.

    Outside of any, and if monitors are off, it returns a record that is never logged.

    >>> @monitor("me/shop/calls")                                       # doctest: +SKIP
    ... def price(item):
    ...     streamtable.current().add_data(cached=False)
    """
    return _current.get() or Record(None, "none")


@contextmanager
def attributes(**columns: Any) -> Iterator[None]:
    """Add columns to the row of each call that begins in a ``with`` block: a user, a session, tags.

    >>> with streamtable.attributes(user="ann", session="s1"):          # doctest: +SKIP
    ...     answer(question)
    """
    for name in columns:
        if name in OWN:
            raise ValueError(f"{name!r} is a column of every record; choose another name")
    token = _attributes.set({**(_attributes.get() or {}), **columns})
    try:
        yield
    finally:
        _attributes.reset(token)


def _draw() -> float:
    """Return a random number from 0 to 1."""
    # Not by the module `random`, whose import takes a millisecond.
    return int.from_bytes(os.urandom(4), "big") / 2**32


def is_off() -> bool:
    """Return whether the environment turns all monitors off."""
    return os.environ.get(SWITCH, "").lower() in ("off", "0", "false", "no")
