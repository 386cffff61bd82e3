"""The class that programs log to."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote

from . import _native
from ._errors import ReadError, TableNameError
from ._process import say

if TYPE_CHECKING:
    from typing import Protocol

    import pyarrow as _pyarrow
    from typing_extensions import Self

    class _Frame(Protocol):
        """Anything that hands out Arrow data: frames of pandas, Polars, PyArrow, DuckDB."""

        def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

    _Rows = Mapping[str, Any] | Iterable[Any] | _Frame


class StreamTable(_native.Table):
    """A table that rows are appended to.

    The table is made with its first row. Rows are written down on disk before ``log`` returns, and
    delivered in the background, in order, each once; what a killed program leaves, its next start
    delivers.

    >>> table = StreamTable("me/shop/requests")                         # doctest: +SKIP
    >>> table.log({"path": "/", "ms": 7})                               # doctest: +SKIP
    >>> table.log([{"path": "/a", "ms": 1.5}, {"path": "/b", "ms": 2}]) # doctest: +SKIP
    >>> table.finish()                                                  # doctest: +SKIP

    Used with ``with``, it is finished at the end of the block. At the end of the program it is
    finished as well, within ``exit_timeout``; what is left then is told on standard error.

    It may be used from many threads. A child of ``os.fork`` opens the table anew when it first uses
    it, and is another writer.

    Args:
        table_name: ``entity/project/table``, ``project/table`` or ``table``.
        project_name: The project, if the name does not say it; else ``WANDB_PROJECT``.
        entity_name: The user or team, if the name does not say it; else ``WANDB_ENTITY``, else the
            one to whom the key belongs.
        base_url: The server; else ``WANDB_BASE_URL``, else W&B's.
        api_key: The key; else ``WANDB_API_KEY``, else the one in netrc.
        columns: ``"strict"`` refuses a row whose columns are not exactly the table's; with
            ``"evolve"`` new columns appear, and absent ones are null.
        when_full: What ``log`` does when as many rows wait as may: ``"refuse"`` raises
            :class:`BufferFullError`, ``"wait"`` waits for room.
        when_unreachable: What happens when the server is away: ``"fail"`` raises
            :class:`UnavailableError` after ``open_timeout``, ``"log_anyway"`` keeps rows until it is
            back. The name must be whole for that, entity and all.
        spool_dir: The folder in which rows wait; else ``STREAMTABLE_SPOOL``, else one in
            ``~/.local/state``. ``False`` keeps them in memory, where they end with the process.
        sync: When a power cut takes no row: ``"interval"`` within a second, ``"always"`` before
            ``log`` returns, which takes milliseconds; ``"never"`` leaves it to the system.
        offline: Only writes rows to the spool, and needs neither server nor key;
            ``streamtable sync`` delivers them, or the next who opens the table.
        buffer_bytes: As many bytes of rows wait in memory at the most, 64 MiB by default.
        media_buffer_bytes: The same for files, 256 MiB by default.
        linger: As many seconds a row waits for others to go with, 0.05 by default.
        open_timeout: As many seconds opening may take.
        finish_timeout: As many seconds ``finish`` waits without any row being stored.
        exit_timeout: As many seconds the end of the program may take.
        on_reject: Called with each row that the server refuses for good after ``log`` took it, and
            its reason. It is called on another thread, and must not wait for the table.
        quiet: Does not print where to look at the table.

    Raises:
        TableNameError: The name is not one of a table.
        AuthenticationError: There is no key, or the server does not accept it.
        UnavailableError: The server cannot be reached.
        OpenError: Anything else is wrong.
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
        if not table_name:
            raise TableNameError("Must specify table_name")
        parts = table_name.count("/")
        for name, value, first in (("project_name", project_name, 1), ("entity_name", entity_name, 2)):
            if value is not None and parts >= first:
                raise TableNameError(f"Cannot specify {name}: {table_name!r} says it already")
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
            """Log one row, or many. Documented below, where it is made."""

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
            # What ended the block is what the caller must hear of.
            say(f"streamtable: {self!r}: {why}")

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
        """Read the table's rows back, oldest first, those of other writers among them.

        Waits first until what was logged here is stored.
        Returns a ``pyarrow.Table`` where pyarrow is installed, else a list of dicts; ``format``
        chooses. Beside the table's columns there are ``timestamp``, ``_writer`` and ``_line``.
        """
        table = ".".join(
            f'"{name}"' for name in (self.entity_name, self.project_name, self.table_name)
        )
        clause = "" if limit is None else f" limit {int(limit)}"
        return self.query(f"select * from {table}{clause}", format=format, timeout=timeout)

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
        """Ask the table's server in SQL.

        Waits first until what was logged here is stored, so that it is in the answer.
        A table of the same project is called by its name alone, any other by
        ``entity.project.table``:

        >>> table.query("select path, avg(ms) from requests group by path") # doctest: +SKIP
        """
        if format not in (None, "arrow", "dicts"):
            raise ValueError(f'format is "arrow" or "dicts", not {format!r}')
        if not self.is_finished:
            self.flush(timeout)
        ipc: Any = None
        if format != "dicts":
            try:
                ipc = import_module("pyarrow.ipc")
            except ImportError:
                if format == "arrow":
                    raise
        question = {
            "sql": sql,
            "entity": self.entity_name,
            "project": self.project_name,
            "timeout": timeout,
        }
        answer = self._ask(
            "POST",
            "/api/query",
            json.dumps(question).encode(),
            accept="application/vnd.apache.arrow.stream",
            timeout=timeout,
        )
        if ipc is None:
            return _native.rows_of_arrow(answer)
        return ipc.open_stream(answer).read_all()

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
        try:
            said = "; ".join(error["message"] for error in json.loads(answer)["errors"])
        except (ValueError, LookupError, TypeError):
            said = f"{self.base_url} answers {status} to {method} {path}"
            if status == 404:
                said += "; only a StreamTable server can be asked"
        raise ReadError(said)

    def _api_path(self, rest: str = "") -> str:
        names = (self.entity_name, self.project_name, self.table_name)
        return "/api/tables/" + "/".join(quote(name, safe="") for name in names) + rest

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        """Show the table in a notebook: a panel that follows it, and its last rows for the file."""
        from ._notebook import bundle

        return bundle(self)
