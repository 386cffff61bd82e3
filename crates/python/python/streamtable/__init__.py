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
    UnavailableError,
)
from ._instrument import instrument
from ._media import Audio, Html, Image, Markdown, Media, Video
from ._monitor import monitor
from ._native import MediaStats, Recovered, Stats, __version__
from ._read import Rows
from ._record import Record, attributes, current
from ._server import Server, serve
from ._table import StreamTable, open_async

__all__ = [
    "Audio",
    "AuthenticationError",
    "BufferFullError",
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
    "TableFinishedError",
    "TableNameError",
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

# Tracebacks and documentation name the classes as programs import them.
for _name in __all__:
    _class = globals()[_name]
    if isinstance(_class, type) and _class.__module__.startswith("streamtable._"):
        try:
            _class.__module__ = "streamtable"
        except TypeError:
            # A class of the native module names its module itself.
            pass
del _name, _class
