"""Reading the rows of a table."""

from __future__ import annotations

import json
import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote, urlsplit

from . import _native, _read
from ._errors import ReadError
from ._read import Rows

if TYPE_CHECKING:
    import pandas as _pandas
    import polars as _polars
    import pyarrow as _pyarrow

    _Since = datetime | date | timedelta | str

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

_ARROW = "application/vnd.apache.arrow.stream"

# The tables that a query names; only their nested columns are decoded.
_NAMED = re.compile(r'\b(?:from|join)\s+((?:"[^"]+"|\w+)(?:\s*\.\s*(?:"[^"]+"|\w+)){0,2})', re.IGNORECASE)

RECONNECT_TIMEOUT = 60.0
"""Seconds after which ``tail`` gives up a server that cannot be reached."""


class NotFoundError(ReadError):
    """The server has no such table."""


class Reader:
    """The methods of a table that read rows."""

    @property
    @abstractmethod
    def entity_name(self) -> str:
        """The user or team that owns the table."""

    @property
    @abstractmethod
    def project_name(self) -> str:
        """The project."""

    @property
    @abstractmethod
    def table_name(self) -> str:
        """The name within the project."""

    @property
    @abstractmethod
    def base_url(self) -> str:
        """The URL of the server."""

    @property
    @abstractmethod
    def url(self) -> str | None:
        """The URL of the panel, or ``None`` if the server has none."""

    @abstractmethod
    def _wait_for_rows(self, timeout: float) -> None:
        """Wait until the rows that this program has logged are stored."""

    @abstractmethod
    def _request(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float, /
    ) -> tuple[int, bytes]:
        """Return the status and the body of a response of the server."""

    @abstractmethod
    def _stream(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float, /
    ) -> tuple[int, _native.Stream]:
        """Return the status and the body of a response that comes in parts."""

    @property
    def path(self) -> str:
        """The table's full name: ``entity/project/table``."""
        return f"{self.entity_name}/{self.project_name}/{self.table_name}"

    @overload
    def rows(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        format: Literal["arrow"],
        timeout: float = 60.0,
    ) -> _pyarrow.Table: ...
    @overload
    def rows(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        format: Literal["dicts"],
        timeout: float = 60.0,
    ) -> list[dict[str, Any]]: ...
    @overload
    def rows(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        format: None = None,
        timeout: float = 60.0,
    ) -> Rows: ...
    def rows(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        format: Literal["arrow", "dicts"] | None = None,
        timeout: float = 60.0,
    ) -> Any:
        """Read the table's rows, oldest first, including rows of other writers.

        First waits until the rows logged here are stored, and those left by earlier processes. Adds the
        columns ``timestamp``, ``_writer`` and ``_line``.

        >>> table.rows(last=100, where="ms > 50", columns=["path", "ms"])   # doctest: +SKIP
        >>> table.rows(since=timedelta(hours=1)).to_pandas()                # doctest: +SKIP

        Args:
            limit: Only so many rows, from the first.
            last: Only so many rows, up to the last.
            since: Only rows that were logged since this time, or within this ``timedelta``. A time
                without a zone is local.
            where: A condition in SQL.
            columns: Only these columns.
            format: ``"arrow"`` returns a ``pyarrow.Table``, ``"dicts"`` a list of dicts.
            timeout: Maximum seconds for each wait.

        Raises:
            ReadError: The server cannot answer, or ``where`` is no condition.
            FlushTimeoutError: Rows are not stored within ``timeout``.
        """
        _check_format(format)
        self._wait_for_rows(timeout)
        try:
            sql, types = self._select(limit, last, since, where, columns, timeout)
        except NotFoundError:
            # The server creates a table with its first row.
            return _nothing(format)
        return _as_format(Rows(self._answer(sql, timeout), types), format)

    def to_pandas(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        timeout: float = 60.0,
    ) -> _pandas.DataFrame:
        """Read rows like :meth:`rows`, as a pandas frame.

        >>> table.to_pandas(last=1000).plot(x="timestamp", y="ms")      # doctest: +SKIP
        """
        found = self.rows(limit, last=last, since=since, where=where, columns=columns, timeout=timeout)
        return found.to_pandas()

    def to_polars(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        timeout: float = 60.0,
    ) -> _polars.DataFrame:
        """Read rows like :meth:`rows`, as a Polars frame.

        >>> table.to_polars(columns=["ms"]).describe()                  # doctest: +SKIP
        """
        found = self.rows(limit, last=last, since=since, where=where, columns=columns, timeout=timeout)
        return found.to_polars()

    def batches(
        self,
        limit: int | None = None,
        *,
        last: int | None = None,
        since: _Since | None = None,
        where: str | None = None,
        columns: Sequence[str] | None = None,
        timeout: float = 60.0,
    ) -> Iterator[Rows]:
        """Read rows like :meth:`rows`, in batches of some thousand, so that memory holds only a few.

        >>> for batch in table.batches():                               # doctest: +SKIP
        ...     write(batch.to_arrow())
        """
        self._wait_for_rows(timeout)
        try:
            sql, types = self._select(limit, last, since, where, columns, timeout)
        except NotFoundError:
            return
        body = self._question(sql, timeout)
        status, stream = self._streamed("POST", "/api/query", body, _ARROW, timeout)
        if not 200 <= status < 300:
            self._raise(status, _rest_of(stream), "POST", "/api/query")
        until = time.monotonic() + timeout
        while True:
            part = _part(stream, until - time.monotonic())
            if part is None:
                return
            if not part:
                raise ReadError(f"the server sent no rows for {timeout} s")
            batch = Rows(part, types)
            if len(batch):
                yield batch
            until = time.monotonic() + timeout

    def tail(self, last: int = 0, *, timeout: float | None = None) -> Iterator[dict[str, Any]]:
        """Iterate over new rows as they arrive, of all writers, for ever.

        >>> for row in table.tail(last=10):                             # doctest: +SKIP
        ...     print(row["path"], row["ms"])

        If the connection breaks, it continues where it stopped. A table that does not exist yet is
        awaited.

        Args:
            last: Begin with so many rows that are there already.
            timeout: End if no row arrives for so many seconds.

        Raises:
            ReadError: The server cannot be reached for a minute, or refuses.
        """
        heard = reached = time.monotonic()
        end = self._end()
        start = -last if last and end else end
        while True:
            try:
                for position, row in self._tail_once(start, timeout, heard):
                    heard = reached = time.monotonic()
                    start = position + 1
                    yield row
                reached = time.monotonic()
            except NotFoundError:
                reached = time.monotonic()
            except ReadError:
                if time.monotonic() - reached > RECONNECT_TIMEOUT:
                    raise
            if timeout is not None and time.monotonic() - heard >= timeout:
                return
            time.sleep(0.2)

    def _end(self) -> int:
        """Return the position of the next row."""
        try:
            return int(json.loads(self._ask("GET", self._api_path()))["end"])
        except NotFoundError:
            return 0

    def _tail_once(
        self, start: int, timeout: float | None, heard: float
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield rows and their positions until the connection ends, or no row arrives."""
        path = self._api_path(f"/tail?from={start}")
        status, stream = self._streamed("GET", path, None, "text/event-stream", 30.0)
        if status != 200:
            self._raise(status, _rest_of(stream), "GET", path)
        types: dict[str, Any] = {}
        text = b""
        while True:
            # The server sends a comment at least every 15 seconds.
            wait = 60.0 if timeout is None else min(60.0, heard + timeout - time.monotonic())
            part = _part(stream, max(wait, 0.0))
            if not part:
                return
            *events, text = (text + part).split(b"\n\n")
            for event in events:
                lines = [line.partition(b":") for line in event.split(b"\n")]
                fields = {name: value.strip() for name, _, value in lines}
                if b"data" not in fields or b"id" not in fields:
                    continue
                row = json.loads(fields[b"data"])
                if not types.keys() >= row.keys():
                    types = {**dict.fromkeys(row), **self._types()}
                heard = time.monotonic()
                shown = {name: _read.of_json(cell, types[name]) for name, cell in row.items()}
                shown.pop("_position", None)
                yield int(fields[b"id"]), shown

    def _types(self) -> dict[str, Any]:
        columns = json.loads(self._ask("GET", self._api_path("/schema")))["columns"]
        types = {column["name"]: column["weave"] for column in columns}
        time = {"type": "timestamp"}
        return {"timestamp": time, **types, "_timestamp": time}

    def read_media(self, cell: dict[str, Any], *, timeout: float = 60.0) -> bytes:
        """Return the bytes of a cell of media, as :meth:`rows` returns it.

        >>> table.read_media(table.rows(last=1)[0]["image"])[:4]        # doctest: +SKIP
        b'\\x89PNG'
        """
        path = cell.get("path") if isinstance(cell, dict) else None
        if not isinstance(path, str):
            raise TypeError("read_media needs a cell of media: a dict with the path of its file")
        at = f"/files/{quote(self.path)}/{quote(path)}"
        return self._ask("GET", at, accept="*/*", timeout=timeout)

    @overload
    def query(self, sql: str, *, format: Literal["arrow"], timeout: float = 60.0) -> _pyarrow.Table: ...
    @overload
    def query(
        self, sql: str, *, format: Literal["dicts"], timeout: float = 60.0
    ) -> list[dict[str, Any]]: ...
    @overload
    def query(self, sql: str, *, format: None = None, timeout: float = 60.0) -> Rows: ...
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

        A column of the result that has the name of a column of lists or structs of a queried table is
        returned as such. Under another name it is JSON text; SQL takes a field of it with
        ``column->>'field'``.

        Raises:
            ReadError: The query is wrong, or the server cannot answer.
            FlushTimeoutError: Rows are not stored within ``timeout``.
        """
        _check_format(format)
        self._wait_for_rows(timeout)
        types: dict[str, Any] = {}
        for path in self._tables_in(sql):
            # The query itself reports a table that does not exist.
            with suppress(ReadError):
                types.update(self._nested_types(path, timeout))
        return _as_format(Rows(self._answer(sql, timeout), types), format)

    def _tables_in(self, sql: str) -> list[str]:
        """Return the API's paths of the tables that a query names."""
        paths = []
        for name in _NAMED.findall(sql):
            parts = [part.strip().strip('"') for part in re.split(r'\.(?=(?:[^"]*"[^"]*")*[^"]*$)', name)]
            own = [self.entity_name, self.project_name]
            paths.append(_api_path(*own[: 3 - len(parts)], *parts))
        return list(dict.fromkeys(paths))

    def open(self) -> str:
        """Open the table's panel in the browser, logged in, and return the link.

        The link works once and for ten minutes; do not publish it.

        >>> table.open()                                                # doctest: +SKIP
        """
        import webbrowser

        if self.url is None:
            raise ReadError("the server has no panel for this table")
        link = self._login_link("/?" + urlsplit(self.url).query)
        webbrowser.open(link)
        return link

    def _login_link(self, place: str, timeout: float = 5.0) -> str:
        """Return a link that logs a browser in once, and continues at a place on the server."""
        answer = json.loads(self._ask("POST", "/api/login-links", b"{}", timeout=timeout))
        return f"{answer['url']}&next={quote(place, safe='')}"

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, str]:
        """Show the table in a notebook: a live panel, and a copy of the last rows."""
        from ._notebook import bundle

        return bundle(self)

    def _select(
        self,
        limit: int | None,
        last: int | None,
        since: _Since | None,
        where: str | None,
        columns: Sequence[str] | None,
        timeout: float,
    ) -> tuple[str, dict[str, Any]]:
        """Return a query for rows of the table, and the types of its nested columns."""
        schema = self._ask("GET", f"{self._api_path()}/schema", timeout=timeout)
        types, when = _read.nested_types(schema), _read.time_column(schema)
        if limit is not None and last is not None:
            raise ValueError("give limit or last, not both")
        for word, number in (("limit", limit), ("last", last)):
            if number is not None and number < 0:
                raise ValueError(f"{word} must not be negative, and is {number}")
        names = (self.entity_name, self.project_name, self.table_name)
        sql = f" from {'.'.join(map(_quoted, names))}"
        conditions = [] if where is None else [f"({where})"]
        if since is not None:
            conditions.append(f"{when} >= to_timestamp_micros({_micros(since)})")
        if conditions:
            sql += f" where {' and '.join(conditions)}"
        if columns is not None and isinstance(columns, str):
            raise TypeError("columns must be a list of names, not a string")
        chosen = "*" if columns is None else ", ".join(map(_quoted, columns))
        if last is not None:
            counted = _native.rows_of_arrow(self._answer(f"select count(*) as n{sql}", timeout))
            sql += f" limit {int(last)} offset {max(counted[0]['n'] - int(last), 0)}"
        elif limit is not None:
            sql += f" limit {int(limit)}"
        return f"select {chosen}{sql}", types

    def _nested_types(self, path: str, timeout: float) -> dict[str, Any]:
        return _read.nested_types(self._ask("GET", f"{path}/schema", timeout=timeout))

    def _question(self, sql: str, timeout: float) -> bytes:
        entity, project = self.entity_name, self.project_name
        question = {"sql": sql, "entity": entity, "project": project, "timeout": timeout}
        return json.dumps(question).encode()

    def _answer(self, sql: str, timeout: float) -> bytes:
        body = self._question(sql, timeout)
        return self._ask("POST", "/api/query", body, accept=_ARROW, timeout=timeout)

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
            raise ReadError(f"{error}{_hint(self.base_url)}") from None
        if not 200 <= status < 300:
            self._raise(status, answer, method, path)
        return answer

    def _streamed(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float
    ) -> tuple[int, _native.Stream]:
        try:
            return self._stream(method, path, body, accept, timeout)
        except ConnectionError as error:
            raise ReadError(f"{error}{_hint(self.base_url)}") from None

    def _raise(self, status: int, answer: bytes, method: str, path: str) -> None:
        kind = ReadError
        try:
            said = "; ".join(error["message"] for error in json.loads(answer)["errors"])
            if status == 404:
                kind = NotFoundError
        except (ValueError, LookupError, TypeError):
            said = f"{self.base_url} returned {status} for {method} {path}"
            if status == 404:
                said += "; only a StreamTable server supports this"
        raise kind(said)

    def _api_path(self, rest: str = "") -> str:
        return _api_path(self.entity_name, self.project_name, self.table_name) + rest


def _api_path(*names: str) -> str:
    return "/api/tables/" + "/".join(quote(name, safe="") for name in names)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _micros(since: _Since) -> int:
    """Return a time in microseconds since 1970."""
    if isinstance(since, str):
        try:
            since = datetime.fromisoformat(since.replace("Z", "+00:00"))
        except ValueError:
            raise ValueError(
                f"since must be a datetime, a date, a timedelta or text such as 2026-01-02T03:04, not {since!r}"
            ) from None
    elif isinstance(since, timedelta):
        since = datetime.now(timezone.utc) - since
    elif not isinstance(since, datetime):
        since = datetime(since.year, since.month, since.day)
    return (since.astimezone(timezone.utc) - _EPOCH) // timedelta(microseconds=1)


def _hint(base_url: str) -> str:
    """Return what to do if a server on this machine cannot be reached."""
    if urlsplit(base_url).hostname not in ("127.0.0.1", "localhost", "::1"):
        return ""
    return "; start a server with `streamtable serve`, or `streamtable.serve()` in Python"


def _part(stream: _native.Stream, timeout: float) -> bytes | None:
    try:
        return stream.read(timeout)
    except ConnectionError as error:
        raise ReadError(str(error)) from None


def _rest_of(stream: _native.Stream) -> bytes:
    parts = []
    while part := _part(stream, 10.0):
        parts.append(part)
    return b"".join(parts)


def _check_format(format: str | None) -> None:
    if format not in (None, "arrow", "dicts"):
        raise ValueError(f'format must be "arrow" or "dicts", not {format!r}')


def _as_format(rows: Rows, format: str | None) -> Any:
    if format == "arrow":
        return rows.to_arrow()
    return rows.to_pylist() if format == "dicts" else rows


def _nothing(format: str | None) -> Any:
    if format == "arrow":
        return import_module("pyarrow").table({})
    return [] if format == "dicts" else Rows(b"", {})
