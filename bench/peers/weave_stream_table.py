"""Weave's legacy StreamTable, used as on its documentation page."""
import sys

from rows import measure
from weave.monitoring import StreamTable

table = StreamTable(f"bench/speed/{sys.argv[1]}")
measure(table.log, table.finish)
