"""Tables, boards and monitors of a server, without logging to them."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote, urlencode

from . import _native, _read
from ._errors import ReadError, StreamTableError, TableNameError
from ._read import Rows
from ._reader import NotFoundError, Reader
from ._table import _started_url

if TYPE_CHECKING:
    import pyarrow as _pyarrow

_PROJECT = "stream-tables"

_TIMESTAMP = {"type": "timestamp"}


class Client:
    """A server's tables, queries, boards and monitors. Reading creates nothing on the server.

    >>> client = streamtable.Client()                                   # doctest: +SKIP
    >>> [table["name"] for table in client.tables()]                    # doctest: +SKIP
    ['me/shop/requests']
    >>> client.table("me/shop/requests").rows(last=10).to_pandas()      # doctest: +SKIP

    The server has no requests that delete or rename a table.

    Args:
        base_url: The server's URL; the default is that of :class:`StreamTable`.
        api_key: The API key; the default is that of :class:`StreamTable`.
        entity: The user or team of names without one; default: ``WANDB_ENTITY``, else the owner of the
            API key.
        project: The project of names without one; default: ``WANDB_PROJECT``, else ``stream-tables``.
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        entity: str | None = None,
        project: str | None = None,
    ):
        self._entity = entity or os.environ.get("WANDB_ENTITY") or None
        self.project: str = project or os.environ.get("WANDB_PROJECT") or _PROJECT
        self._connection = _connection(base_url or _started_url(), api_key)

    @property
    def base_url(self) -> str:
        """The server's URL."""
        return self._connection.base_url

    @property
    def entity(self) -> str:
        """The user or team of names without one."""
        if self._entity is None:
            answer = self._all._ask("POST", "/graphql", b'{"query": "{viewer{entity}}"}', timeout=10.0)
            viewer = json.loads(answer)["data"]["viewer"]
            if viewer is None:
                raise ReadError(f"{self.base_url} does not say who owns the API key; give an entity")
            self._entity = str(viewer["entity"])
        return self._entity

    @property
    def _all(self) -> Table:
        """A reader for requests that name no table."""
        return Table(self._connection, ("", "", ""))

    def tables(self, entity: str | None = None, project: str | None = None) -> list[dict[str, Any]]:
        """List the tables that the key may read, of all entities and projects or of one.

        Each is a dict of ``name``, ``entity``, ``project``, ``table``, ``rows``, ``bytes``,
        ``created_at``, ``last_write`` and ``url``.

        >>> sum(table["rows"] for table in client.tables(project="shop"))   # doctest: +SKIP
        """
        wanted = {"entity": entity, "project": project}
        chosen = urlencode({name: value for name, value in wanted.items() if value is not None})
        found = json.loads(self._all._ask("GET", f"/api/tables?{chosen}"))["tables"]
        return [_with_times(table) for table in found]

    def table(self, name: str) -> Table:
        """Return a table to read from: ``entity/project/table``, ``project/table`` or ``table``.

        >>> client.table("requests").columns()                          # doctest: +SKIP
        {'path': 'string', 'ms': 'int', 'timestamp': 'timestamp'}
        """
        return Table(self._connection, self._parts(name))

    @overload
    def query(self, sql: str, *, format: Literal["arrow"], timeout: float = 60.0) -> _pyarrow.Table: ...
    @overload
    def query(
        self, sql: str, *, format: Literal["dicts"], timeout: float = 60.0
    ) -> list[dict[str, Any]]: ...
    @overload
    def query(self, sql: str, *, format: None = None, timeout: float = 60.0) -> Rows: ...
    def query(
        self, sql: str, *, format: Literal["arrow", "dicts"] | None = None, timeout: float = 60.0
    ) -> Any:
        """Run an SQL query, as :meth:`StreamTable.query` does.

        >>> client.query("select count(*) as n from me.shop.requests")[0]["n"]  # doctest: +SKIP
        3
        """
        place = Table(self._connection, (self.entity, self.project, ""))
        if format is None:
            return place.query(sql, timeout=timeout)
        return place.query(sql, format=format, timeout=timeout)

    def boards(self, project: str | None = None) -> list[dict[str, Any]]:
        """List the boards of a project: ``project`` or ``entity/project``.

        >>> client.boards("me/shop")                                    # doctest: +SKIP
        [{'name': 'main', 'title': 'Shop', 'version': 1, …}]
        """
        *entity, own = (project or self.project).split("/")
        path = _path("/api/boards", *(entity or [self.entity]), own)
        found: list[dict[str, Any]] = json.loads(self._all._ask("GET", path))
        return found

    def board(self, name: str) -> dict[str, Any]:
        """Return a board's document.

        >>> client.board("me/shop/main")["panels"]                      # doctest: +SKIP
        """
        board: dict[str, Any] = json.loads(self._all._ask("GET", self._board_path(name)))
        return board

    def first_board(self, table: str, template: str | None = None) -> dict[str, Any]:
        """Return a board that the server suggests for a table. It is not saved.

        >>> board = client.first_board("me/shop/requests")              # doctest: +SKIP
        >>> client.save_board("me/shop/main", board)                    # doctest: +SKIP
        """
        path = _path("/api/tables", *self._parts(table)) + "/board"
        if template is not None:
            path += "?" + urlencode({"template": template})
        board: dict[str, Any] = json.loads(self._all._ask("GET", path))
        return board

    def save_board(self, name: str, board: Mapping[str, Any]) -> str:
        """Save a board, as a new version if it exists. Returns its URL.

        >>> client.save_board("me/shop/main", client.board("me/shop/draft"))    # doctest: +SKIP
        """
        self._all._ask("PUT", self._board_path(name), json.dumps(board).encode())
        entity, project, own = self._parts(name)
        return self.base_url + _path("", entity, project, "boards", own)

    def rename_board(self, name: str, to: str) -> None:
        """Rename a board within its project.

        >>> client.rename_board("me/shop/draft", "main")                # doctest: +SKIP
        """
        self._all._ask("POST", self._board_path(name) + "/rename", json.dumps({"to": to}).encode())

    def delete_board(self, name: str) -> None:
        """Delete a board and its versions.

        >>> client.delete_board("me/shop/draft")                        # doctest: +SKIP
        """
        self._all._ask("DELETE", self._board_path(name))

    def monitors(self, project: str | None = None) -> list[dict[str, Any]]:
        """List the monitors of a project, ``project`` or ``entity/project``, with their states.

        >>> [found["name"] for found in client.monitors() if found["state"] == "firing"]    # doctest: +SKIP
        ['slow']
        """
        found: list[dict[str, Any]] = json.loads(self._all._ask("GET", self._monitors_path(project)))
        return found

    def monitor(self, name: str) -> dict[str, Any]:
        """Return a monitor's document.

        >>> client.monitor("me/shop/slow")["condition"]                 # doctest: +SKIP
        {'kind': 'threshold', 'value': 'avg(ms)', 'above': 500}
        """
        monitor: dict[str, Any] = json.loads(self._all._ask("GET", self._monitor_path(name)))
        return monitor

    def save_monitor(self, name: str, monitor: Mapping[str, Any]) -> str:
        """Save a monitor, as a new version if it exists. Returns its URL.

        >>> client.save_monitor("me/shop/slow", {                       # doctest: +SKIP
        ...     "format": 1,
        ...     "title": "Slow requests",
        ...     "table": "me/shop/requests",
        ...     "window": {"last": "5m"},
        ...     "condition": {"kind": "threshold", "value": "avg(ms)", "above": 500},
        ... })
        """
        self._all._ask("PUT", self._monitor_path(name), json.dumps(monitor).encode())
        entity, project, own = self._parts(name)
        return self.base_url + _path("", entity, project, "monitors", own)

    def try_monitor(self, monitor: Mapping[str, Any], project: str | None = None) -> dict[str, Any]:
        """Return what a monitor would find now. It is not saved, and sends nothing.

        >>> client.try_monitor(client.monitor("me/shop/slow"))          # doctest: +SKIP
        """
        body = json.dumps(monitor).encode()
        found: dict[str, Any] = json.loads(self._all._ask("POST", self._monitors_path(project), body))
        return found

    def monitor_state(self, name: str) -> dict[str, Any]:
        """Return a monitor's state, with its groups and silences.

        >>> client.monitor_state("me/shop/slow")["state"]               # doctest: +SKIP
        'firing'
        """
        state: dict[str, Any] = json.loads(self._all._ask("GET", self._monitor_path(name) + "/state"))
        return state

    def silence_monitor(self, name: str, span: str, reason: str = "") -> None:
        """Send no messages of a monitor for a time such as ``30m`` or ``2h``.

        >>> client.silence_monitor("me/shop/slow", "2h", "new release") # doctest: +SKIP
        """
        body = json.dumps({"for": span, "reason": reason}).encode()
        self._all._ask("POST", self._monitor_path(name) + "/silence", body)

    def delete_monitor(self, name: str) -> None:
        """Delete a monitor and its versions.

        >>> client.delete_monitor("me/shop/slow")                       # doctest: +SKIP
        """
        self._all._ask("DELETE", self._monitor_path(name))

    def save_target(self, name: str, target: Mapping[str, Any]) -> None:
        """Save where the messages of monitors go. The target ``default`` gets those of all in its project.

        >>> client.save_target("me/shop/default", {"kind": "webhook", "url": url})  # doctest: +SKIP
        """
        self._all._ask("PUT", _path("/api/targets", *self._parts(name)), json.dumps(target).encode())

    def delete_target(self, name: str) -> None:
        """Delete a target.

        >>> client.delete_target("me/shop/default")                     # doctest: +SKIP
        """
        self._all._ask("DELETE", _path("/api/targets", *self._parts(name)))

    def _monitors_path(self, project: str | None) -> str:
        *entity, own = (project or self.project).split("/")
        return _path("/api/monitors", *(entity or [self.entity]), own)

    def _monitor_path(self, name: str) -> str:
        return _path("/api/monitors", *self._parts(name))

    def _board_path(self, name: str) -> str:
        return _path("/api/boards", *self._parts(name))

    def _parts(self, name: str) -> tuple[str, str, str]:
        """Return the entity, the project and the name in it."""
        if not isinstance(name, str):
            raise TypeError(f"the name must be a string, not {type(name).__qualname__}")
        parts = name.split("/")
        if not all(parts) or len(parts) > 3:
            raise TableNameError(f"{name!r} is no name: write entity/project/table, project/table or table")
        if len(parts) < 3:
            parts = [self.entity, *parts] if len(parts) == 2 else [self.entity, self.project, *parts]
        return parts[0], parts[1], parts[2]

    def __repr__(self) -> str:
        return f"Client({self.base_url!r})"


class Table(Reader):
    """A table to read from, of :meth:`Client.table`. Nothing can be logged to it.

    Its methods ``rows``, ``to_pandas``, ``to_polars``, ``batches``, ``tail``, ``query``, ``read_media`` and
    ``open`` are those of :class:`StreamTable`, but they do not wait for rows that this program has just
    logged. In a notebook, it is shown as a panel.

    >>> table = streamtable.Client().table("me/shop/requests")          # doctest: +SKIP
    >>> table.rows(last=10, where="ms > 50")                            # doctest: +SKIP
    """

    def __init__(self, connection: _native.StreamTable, names: tuple[str, str, str]):
        self._connection = connection
        self._names = names
        self._url: str | None = None

    @property
    def entity_name(self) -> str:
        """The user or team that owns the table."""
        return self._names[0]

    @property
    def project_name(self) -> str:
        """The project."""
        return self._names[1]

    @property
    def table_name(self) -> str:
        """The name within the project."""
        return self._names[2]

    @property
    def base_url(self) -> str:
        """The URL of the server."""
        return self._connection.base_url

    @property
    def url(self) -> str | None:
        """The URL of the panel, or ``None`` if there is no such table."""
        if self._url is None:
            try:
                self._url = str(self.describe()["url"])
            except NotFoundError:
                return None
        return self._url

    def _wait_for_rows(self, timeout: float) -> None:
        """Do nothing: this program logs nothing here."""

    def _request(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float, /
    ) -> tuple[int, bytes]:
        return self._connection._request(method, path, body, accept, timeout)

    def _stream(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float, /
    ) -> tuple[int, _native.Stream]:
        return self._connection._stream(method, path, body, accept, timeout)

    def describe(self) -> dict[str, Any]:
        """Return what the server says about the table: its ``rows``, ``bytes``, ``created_at`` and others.

        >>> table.describe()["rows"]                                    # doctest: +SKIP
        3
        """
        return _with_times(json.loads(self._ask("GET", self._api_path())))

    def columns(self) -> dict[str, str]:
        """Return the columns and their types, in the table's order.

        >>> table.columns()                                             # doctest: +SKIP
        {'path': 'string', 'ms': 'int', 'timestamp': 'timestamp'}
        """
        columns = json.loads(self._ask("GET", self._api_path("/schema")))["columns"]
        return {column["name"]: column["type"] for column in columns}

    def __repr__(self) -> str:
        return f"Table({self.path!r})"


def _connection(base_url: str | None, api_key: str | None) -> _native.StreamTable:
    """Return a table that is finished, and so only used for its requests."""
    connection = _native.StreamTable()
    with tempfile.TemporaryDirectory(prefix="streamtable-", ignore_cleanup_errors=True) as folder:
        connection._open(
            "client/client/client",
            project=None,
            entity=None,
            base_url=base_url,
            api_key=api_key,
            columns="strict",
            when_full="refuse",
            when_unreachable="fail",
            spool_dir=folder,
            spool=True,
            sync="never",
            offline=True,
            buffer_bytes=None,
            media_buffer_bytes=None,
            linger=None,
            open_timeout=30.0,
            finish_timeout=5.0,
            exit_timeout=5.0,
            on_reject=None,
            quiet=True,
        )
        try:
            connection.finish()
        except StreamTableError:
            # There are no rows to deliver.
            pass
    return connection


def _with_times(found: dict[str, Any]) -> dict[str, Any]:
    """Return a description of a table with its times as such."""
    times = {name: _read.of_json(found.get(name), _TIMESTAMP) for name in ("created_at", "last_write")}
    return {**found, **times}


def _path(start: str, *names: str) -> str:
    return "/".join([start, *(quote(name, safe="") for name in names)])
