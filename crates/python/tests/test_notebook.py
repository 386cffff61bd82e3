"""The display in a notebook and the content of its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import numpy as np
import pytest
from lab import Proxy, Server

from streamtable import Image, StreamTable

Open = Callable[..., StreamTable]


def html(table: StreamTable) -> str:
    bundle = table._repr_mimebundle_()
    assert bundle["text/plain"] == repr(table)
    return bundle["text/html"]


def test_a_panel_and_the_last_rows(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log([{"n": n, "text": "<b>&", "none": None} for n in range(50)])
    shown = html(table)
    (source,) = re.findall(r'<iframe src="([^"]*)"', shown)
    source = unescape(source)
    assert source.startswith(f"{server.url}/login?token=")
    assert "&next=%2Fembed%3Fexp%3Dget%2528" in source
    assert server.key not in shown
    # The copy stays visible, because the frame may be blocked.
    assert "<details open>" in shown
    assert 'const names = ["localhost", "127.0.0.1"]' in shown
    assert "the last 20 of 50 rows when this was shown" in shown
    assert f'<a href="{table.url}" target="_blank"' in unescape(shown)
    assert shown.count("<tr>") == 21
    assert "<td>49</td><td>&lt;b&gt;&amp;</td><td></td>" in shown
    assert "<td>29</td>" not in shown


def test_ipython_displays_the_table(server: Server, open_table: Open) -> None:
    from IPython.core.formatters import DisplayFormatter

    table = open_table()
    table.log({"n": 1})
    shown, _ = DisplayFormatter().format(table)
    assert set(shown) == {"text/plain", "text/html"}


def test_pictures_and_long_texts(open_table: Open) -> None:
    table = open_table()
    table.log({"image": Image(np.zeros((2, 2)), caption="a <digit>"), "text": "x" * 500})
    shown = html(table)
    assert "<td>a &lt;digit&gt;</td>" in shown
    assert "x" * 120 + "…" in shown and "x" * 121 not in shown


def test_no_rows(open_table: Open) -> None:
    assert "StreamTable(" in repr(open_table())
    assert "cannot be shown" in html(open_table()) or "no rows yet" in html(open_table())


def test_an_unreachable_server(server: Server, name: str) -> None:
    with Proxy(server, lambda _: "pass") as proxy:
        table = StreamTable(name, quiet=True, base_url=proxy.url, api_key=server.key)
        table.log({"n": 1})
        table.finish()
    shown = html(table)
    assert "its rows cannot be shown here" in shown
    assert "<iframe" not in shown


@pytest.mark.parametrize("finished", [False, True])
def test_a_finished_table_is_shown_as_well(open_table: Open, finished: bool) -> None:
    table = open_table()
    table.log({"n": 1})
    if finished:
        table.finish()
    assert "1 row when this was shown" in html(table)


def test_the_example(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    import json
    import time
    from pathlib import Path

    monkeypatch.setattr(time, "sleep", lambda _: None)
    notebook = json.loads((Path(__file__).parents[1] / "examples/stream_table.ipynb").read_text())
    names: dict[str, object] = {}
    for cell in notebook["cells"]:
        assert cell.get("outputs", []) == [], "the example is kept without outputs"
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
    table = names["table"]
    assert isinstance(table, StreamTable)
    assert [row["step"] for row in server.rows(table.path)] == list(range(200))
