from collections.abc import Callable
from os import PathLike
from typing import Any, final

from typing_extensions import Self, disjoint_base

__all__ = [
    "MediaStats",
    "Recovered",
    "Stats",
    "Stream",
    "StreamTable",
    "__version__",
    "after_fork",
    "arrow_without_views",
    "finish_all",
    "is_row_time",
    "rows_of_arrow",
    "spool_entries",
    "sync_spool",
]

__version__: str

@final
class Stats:
    """Row counts of a table since it was opened: ``logged = acked + pending + rejected + dropped``.

    >>> table.flush().acked                                             # doctest: +SKIP
    3
    """

    def __new__(cls, logged: int, acked: int, pending: int, rejected: int, dropped: int, media: MediaStats, recovered: Recovered) -> Stats: ...
    def __getnewargs__(self) -> tuple[int, int, int, int, int, MediaStats, Recovered]: ...
    def _asdict(self) -> dict[str, Any]: ...
    @property
    def logged(self) -> int: ...
    @property
    def acked(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def media(self) -> MediaStats: ...
    @property
    def recovered(self) -> Recovered: ...

@final
class MediaStats:
    """Counts of media files.

    >>> table.stats().media.uploaded                                    # doctest: +SKIP
    1
    """

    def __new__(cls, uploaded: int, pending: int, failed: int) -> MediaStats: ...
    def __getnewargs__(self) -> tuple[int, int, int]: ...
    def _asdict(self) -> dict[str, Any]: ...
    @property
    def uploaded(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def failed(self) -> int: ...

@final
class Recovered:
    """Counts of rows that earlier processes left in the spool.

    >>> table.stats().recovered.found                                   # doctest: +SKIP
    0
    """

    def __new__(cls, found: int, acked: int, pending: int, rejected: int, damaged: int, lost: int) -> Recovered: ...
    def __getnewargs__(self) -> tuple[int, int, int, int, int, int]: ...
    def _asdict(self) -> dict[str, Any]: ...
    @property
    def found(self) -> int: ...
    @property
    def acked(self) -> int: ...
    @property
    def pending(self) -> int: ...
    @property
    def rejected(self) -> int: ...
    @property
    def damaged(self) -> int: ...
    @property
    def lost(self) -> int: ...

@disjoint_base
class StreamTable:
    """A table to which rows are appended: the part of ``streamtable.StreamTable`` in Rust."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self: ...
    def _open(
        self,
        name: str,
        *,
        project: str | None,
        entity: str | None,
        base_url: str | None,
        api_key: str | None,
        columns: str,
        when_full: str,
        when_unreachable: str,
        spool_dir: str | PathLike[str] | None,
        spool: bool,
        sync: str,
        offline: bool,
        buffer_bytes: int | None,
        media_buffer_bytes: int | None,
        linger: float | None,
        open_timeout: float,
        finish_timeout: float,
        exit_timeout: float,
        on_reject: Callable[[dict[str, Any], str], object] | None,
        quiet: bool,
    ) -> None: ...
    def _have_constants(self, are_there: bool, /) -> None: ...
    def log(self, rows: Any, /) -> str | None:
        """Log one row or many: a mapping, a dataclass, an iterable of rows, or a frame.

        >>> table.log({"path": "/", "ms": 7})                           # doctest: +SKIP
        """
    def _log_now(self, row: dict[str, Any], /) -> bool: ...
    def flush(self, timeout: float = 60.0) -> Stats:
        """Wait until the rows logged so far are stored.

        >>> table.flush(timeout=5).pending                              # doctest: +SKIP
        0

        Raises:
            FlushTimeoutError: Rows are not stored within ``timeout``; delivery continues.
            StreamStoppedError: The server rejects all rows until a problem is fixed.
        """
    def finish(self) -> Stats:
        """Deliver the remaining rows and close the table.

        >>> table.finish()                                              # doctest: +SKIP
        Stats(logged=3, acked=3, pending=0, …)

        Raises:
            FlushTimeoutError: There was no progress for ``finish_timeout``; the rows stay in the spool.
            StreamStoppedError: The server rejects all rows until a problem is fixed.
        """
    def stats(self) -> Stats:
        """Return row counts, without waiting.

        >>> table.stats().pending                                       # doctest: +SKIP
        2
        """
    def resume(self) -> None:
        """Continue after the server rejected all rows, because of an invalid key for example.

        >>> table.resume()                                              # doctest: +SKIP
        """
    @property
    def entity_name(self) -> str:
        """The user or team that owns the table."""
    @property
    def project_name(self) -> str:
        """The project."""
    @property
    def table_name(self) -> str:
        """The name within the project."""
    @property
    def url(self) -> str | None:
        """The URL of the panel, or ``None`` if the server has none."""
    @property
    def rows_url(self) -> str | None:
        """The URL of the page of the run that holds the rows, or ``None``."""
    @property
    def base_url(self) -> str:
        """The URL of the server."""
    @property
    def writer(self) -> str:
        """The id of this writer, as in the column ``_writer``."""
    @property
    def stop_reason(self) -> str | None:
        """Why the server rejects all rows, if it does."""
    @property
    def is_finished(self) -> bool:
        """Whether the table is finished."""
    def _request(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float, /
    ) -> tuple[int, bytes]: ...
    def _stream(
        self, method: str, path: str, body: bytes | None, accept: str, timeout: float, /
    ) -> tuple[int, Stream]: ...

@final
class Stream:
    def read(self, timeout: float | None = None, /) -> bytes | None: ...

def after_fork() -> None: ...
def finish_all() -> list[str]: ...
def is_row_time(text: str) -> bool: ...
def spool_entries(dir: str | PathLike[str] | None) -> list[dict[str, Any]]: ...
def sync_spool(dir: str | PathLike[str] | None) -> dict[str, Any]: ...
def rows_of_arrow(stream: bytes, /) -> list[dict[str, Any]]: ...
def arrow_without_views(stream: bytes, /) -> bytes: ...
