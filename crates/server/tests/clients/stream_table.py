"""Logs rows of every kind that the legacy StreamTable can carry.

Arguments: entity, project, table, how many rows, a name for the writer.
"""
import datetime
import math
import sys
import time

from PIL import Image
from weave.monitoring import StreamTable

entity, project, table, count, who = sys.argv[1:6]
kwargs = {"entity_name": entity} if entity else {}
stream = StreamTable(table, project_name=project, **kwargs)
for i in range(int(count)):
    stream.log(
        {
            "i": i,
            "who": who,
            "float": i + 0.5,
            "nan": math.nan,
            "inf": -math.inf,
            "text": "naïve 😀 \"quoted\"\n",
            "bool": i % 2 == 0,
            "none": None,
            "list": [1, 2.5, "x"],
            "dict": {"a": {"b": [True]}},
            "when": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
            "big": 9223372036854775807,
        }
    )
if "--image" in sys.argv:
    stream.log({"i": -1, "who": who, "image": Image.new("RGB", (4, 3), (200, 10, 10))})
    # `finish` deletes the client's copies of pictures before it waits for their uploads: one that
    # was not begun by then ends the uploading thread, and `finish` waits for that one for ever.
    stream.queue.join()
    deadline = time.monotonic() + 60
    while not 0 < (told := stream._lite_run.pusher._stats.summary()).total_bytes == told.uploaded_bytes:
        if time.monotonic() > deadline:
            sys.exit(f"the picture is not uploaded: {told}")
        time.sleep(0.05)
stream.finish()
