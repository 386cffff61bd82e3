"""The same names as in ``weave.monitoring``."""

from ._monitor import monitor
from ._record import Record
from ._table import StreamTable

__all__ = ["Record", "StreamTable", "monitor"]
