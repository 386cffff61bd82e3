"""Defects of the legacy client, one test each, numbered as in the protocol notes, §17.

| defect | test |
| --- | --- |
| 1 rows are lost with the process | test_process.py::test_a_killed_process_loses_no_rows |
| 2 to 10 | here |
| 4 fork | test_process.py::test_fork, ::test_multiprocessing |
| 11, 12 | here |
| 13, 16 | test_values.py, test_table.py::test_forms_of_a_row |
| 14, 15 | here |
| 17 to 24 | here |
| 25 the slow import of many packages | here, test_values.py::test_conversion_imports_no_packages, alone.py |
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import Proxy, Server

import streamtable
from streamtable import Image, StreamTable

Open = Callable[..., StreamTable]


def behind(proxy: Proxy, server: Server) -> dict[str, Any]:
    return {"base_url": proxy.url, "api_key": server.key}


def test_02_a_bad_value_does_not_stop_logging(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    for n in range(9):
        if n == 2:
            with pytest.raises(TypeError):
                table.log({"n": object()})
        else:
            table.log({"n": n})
    assert table.finish().acked == 8
    assert [row["n"] for row in server.rows(name)] == [0, 1, 3, 4, 5, 6, 7, 8]


def test_03_a_row_after_finish_is_an_error(open_table: Open) -> None:
    table = open_table()
    table.log({"n": 0})
    table.finish()
    with pytest.raises(streamtable.TableFinishedError):
        table.log({"n": 1})


def test_05_the_buffer_is_bounded(server: Server, open_table: Open) -> None:
    with Proxy(server, lambda _: (503, {})) as proxy:
        table = open_table(**behind(proxy, server), spool_dir=False, buffer_bytes=100_000)
        with pytest.raises(streamtable.BufferFullError, match="of 100000 bytes wait"):
            for n in range(50_000):
                table.log({"n": n})
        assert table.stats().logged < 1000
        proxy.plan = lambda _: "pass"
        table.finish()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_06_a_stopped_stream_raises_and_keeps_the_rows(
    server: Server, name: str, open_table: Open, status: int
) -> None:
    with Proxy(server, lambda _: (status, {})) as proxy:
        table = open_table(**behind(proxy, server))
        table.log([{"n": n} for n in range(5)])
        with pytest.raises(streamtable.StreamStoppedError) as raised:
            table.flush()
        assert isinstance(raised.value, streamtable.FlushError)
        assert raised.value.stats.pending == 5
        assert table.stop_reason is not None
        with pytest.raises(streamtable.StreamStoppedError, match="call `resume`"):
            table.log({"n": 5})
        proxy.plan = lambda _: "pass"
        table.resume()
        assert table.finish().acked == 5
    assert [row["n"] for row in server.rows(name)] == list(range(5))


def test_07_a_lost_response_duplicates_no_rows(server: Server, name: str, open_table: Open) -> None:
    with Proxy(server, lambda n: "pass" if n else "lose") as proxy:
        table = open_table(**behind(proxy, server))
        table.log([{"n": n} for n in range(5)])
        assert table.finish().acked == 5
        assert len(proxy.bodies) >= 2
    assert [row["n"] for row in server.rows(name)] == list(range(5))


def test_08_finish_is_bounded_if_the_server_is_silent(server: Server, name: str) -> None:
    with Proxy(server, lambda n: "pass" if n else "hang") as proxy:
        table = StreamTable(name, **behind(proxy, server), finish_timeout=0.5, quiet=True)
        table.log({"n": 0})
        start = time.monotonic()
        with pytest.raises(streamtable.FlushTimeoutError) as raised:
            table.finish()
        assert isinstance(raised.value, TimeoutError)
        assert time.monotonic() - start < 5
        proxy.hang.set()
        deadline = time.monotonic() + 20
        while table.stats().pending:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert len(server.rows(name)) == 1


def test_09_opening_is_bounded(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with pytest.raises(streamtable.UnavailableError, match="within"):
            StreamTable(name, base_url=url, api_key="k" * 40, open_timeout=0.5)
        assert time.monotonic() - start < 5
    # The port is closed again.
    table = StreamTable(
        name, base_url=url, api_key="k" * 40, open_timeout=0.3, when_unreachable="log_anyway",
        exit_timeout=0.1, finish_timeout=0.1, quiet=True,
    )  # fmt: skip
    table.log({"n": 0})
    assert table.stats().pending == 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_09_a_refused_connection_on_this_machine_fails_at_once(name: str, host: str) -> None:
    url = f"http://{host}:{free_port()}"
    start = time.monotonic()
    with pytest.raises(streamtable.UnavailableError, match="start a server with `streamtable serve`") as raised:
        StreamTable(name, base_url=url, api_key="k" * 40)
    assert f"nothing listens at {url}" in str(raised.value)
    # The limit is 30 seconds.
    assert time.monotonic() - start < 10
    table = StreamTable(
        name, base_url=url, api_key="k" * 40, when_unreachable="log_anyway",
        exit_timeout=0.1, finish_timeout=0.1, quiet=True,
    )  # fmt: skip
    assert time.monotonic() - start < 20
    table.log({"n": 0})
    assert table.stats().pending == 1


def test_09_a_wait_is_announced_after_a_second(
    name: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(streamtable.UnavailableError, match=r"within \d(\.\d)? s: "):
            StreamTable(name, base_url=url, api_key="k" * 40, open_timeout=2.5)
        assert capsys.readouterr().err == f"streamtable: waiting for {url}, at most 2.5 s\n"
        with pytest.raises(streamtable.UnavailableError):
            StreamTable(name, base_url=url, api_key="k" * 40, open_timeout=1.5, quiet=True)
        assert capsys.readouterr().err == ""
    with Proxy(server, lambda n: "pass" if n else "hang") as proxy:
        table = StreamTable(name, **behind(proxy, server))
        table.log({"n": 0})
        capsys.readouterr()
        threading.Timer(2, proxy.hang.set).start()
        table.finish()
        assert capsys.readouterr().err == f"streamtable: {name}: waiting until 1 rows or files are stored\n"


def test_10_without_any_setting_the_error_says_how_to_start_a_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            pytest.skip("a server listens on the default port")
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    start = time.monotonic()
    with pytest.raises(streamtable.UnavailableError, match="no server is set, and none runs at") as raised:
        StreamTable("requests")
    assert "`streamtable serve`" in str(raised.value) and "`streamtable.serve()`" in str(raised.value)
    # The limit is 30 seconds.
    assert time.monotonic() - start < 10


def test_10_wandb_gets_rows_only_if_there_is_a_key_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WANDB_BASE_URL")
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))

    def server_of(text: str, **env: str) -> str:
        netrc.write_text(text)
        with monkeypatch.context() as patch:
            for variable, value in env.items():
                patch.setenv(variable, value)
            return StreamTable("e/p/t", offline=True, quiet=True).base_url

    local, cloud = "http://127.0.0.1:8080", "https://api.wandb.ai"
    wandb = "machine api.wandb.ai login user password " + "w" * 40 + "\n"
    own = "machine 127.0.0.1:8080 login user password " + "l" * 40 + "\n"
    assert server_of("") == local
    assert server_of("default login user password " + "d" * 40) == local
    assert server_of(wandb) == cloud
    assert server_of(own + wandb) == local
    assert server_of(own, WANDB_API_KEY="k" * 40) == cloud


def test_an_unreadable_settings_file_is_ignored(server: Server, name: str, program: Any, tmp_path: Path) -> None:
    folder = tmp_path / ".config" / "wandb"
    folder.mkdir(parents=True)
    settings = folder / "settings"
    settings.write_text("[default]\n")
    settings.chmod(0)
    folder.chmod(0)
    code = """
        import os, sys
        from streamtable import StreamTable
        if os.getuid() == 0:
            # Root may read everything.
            os.setgid(65534), os.setuid(65534)
        with StreamTable(sys.argv[1], spool_dir=False, quiet=True, api_key=sys.argv[2]) as table:
            table.log({"n": 1})
    """
    try:
        for path in (tmp_path, *list(tmp_path.parents)[:2]):
            path.chmod(0o755)
        ended = program(code, name, server.key)
    finally:
        folder.chmod(0o755)
    assert [row["n"] for row in server.rows(name)] == [1]
    assert "no permission to read a file; it is ignored" in ended.stderr


def test_10_errors_at_opening_are_raised(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(streamtable.AuthenticationError, match="does not accept the API key"):
        StreamTable(name, api_key="wrong" * 8)
    with pytest.raises(streamtable.OpenError, match="address"):
        StreamTable(name, base_url="ftp://127.0.0.1", api_key="k" * 40)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(streamtable.AuthenticationError, match="there is no API key for 127.0.0.1"):
        StreamTable(name)


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/New_York"])
def test_11_time_zones_do_not_shift_timestamps(server: Server, name: str, program: Any, zone: str) -> None:
    code = """
        import sys, time
        from streamtable import StreamTable
        with StreamTable(sys.argv[1]) as table:
            table.log({"now": time.time()})
            start = time.monotonic()
            table.flush()
            assert time.monotonic() - start < 2
    """
    program(code, name, TZ=zone)
    run = name.split("/")[2]
    query = f'{{ project(name: "p", entityName: "me") {{ run(name: "{run}") {{ history }} }} }}'
    answer = ask(server, query)
    line = json.loads(answer["data"]["project"]["run"]["history"][0])
    assert abs(line["_timestamp"] - line["now"]) < 5


def ask(server: Server, query: str) -> Any:
    import urllib.request

    request = urllib.request.Request(
        server.url + "/graphql",
        json.dumps({"query": query}).encode(),
        {"authorization": f"Bearer {server.key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())


def test_12_rows_arrive_soon_and_flush_waits_for_them(
    server: Server, name: str, open_table: Open
) -> None:
    table = open_table()
    table.log({"n": 0})
    deadline = time.monotonic() + 5
    while table.stats().acked == 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    table.log({"n": 1})
    assert table.flush(10).acked == 2
    assert len(server.rows(name)) == 2


def test_14_each_array_and_document_is_stored_separately(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    for n in range(3):
        table.log({"array": np.full(3, n), "image": Image(np.full((2, 2), n)), "took": np.timedelta64(n, "s")})
    table.finish()
    rows = server.rows(name)
    assert [row["array"] for row in rows] == [[n] * 3 for n in range(3)]
    assert [row["took"] for row in rows] == [0.0, 1.0, 2.0]
    files = {row["image"]["path"] for row in rows}
    assert len(files) == 3
    assert all(server.get(f"/files/{name}/{path}").startswith(b"\x89PNG") for path in files)


def test_15_later_changes_of_a_row_are_ignored(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    row: dict[str, Any] = {"n": 1, "list": [1], "dict": {"a": 1}, "array": np.ones(2)}
    table.log(row)
    row["n"] = 2
    row["list"].append(2)
    row["dict"]["a"] = 2
    row["array"][:] = 2
    table.finish()
    stored = server.rows(name)[0]
    assert (stored["n"], stored["list"], stored["dict"]) == (1, [1], {"a": 1})
    assert stored["array"] == [1, 1]


def test_17_complete_comes_last(server: Server, open_table: Open) -> None:
    posts: list[bytes] = []
    with Proxy(server, lambda _: "pass") as proxy:
        proxy.all_bodies = posts
        table = open_table(**behind(proxy, server))
        table.log({"image": Image(np.zeros((2, 2)))})
        table.finish()
    said_complete = [b'"complete":true' in body.replace(b" ", b"") for body in posts]
    assert said_complete.count(True) == 1 and said_complete[-1]


def test_18_a_row_that_is_too_long_raises(server: Server, name: str, open_table: Open) -> None:
    table = open_table()
    table.log({"text": "a"})
    with pytest.raises(streamtable.RowError, match="at most 10383360 are allowed"):
        table.log({"text": "x" * 11_000_000})
    table.log({"text": "b"})
    table.finish()
    assert [(row["text"], row["_line"]) for row in server.rows(name)] == [("a", 0), ("b", 1)]


def test_19_tables_do_not_affect_each_other(server: Server) -> None:
    before = dict(os.environ)
    names = [f"me/p{i}/t{uuid.uuid4().hex[:8]}" for i in range(8)]

    def work(name: str) -> None:
        with StreamTable(name, quiet=True) as table:
            table.log([{"table": name, "n": n} for n in range(20)])

    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert dict(os.environ) == before
    for name in names:
        assert [(row["table"], row["n"]) for row in server.rows(name)] == [(name, n) for n in range(20)]


def test_20_an_invalid_name_creates_nothing(server: Server) -> None:
    project = f"p{uuid.uuid4().hex[:8]}"
    with pytest.raises(streamtable.TableNameError):
        StreamTable(f"me/{project}/no good")
    query = f'{{ project(name: "{project}", entityName: "me") {{ name }} }}'
    assert (ask(server, query)["data"] or {}).get("project") is None


def test_21_stats_count_the_rows(open_table: Open) -> None:
    table = open_table()
    table.log([{"n": 0}, {"n": 1}])
    stats = table.flush()
    assert stats.logged == stats.acked + stats.pending + stats.rejected + stats.dropped == 2


def test_22_retry_after_is_obeyed(server: Server, open_table: Open) -> None:
    times: list[float] = []

    def plan(number: int) -> Any:
        times.append(time.monotonic())
        return "pass" if number else (429, {"retry-after": "2"})

    with Proxy(server, plan) as proxy:
        table = open_table(**behind(proxy, server))
        table.log({"n": 0})
        table.finish()
    assert times[1] - times[0] >= 2


def test_23_a_key_in_two_places_works(
    server: Server, open_table: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", server.key)
    table = open_table()
    table.log({"n": 0})
    assert table.finish().acked == 1


def test_24_the_writer_id_reveals_nothing_about_the_machine(open_table: Open) -> None:
    assert uuid.UUID(open_table().writer).version == 4


def test_25_the_import_is_fast(program: Any) -> None:
    code = """
        import sys, time
        start = time.process_time()
        import streamtable
        assert not [name for name in sys.modules if name.startswith("streamtable._") and name != "streamtable._native"]
        from streamtable import StreamTable
        print(time.process_time() - start)
        # Each takes several milliseconds, and few programs need it.
        slow = {"dataclasses", "decimal", "fractions", "inspect", "logging", "random", "socket", "subprocess", "uuid"}
        assert not slow & set(sys.modules), slow & set(sys.modules)
        from streamtable import monitor
        slow -= {"inspect"}
        assert not slow & set(sys.modules), slow & set(sys.modules)
    """
    fastest = min(float(program(code).stdout) for _ in range(3))
    # The legacy client takes at least 1.9 s.
    assert fastest < 0.5
    assert re.fullmatch(r"\d+\.\d+\.\d+", streamtable.__version__)
    assert "streamtable" in sys.modules


def test_25_public_names_are_imported_when_they_are_used(program: Any) -> None:
    for name in streamtable.__all__:
        value = getattr(streamtable, name)
        if isinstance(value, type) and name not in streamtable._MODULES["_native"]:
            assert value.__module__ == "streamtable"
    named = [name for names in streamtable._MODULES.values() for name in names]
    assert sorted([*named, "__version__"]) == sorted(streamtable.__all__) == sorted(set(streamtable.__all__))
    assert set(streamtable.__all__) <= set(dir(streamtable))
    assert not hasattr(streamtable, "Stream_Table")
    code = """
        from streamtable import *
        assert StreamTable and serve and RowError
        import streamtable
        from streamtable._errors import RowTypeError
        # An error that the program did not import.
        assert repr(RowTypeError) == "<class 'streamtable.RowTypeError'>"
        import pickle
        refused = streamtable.RefusedRow(3, {"a": 1}, "why", "a")
        assert pickle.loads(pickle.dumps(refused)) == refused != streamtable.RefusedRow(3, {"a": 1}, "why")
        assert repr(refused) == "RefusedRow(index=3, row={'a': 1}, reason='why', column='a')"
        try:
            refused.index = 4
        except AttributeError:
            pass
        else:
            raise AssertionError("changed")
    """
    program(code)
