"""The legacy StreamTable, the way its page shows."""
import sys

from rows import measure
from weave.monitoring import StreamTable

table = StreamTable(f"bench/speed/{sys.argv[1]}")
measure(table.log, table.finish)
