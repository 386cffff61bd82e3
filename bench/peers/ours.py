"""StreamTable's Python package, with pending rows on disk or in memory."""
import sys
from pathlib import Path

from rows import measure
from streamtable import StreamTable

spool = Path.cwd() / "spool" if "disk" in sys.argv[3:] else False
table = StreamTable(f"bench/speed/{sys.argv[1]}", quiet=True, when_full="wait", spool_dir=spool)
measure(table.log, table.finish)
