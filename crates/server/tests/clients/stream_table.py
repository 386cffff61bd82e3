"""Logs rows with every kind of value that the legacy StreamTable supports.

Arguments: entity, project, table, number of rows, name of the writer.
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
    # `finish` deletes the client's copies of images before it waits for their uploads. If an upload
    # has not started by then, the upload thread fails and `finish` waits forever.
    stream.queue.join()
    deadline = time.monotonic() + 60
    while not 0 < (summary := stream._lite_run.pusher._stats.summary()).total_bytes == summary.uploaded_bytes:
        if time.monotonic() > deadline:
            sys.exit(f"the image was not uploaded: {summary}")
        time.sleep(0.05)
stream.finish()
