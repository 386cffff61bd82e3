"""Tables and boards of a server, without logging to them."""

from __future__ import annotations

import datetime as dt
import glob
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from lab import Server

import streamtable
from streamtable import Client, StreamTable
from streamtable._reader import _hint

Open = Callable[..., StreamTable]


@pytest.fixture
def filled(open_table: Open) -> StreamTable:
    table = open_table()
    table.log([{"path": "/", "ms": 7, "tags": ["a"]}, {"path": "/a", "ms": 9, "tags": []}])
    table.finish()
    return table


def test_tables_are_listed_and_described(filled: StreamTable, name: str) -> None:
    client = Client()
    (found,) = [table for table in client.tables(project="p") if table["name"] == name]
    assert (found["entity"], found["project"], found["rows"]) == ("me", "p", 2)
    assert isinstance(found["created_at"], dt.datetime) and found["url"] == filled.url
    assert client.tables(entity="nobody") == []
    assert name in [table["name"] for table in client.tables()]
    table = client.table(name)
    assert table.describe()["rows"] == 2 and isinstance(table.describe()["last_write"], dt.datetime)
    columns = {"path": "string", "ms": "int", "tags": "list<string>", "timestamp": "timestamp"}
    assert table.columns() == columns
    assert repr(table) == f"Table({name!r})"


def test_a_table_is_read_without_writing_to_it(filled: StreamTable, name: str) -> None:
    table = Client().table(name)
    assert table.rows() == filled.rows()
    assert [row["path"] for row in table.rows(where="ms > 8")] == ["/a"]
    assert list(table.to_pandas()["ms"]) == [7, 9]
    assert [len(batch) for batch in table.batches()] == [2]
    assert next(table.tail(last=1))["path"] == "/a"
    assert not hasattr(table, "log")
    with pytest.raises(streamtable.ReadError, match="no table me/p/absent"):
        Client().table("me/p/absent").describe()
    assert Client().table("me/p/absent").rows() == []


def test_queries_need_no_table(filled: StreamTable, name: str) -> None:
    own = name.split("/")[2]
    assert Client().query(f"select sum(ms) as n from me.p.{own}")[0]["n"] == 16
    client = Client(project="p")
    assert client.query(f"select tags from {own}", format="dicts") == [{"tags": ["a"]}, {"tags": []}]
    assert client.query(f"select ms from {own}", format="arrow").column("ms").to_pylist() == [7, 9]


def test_names_are_completed_as_those_of_tables(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The owner of the key.
    assert (Client().entity, Client().table("t").path) == ("me", "me/stream-tables/t")
    assert Client(project="p").table("t").path == "me/p/t"
    assert Client().table("q/t").path == "me/q/t"
    monkeypatch.setenv("WANDB_ENTITY", "team")
    monkeypatch.setenv("WANDB_PROJECT", "shop")
    assert Client().table("t").path == "team/shop/t"
    assert Client(entity="you").table("t").path == "you/shop/t"
    for bad in ("", "a//b", "a/b/c/d"):
        with pytest.raises(streamtable.TableNameError):
            Client().table(bad)
    with pytest.raises(TypeError, match="must be a string, not int"):
        Client().table(5)  # type: ignore[arg-type]


def test_a_client_leaves_nothing_behind(server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client = Client(server.url, server.key)
    assert client.tables(project="nothing-here") == []
    assert not glob.glob(str(tmp_path / "streamtable-*")) and not (tmp_path / "spool").exists()
    assert client.table("nothing-here/t").rows() == []
    assert client.tables(project="nothing-here") == []


def test_errors_say_what_is_wrong(server: Server, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(streamtable.ReadError, match="unknown API key"):
        Client(api_key="k" * 40).tables()
    with pytest.raises(streamtable.ReadError, match="cannot reach.*; start a server with `streamtable serve`"):
        Client(base_url="http://127.0.0.1:9").tables()
    # A server on another machine is not started by that.
    assert _hint("https://example.com") == ""
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(streamtable.ReadError, match="no API key"):
        Client().tables()


def test_boards(server: Server, filled: StreamTable, name: str) -> None:
    client = Client()
    board = client.first_board(name)
    assert board["panels"]
    own = f"b{name.split('/')[2]}"
    url = client.save_board(f"me/p/{own}", {**board, "title": "Shop"})
    assert url == f"{client.base_url}/me/p/boards/{own}"
    assert server.get(f"/me/p/boards/{own}").startswith(b"<!")
    assert client.board(f"me/p/{own}")["title"] == "Shop"
    (listed,) = [found for found in client.boards("me/p") if found["name"] == own]
    assert listed["version"] == 1
    client.rename_board(f"me/p/{own}", f"{own}2")
    assert own not in [found["name"] for found in client.boards("p")]
    client.delete_board(f"me/p/{own}2")
    with pytest.raises(streamtable.ReadError, match="no board"):
        client.board(f"me/p/{own}2")
    with pytest.raises(streamtable.ReadError):
        client.first_board(name, "monitoring")


def test_monitors(server: Server, filled: StreamTable, name: str) -> None:
    client = Client(project="p")
    own = f"m{name.split('/')[2]}"
    monitor = {
        "format": 1,
        "title": "Slow",
        "table": name,
        "window": {"last": "5m"},
        "condition": {"kind": "threshold", "value": "avg(ms)", "above": 1},
    }
    found = client.try_monitor(monitor)
    assert found and own not in [listed["name"] for listed in client.monitors()]
    url = client.save_monitor(own, monitor)
    assert url == f"{client.base_url}/me/p/monitors/{own}" and server.get(f"/me/p/monitors/{own}").startswith(b"<!")
    assert client.monitor(f"me/p/{own}")["condition"]["above"] == 1
    (listed,) = [listed for listed in client.monitors("me/p") if listed["name"] == own]
    assert (listed["title"], listed["version"]) == ("Slow", 1)
    client.silence_monitor(own, "2h", "new release")
    until = time.monotonic() + 30
    while True:
        # The server takes up a changed monitor in the background.
        with suppress(streamtable.ReadError):
            if [silence["reason"] for silence in client.monitor_state(own)["silences"]] == ["new release"]:
                break
        assert time.monotonic() < until
        time.sleep(0.05)
    client.save_target(f"me/p/{own}", {"kind": "webhook", "url": "http://127.0.0.1:9/"})
    client.delete_target(f"me/p/{own}")
    client.delete_monitor(own)
    with pytest.raises(streamtable.ReadError, match="no monitor"):
        client.monitor(own)
    with pytest.raises(streamtable.ReadError):
        client.save_monitor(own, {"format": 1})


def test_a_panel(filled: StreamTable, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    table = Client().table(name)
    assert table.url == filled.url
    assert [table.open()] == opened and "/login?token=" in opened[0]
    shown = table._repr_mimebundle_()["text/html"]
    assert "<iframe" in shown and "2 rows when this was shown" in shown and "<td>/a</td>" in shown
    absent = Client().table("me/p/absent")
    assert absent.url is None and "its rows cannot be shown here" in absent._repr_mimebundle_()["text/html"]
    with pytest.raises(streamtable.ReadError, match="no panel"):
        absent.open()
    away = Client("http://127.0.0.1:9").table(name)
    assert "cannot reach" in away._repr_mimebundle_()["text/html"]
