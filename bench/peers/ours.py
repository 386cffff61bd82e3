"""Our own Python package."""
import sys

from rows import measure
from streamtable import StreamTable

table = StreamTable(f"bench/speed/{sys.argv[1]}")
measure(table.log, table.finish)
