"""Logs rows with the real client, as the first documentation of StreamTable shows.

Arguments: entity, project, table, how many rows.
"""
import sys

from weave.monitoring import StreamTable

entity, project, table, count = sys.argv[1:]
stream = StreamTable(table, project_name=project, entity_name=entity)
for i in range(int(count)):
    stream.log({"zulu": i, "alpha": f"row {i}", "mike": i / 8, "ok": i % 2 == 0})
stream.finish()
