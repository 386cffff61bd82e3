"""Append rows from a running program and watch them live.

>>> from streamtable import StreamTable
>>> table = StreamTable("me/shop/requests")                             # doctest: +SKIP
>>> table.log({"path": "/", "ms": 7})                                   # doctest: +SKIP
View data at: http://127.0.0.1:8080/?exp=…
>>> table.finish()                                                      # doctest: +SKIP
Stats(logged=1, acked=1, pending=0, …)

A program that uses Weave's StreamTable changes one line: ``from weave.monitoring import
StreamTable`` becomes ``from streamtable.monitoring import StreamTable``.
"""

import importlib as _importlib
from typing import TYPE_CHECKING

from ._native import __version__

if TYPE_CHECKING:
    from ._client import Client, Table
    from ._convert import register
    from ._errors import (
        AuthenticationError,
        BufferFullError,
        FlushError,
        FlushTimeoutError,
        LogError,
        OpenError,
        ReadError,
        RefusedRow,
        RowError,
        RowsRejectedWarning,
        RowTypeError,
        SpoolError,
        StreamStoppedError,
        StreamTableError,
        TableFinishedError,
        TableNameError,
        TimestampWarning,
        UnavailableError,
    )
    from ._instrument import instrument
    from ._media import Audio, Html, Image, Markdown, Media, Video
    from ._monitor import monitor
    from ._native import MediaStats, Recovered, Stats
    from ._read import Rows
    from ._record import Record, attributes, current
    from ._server import Server, serve
    from ._table import StreamTable, open_async

__all__ = [
    "Audio",
    "AuthenticationError",
    "BufferFullError",
    "Client",
    "FlushError",
    "FlushTimeoutError",
    "Html",
    "Image",
    "LogError",
    "Markdown",
    "Media",
    "MediaStats",
    "OpenError",
    "ReadError",
    "Record",
    "Recovered",
    "RefusedRow",
    "RowError",
    "RowTypeError",
    "Rows",
    "RowsRejectedWarning",
    "Server",
    "SpoolError",
    "Stats",
    "StreamStoppedError",
    "StreamTable",
    "StreamTableError",
    "Table",
    "TableFinishedError",
    "TableNameError",
    "TimestampWarning",
    "UnavailableError",
    "Video",
    "__version__",
    "attributes",
    "current",
    "instrument",
    "monitor",
    "open_async",
    "register",
    "serve",
]

# The modules of the names above, which are imported at the first use of one of their names, so that
# `import streamtable` takes little time.
_MODULES = {
    "_client": ("Client", "Table"),
    "_convert": ("register",),
    "_errors": (
        "AuthenticationError", "BufferFullError", "FlushError", "FlushTimeoutError", "LogError", "OpenError",
        "ReadError", "RefusedRow", "RowError", "RowTypeError", "RowsRejectedWarning", "SpoolError",
        "StreamStoppedError", "StreamTableError", "TableFinishedError", "TableNameError",
        "TimestampWarning", "UnavailableError",
    ),
    "_instrument": ("instrument",),
    "_media": ("Audio", "Html", "Image", "Markdown", "Media", "Video"),
    "_monitor": ("monitor",),
    "_native": ("MediaStats", "Recovered", "Stats"),
    "_read": ("Rows",),
    "_record": ("Record", "attributes", "current"),
    "_server": ("Server", "serve"),
    "_table": ("StreamTable", "open_async"),
}  # fmt: skip

if not TYPE_CHECKING:
    # Hidden from type checkers, which would accept any name.

    def __getattr__(name):
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(_importlib.import_module(f"{__name__}.{module}"), name)
        # Documentation names the classes as programs import them.
        if isinstance(value, type) and value.__module__ == f"{__name__}.{module}" and module != "_native":
            value.__module__ = __name__
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
