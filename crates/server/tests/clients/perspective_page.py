"""Opens a table with Perspective's own client, as the page does, and prints what it reads.

Arguments: the URL of the server's WebSocket, the table, the number of rows to wait for.
"""

import asyncio
import json
import os
import sys

import perspective
import websockets


async def look(client, name, rows):
    table = await client.open_table(name)
    seen = {"tables": await client.get_hosted_table_names(), "schema": await table.schema()}
    seen["columns"] = await table.columns()
    seen["size"] = await table.size()

    flat = await table.view(columns=["i", "who"])
    seen["dimensions"] = await flat.dimensions()
    seen["flat"] = await flat.to_columns(start_row=1, end_row=3)
    seen["arrow"] = len(await flat.to_arrow(start_row=0, end_row=2)) > 0
    seen["csv"] = await flat.to_csv(start_row=0, end_row=1)
    seen["rows"] = await flat.to_json(start_row=0, end_row=1)
    seen["min_max"] = await flat.get_min_max("i")
    seen["paths"] = await flat.column_paths({})

    grouped = await table.view(
        columns=["twice"],
        group_by=["who"],
        split_by=["even"],
        expressions={"twice": '"i" * 2', "even": '"i" % 2 = 0'},
        aggregates={"twice": "sum"},
        filter=[["i", "<", 4]],
        sort=[["twice", "desc"]],
    )
    seen["grouped"] = await grouped.to_columns()
    seen["grouped schema"] = await grouped.schema()
    seen["expressions"] = await grouped.expression_schema()
    seen["config"] = (await grouped.get_config())["group_by"]
    await grouped.delete()

    news = asyncio.Event()

    await flat.on_update(lambda *_: news.set())
    print("READY", flush=True)
    while await flat.num_rows() < rows:
        await asyncio.wait_for(news.wait(), 60)
        news.clear()
    seen["rows after"] = await flat.num_rows()
    await flat.delete()
    try:
        await client.open_table("me/p/none")
    except Exception as error:
        seen["missing"] = str(error)
    return seen


async def main(url, name, rows):
    headers = {"Authorization": "Bearer " + os.environ["WANDB_API_KEY"]}
    async with websockets.connect(url, additional_headers=headers, max_size=None) as socket:

        async def send(message):
            await socket.send(bytes(message))

        client = perspective.AsyncClient(send)

        async def receive():
            async for message in socket:
                if isinstance(message, bytes):
                    await client.handle_response(message)

        receiving = asyncio.create_task(receive())
        seen = await look(client, name, rows)
        receiving.cancel()
    print("SEEN", json.dumps(seen, default=str))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
