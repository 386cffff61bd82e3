"""Reads a table with the legacy client that wrote it, and prints the result as one line of JSON.

Arguments: entity, project, table, number of rows.
"""
import json
import sys

import weave
from weave.monitoring import StreamTable

entity, project, table, count = sys.argv[1:5]
stream = StreamTable(table, project_name=project, entity_name=entity)
for i in range(int(count)):
    stream.log({"i": i, "text": f"row {i}", "dict": {"a": {"b": i}}})
stream.finish()
rows = StreamTable(table, project_name=project, entity_name=entity).rows()
found = {
    "count": weave.use(rows.count()),
    "i": list(weave.use(rows["i"])),
    "b": [cell["a"]["b"] for cell in weave.use(rows["dict"])],
}
print("FOUND " + json.dumps(found))
