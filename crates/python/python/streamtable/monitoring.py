"""The same names as in ``weave.monitoring``."""

from ._monitor import Record, monitor
from ._table import StreamTable

__all__ = ["Record", "StreamTable", "monitor"]
