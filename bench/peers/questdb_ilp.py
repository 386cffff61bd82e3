"""QuestDB's client over HTTP, with automatic flushes every 5,000 rows."""
import os
import sys

from questdb.ingress import Protocol, Sender, TimestampNanos
from rows import measure

host, port = os.environ["SINK_URL"].removeprefix("http://").split(":")
sender = Sender(Protocol.Http, host, int(port), auto_flush_rows=5000)
sender.establish()


def log(row):
    # QuestDB columns have one type.
    row["score"] = str(row["score"])
    sender.row(sys.argv[1], columns=row, at=TimestampNanos.now())


def finish():
    sender.flush()
    sender.close()


measure(log, finish)
