"""The class ``StreamTable``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from . import _native
from ._context import added
from ._errors import FlushTimeoutError, TableNameError
from ._link import ask_for_login
from ._process import print_line
from ._reader import Reader

if TYPE_CHECKING:
    from typing import ClassVar, Protocol

    from typing_extensions import Self

    from ._native import Stats

    class _Frame(Protocol):
        """Anything that exports Arrow data: frames of pandas, Polars, PyArrow, DuckDB."""

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

    class _Dataclass(Protocol):
        __dataclass_fields__: ClassVar[dict[str, Any]]

    class _Attrs(Protocol):
        __attrs_attrs__: ClassVar[Any]

    _Rows = Mapping[str, Any] | Iterable[Any] | _Frame | _Dataclass | _Attrs


R = TypeVar("R")

_OWN = ("_arguments", "_default", "_extra", "_has_context", "_is_checked")
"""The attributes that the constructor sets."""


class StreamTable(_native.StreamTable, Reader):
    """A table to which rows are appended.

    The table is created with its first row. Rows are written to the local spool before ``log`` returns,
    and sent in the background, in order and exactly once. Rows left by a killed process are sent the next
    time the table is opened.

    >>> table = StreamTable("me/shop/requests")                         # doctest: +SKIP
    >>> table.log({"path": "/", "ms": 7})                               # doctest: +SKIP
    >>> table.log([{"path": "/a", "ms": 1.5}, {"path": "/b", "ms": 2}]) # doctest: +SKIP
    >>> table.finish()                                                  # doctest: +SKIP

    As a context manager, the table is finished at the end of the block. At exit, it is finished within
    ``exit_timeout``; rows that are not stored by then are reported on standard error.

    A table may be used from many threads. A child of ``os.fork`` opens the table again at its first use,
    as another writer.

    Args:
        table_name: ``entity/project/table``, ``project/table`` or ``table``.
        project_name: The project, if it is not part of the name; default: ``WANDB_PROJECT``,
            otherwise ``stream-tables``, which is reported on standard error.
        entity_name: The user or team, if it is not part of the name; default: ``WANDB_ENTITY``, else
            the owner of the API key.
        base_url: The server's URL; default: ``WANDB_BASE_URL``, else W&B's service if there is a key
            for it, else ``http://127.0.0.1:8080``, where ``streamtable serve`` listens.
        api_key: The API key; default: ``WANDB_API_KEY``, else the key in netrc.
        columns: ``"strict"`` refuses a row that does not have exactly the table's columns; with
            ``"evolve"``, new columns are added and missing ones are null.
        when_full: What ``log`` does if the buffer of pending rows is full: ``"refuse"`` raises
            :class:`BufferFullError`, ``"wait"`` waits for space.
        when_unreachable: What happens if the server cannot be reached: ``"fail"`` raises
            :class:`UnavailableError` after ``open_timeout``; ``"log_anyway"`` keeps rows until it is
            reachable, which requires a full name including the entity.
        spool_dir: The folder of the spool; default: ``STREAMTABLE_SPOOL``, else a folder in
            ``~/.local/state``. ``False`` keeps pending rows only in memory; they are lost if the
            process dies.
        sync: When the spool is synced to disk, to survive a power cut: ``"interval"`` within a second;
            ``"always"`` before ``log`` returns, which takes milliseconds; ``"never"`` leaves it to
            the operating system.
        offline: Only write rows to the spool, without server or key. ``streamtable sync`` sends them, or
            the next process that opens the table.
        buffer_bytes: Maximum size of pending rows in memory; default: 64 MiB.
        media_buffer_bytes: Maximum size of pending media files in memory; default: 256 MiB.
        linger: Seconds that a row waits for others to share its request; default: 0.05.
        open_timeout: Maximum seconds for opening.
        finish_timeout: Seconds without progress after which ``finish`` gives up.
        exit_timeout: Maximum seconds that the table may delay the exit of the program.
        on_reject: Called with each row that the server rejects after ``log`` accepted it, and the
            reason. It is called on another thread and must not wait for the table.
        extra: Columns that are added to each row, such as ``{"run": 7}``.
        default: Called with each value that no column can hold, such as one of another class; returns the
            value to log. ``default=repr`` logs everything. :func:`register` sets it for all tables.
        quiet: Do not print the URL of the table.

    Raises:
        TableNameError: The name is invalid.
        AuthenticationError: There is no key, or the server does not accept it.
        UnavailableError: The server cannot be reached.
        OpenError: Opening failed for another reason.
    """

    def __init__(
        self,
        table_name: str,
        project_name: str | None = None,
        entity_name: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | None = None,
        columns: Literal["strict", "evolve"] = "strict",
        when_full: Literal["refuse", "wait"] = "refuse",
        when_unreachable: Literal["fail", "log_anyway"] = "fail",
        spool_dir: str | os.PathLike[str] | Literal[False] | None = None,
        sync: Literal["never", "interval", "always"] = "interval",
        offline: bool = False,
        buffer_bytes: int | None = None,
        media_buffer_bytes: int | None = None,
        linger: float | None = None,
        open_timeout: float = 30.0,
        finish_timeout: float = 60.0,
        exit_timeout: float = 5.0,
        on_reject: Callable[[dict[str, Any], str], object] | None = None,
        extra: Mapping[str, Any] | None = None,
        default: Callable[[Any], object] | None = None,
        quiet: bool = False,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        if not isinstance(table_name, str):
            raise TypeError(f"table_name must be a string, not {type(table_name).__qualname__}")
        if not table_name:
            raise TableNameError("Must specify table_name")
        parts = table_name.count("/")
        for name, value, first in (("project_name", project_name, 1), ("entity_name", entity_name, 2)):
            if value is not None and parts >= first:
                raise TableNameError(f"Cannot specify {name}: {table_name!r} already contains it")
        self._arguments = arguments
        if default is not None and not callable(default):
            raise TypeError(f"default must be a function, not {type(default).__qualname__}")
        self._default = default
        self._extra = dict(extra or {})
        self._has_context = False
        self._is_checked = False
        self._open(
            table_name,
            project=project_name,
            entity=entity_name,
            base_url=base_url or _started_url(),
            api_key=api_key,
            columns=columns,
            when_full=when_full,
            when_unreachable=when_unreachable,
            spool_dir=spool_dir or None,
            spool=spool_dir is not False,
            sync=sync,
            offline=offline,
            buffer_bytes=buffer_bytes,
            media_buffer_bytes=media_buffer_bytes,
            linger=linger,
            open_timeout=open_timeout,
            finish_timeout=finish_timeout,
            exit_timeout=exit_timeout,
            on_reject=on_reject,
            quiet=quiet,
        )
        if not (quiet or offline):
            ask_for_login(self)
        # For the first call of `log`, which checks its first row.
        self._have_constants(True)

    if TYPE_CHECKING:

        def log(self, rows: _Rows, /) -> str | None:
            """Log one row or many: a mapping, a dataclass, an iterable of rows, or a frame.

            Checks and converts each row, writes it to the spool and returns; does no network I/O.
            Returns the panel's URL in the first call, else ``None``.

            >>> table.log({"path": "/", "ms": 7})                       # doctest: +SKIP
            >>> table.log(pandas.DataFrame({"path": ["/"], "ms": [7]})) # doctest: +SKIP

            Raises:
                LogError: Rows were refused; the other rows of the call are accepted.
            """

    def context(self, **columns: Any) -> AbstractContextManager[None]:
        """Add columns to each row that is logged in a ``with`` block by this thread or task.

        Blocks nest; the inner value wins, and a row's own value wins over both. The columns belong to the
        table like any other: log every row with them, or open it with ``columns="evolve"``.

        >>> with table.context(user="ann", run=7):                      # doctest: +SKIP
        ...     table.log({"path": "/"})
        """
        return added(self, columns)

    def _wait_for_rows(self, timeout: float) -> None:
        """Wait until the rows logged here are stored, and those left by earlier processes."""
        if self.is_finished:
            return
        until = time.monotonic() + timeout
        stats = self.flush(timeout)
        while stats.recovered.pending and self.stop_reason is None:
            if time.monotonic() > until:
                pending = stats.recovered.pending
                error = FlushTimeoutError(
                    f"{pending} rows of earlier processes are not stored within {timeout} s"
                )
                error.stats = stats
                raise error
            time.sleep(0.05)
            stats = self.stats()

    async def aflush(self, timeout: float = 60.0) -> Stats:
        """Wait like :meth:`flush`, without blocking the event loop.

        >>> stats = await table.aflush()                                # doctest: +SKIP
        """
        return await _on_a_thread(self.flush, timeout)

    async def afinish(self) -> Stats:
        """Finish like :meth:`finish`, without blocking the event loop.

        >>> stats = await table.afinish()                               # doctest: +SKIP
        """
        return await _on_a_thread(self.finish)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await _on_a_thread(self.__exit__, kind, error, trace)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.finish()
            return
        try:
            self.finish()
        except Exception as why:
            # Report this error, and let the exception that ended the block propagate.
            print_line(f"streamtable: {self!r}: {why}")

    def __repr__(self) -> str:
        return f"StreamTable({self.path!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process opens the table again, as another writer.
        state = {name: value for name, value in self.__dict__.items() if name not in _OWN}
        return _reopened, (type(self), self._arguments, state)


def _reopened(kind: type[StreamTable], arguments: dict[str, Any], state: dict[str, Any]) -> StreamTable:
    table = kind.__new__(kind)
    StreamTable.__init__(table, **arguments)
    table.__dict__.update(state)
    return table


async def open_async(table_name: str, **options: Any) -> StreamTable:
    """Open a table like :class:`StreamTable`, without blocking the event loop.

    >>> async with await streamtable.open_async("me/shop/requests") as table:   # doctest: +SKIP
    ...     table.log({"path": "/"})
    """
    return await _on_a_thread(StreamTable, table_name, **options)


async def _on_a_thread(function: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    import asyncio

    return await asyncio.to_thread(function, *args, **kwargs)


def _started_url() -> str | None:
    """Return the URL of the server that this program has started, if no setting names one."""
    server = sys.modules.get("streamtable._server")
    if server is None or os.environ.get("WANDB_BASE_URL"):
        return None
    return cast("str | None", server.default_url)
