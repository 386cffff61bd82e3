"""The class ``StreamTable``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote

from . import _native, _read
from ._errors import ReadError, TableNameError
from ._process import print_line

if TYPE_CHECKING:
    from typing import ClassVar, Protocol

    import pyarrow as _pyarrow
    from typing_extensions import Self

    class _Frame(Protocol):
        """Anything that exports Arrow data: frames of pandas, Polars, PyArrow, DuckDB."""

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

    class _Dataclass(Protocol):
        __dataclass_fields__: ClassVar[dict[str, Any]]

    class _Attrs(Protocol):
        __attrs_attrs__: ClassVar[Any]

    _Rows = Mapping[str, Any] | Iterable[Any] | _Frame | _Dataclass | _Attrs


class _NotFoundError(ReadError):
    """The server has no such table."""


class StreamTable(_native.Table):
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
        base_url: The server's URL; default: ``WANDB_BASE_URL``, else W&B's service.
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
        quiet: Do not print the URL of the table.

    Raises:
        TableNameError: The name is invalid.
        AuthenticationError: There is no key, or the server does not accept it.
        UnavailableError: The server cannot be reached.
        OpenError: Opening failed for another reason.
    """

    def __new__(
        cls,
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
        quiet: bool = False,
    ) -> Self:
        if not isinstance(table_name, str):
            raise TypeError(f"table_name must be a string, not {type(table_name).__qualname__}")
        if not table_name:
            raise TableNameError("Must specify table_name")
        parts = table_name.count("/")
        for name, value, first in (("project_name", project_name, 1), ("entity_name", entity_name, 2)):
            if value is not None and parts >= first:
                raise TableNameError(f"Cannot specify {name}: {table_name!r} already contains it")
        return super().__new__(  # type: ignore[return-value]
            cls,
            table_name,
            project=project_name,
            entity=entity_name,
            base_url=base_url,
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

    if TYPE_CHECKING:

        def log(self, rows: _Rows, /) -> str | None:
            """Log one row or many. Return the panel's URL in the first call, else ``None``."""

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

    @property
    def path(self) -> str:
        """The table's full name: ``entity/project/table``."""
        return f"{self.entity_name}/{self.project_name}/{self.table_name}"

    @overload
    def rows(
        self, limit: int | None = None, *, format: Literal["arrow"], timeout: float = 60.0
    ) -> _pyarrow.Table: ...
    @overload
    def rows(
        self, limit: int | None = None, *, format: Literal["dicts"], timeout: float = 60.0
    ) -> list[dict[str, Any]]: ...
    @overload
    def rows(
        self, limit: int | None = None, *, format: None = None, timeout: float = 60.0
    ) -> _pyarrow.Table | list[dict[str, Any]]: ...
    def rows(
        self,
        limit: int | None = None,
        *,
        format: Literal["arrow", "dicts"] | None = None,
        timeout: float = 60.0,
    ) -> Any:
        """Read the table's rows, oldest first, including rows of other writers.

        First waits until the rows logged here are stored, and those left by earlier processes.
        Returns a ``pyarrow.Table`` if pyarrow is installed, else a list of dicts, unless ``format``
        is given. Adds the columns ``timestamp``, ``_writer`` and ``_line``. Lists and structs are
        returned as such; in a ``pyarrow.Table``, a column whose values have no common type is JSON text.
        """
        _check_format(format)
        self._wait_for_rows(timeout)
        ipc = _import_ipc(format)
        try:
            schema = self._ask("GET", self._api_path("/schema"), timeout=timeout)
        except _NotFoundError:
            # The server creates a table with its first row.
            return [] if ipc is None else import_module("pyarrow").table({})
        names = _read.nested_columns(schema)
        table = ".".join(
            f'"{name}"' for name in (self.entity_name, self.project_name, self.table_name)
        )
        clause = "" if limit is None else f" limit {int(limit)}"
        answer = self._answer(f"select * from {table}{clause}", timeout)
        if ipc is None:
            return _read.decode_rows(_native.rows_of_arrow(answer), names)
        return _read.decode_arrow(import_module("pyarrow"), _open_stream(ipc, answer), names)

    @overload
    def query(
        self, sql: str, *, format: Literal["arrow"], timeout: float = 60.0
    ) -> _pyarrow.Table: ...
    @overload
    def query(
        self, sql: str, *, format: Literal["dicts"], timeout: float = 60.0
    ) -> list[dict[str, Any]]: ...
    @overload
    def query(
        self, sql: str, *, format: None = None, timeout: float = 60.0
    ) -> _pyarrow.Table | list[dict[str, Any]]: ...
    def query(
        self,
        sql: str,
        *,
        format: Literal["arrow", "dicts"] | None = None,
        timeout: float = 60.0,
    ) -> Any:
        """Run an SQL query on the table's server.

        First waits until the rows logged here are stored, so that the result includes them.
        Tables of the same project need only their name; for others use ``entity.project.table``:

        >>> table.query("select path, avg(ms) from requests group by path") # doctest: +SKIP

        Lists and structs are returned as JSON text.
        """
        _check_format(format)
        self._wait_for_rows(timeout)
        ipc = _import_ipc(format)
        answer = self._answer(sql, timeout)
        return _native.rows_of_arrow(answer) if ipc is None else _open_stream(ipc, answer)

    def _wait_for_rows(self, timeout: float) -> None:
        """Wait until the rows logged here are stored, and those left by earlier processes."""
        if self.is_finished:
            return
        until = time.monotonic() + timeout
        stats = self.flush(timeout)
        while stats.recovered.pending and time.monotonic() < until and self.stop_reason is None:
            time.sleep(0.05)
            stats = self.stats()

    def _answer(self, sql: str, timeout: float) -> bytes:
        question = {
            "sql": sql,
            "entity": self.entity_name,
            "project": self.project_name,
            "timeout": timeout,
        }
        return self._ask(
            "POST",
            "/api/query",
            json.dumps(question).encode(),
            accept="application/vnd.apache.arrow.stream",
            timeout=timeout,
        )

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        accept: str = "application/json",
        timeout: float = 60.0,
    ) -> bytes:
        try:
            status, answer = self._request(method, path, body, accept, timeout)
        except ConnectionError as error:
            raise ReadError(str(error)) from None
        if 200 <= status < 300:
            return answer
        kind = ReadError
        try:
            said = "; ".join(error["message"] for error in json.loads(answer)["errors"])
            if status == 404:
                kind = _NotFoundError
        except (ValueError, LookupError, TypeError):
            said = f"{self.base_url} returned {status} for {method} {path}"
            if status == 404:
                said += "; only a StreamTable server supports this"
        raise kind(said)

    def _api_path(self, rest: str = "") -> str:
        names = (self.entity_name, self.project_name, self.table_name)
        return "/api/tables/" + "/".join(quote(name, safe="") for name in names) + rest

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        """Show the table in a notebook: a live panel, and a copy of the last rows."""
        from ._notebook import bundle

        return bundle(self)


def _check_format(format: str | None) -> None:
    if format not in (None, "arrow", "dicts"):
        raise ValueError(f'format must be "arrow" or "dicts", not {format!r}')


def _import_ipc(format: str | None) -> Any:
    """Return ``pyarrow.ipc``, or ``None`` if the result is a list of dicts."""
    if format == "dicts":
        return None
    try:
        return import_module("pyarrow.ipc")
    except ImportError:
        if format == "arrow":
            raise
        return None


def _open_stream(ipc: Any, answer: bytes) -> Any:
    return ipc.open_stream(_native.arrow_without_views(answer)).read_all()
