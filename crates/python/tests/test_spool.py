"""Rows that wait on disk."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from lab import Server

import streamtable.spool
from streamtable import Client

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def test_waiting_rows_are_listed_and_delivered(server: Server, name: str, program: Program, machine: Path) -> None:
    assert streamtable.spool.ls() == [] and streamtable.spool.sync().found == 0
    program(
        """
        import sys
        from streamtable import StreamTable

        table = StreamTable(sys.argv[1], offline=True, quiet=True)
        table.log([{"n": n} for n in range(3)])
        """,
        name,
    )
    [entry] = streamtable.spool.ls()
    assert (entry.table, entry.rows, entry.state, entry.problems) == (name, 3, "waiting", ())
    assert entry.server == server.url and entry.created is not None and entry.created.tzinfo is not None
    assert entry.dir.is_dir() and entry.bytes > 0
    assert streamtable.spool.ls(machine / "spool") == [entry]

    tally = streamtable.spool.sync()
    assert (tally.spools, tally.found, tally.acked, tally.left) == (1, 3, 3, ())
    assert [row["n"] for row in Client().table(name).rows()] == [0, 1, 2]
    assert streamtable.spool.ls() == [] and streamtable.spool.sync().found == 0


def test_a_spool_that_cannot_be_delivered_is_named(
    name: str, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
        import sys
        from streamtable import StreamTable

        StreamTable(sys.argv[1], offline=True, quiet=True, api_key="0" * 40).log({"n": 1})
    """
    program(code, name)
    monkeypatch.setenv("NETRC", "/nowhere")
    tally = streamtable.spool.sync()
    [(folder, reason)] = tally.left
    assert (tally.acked, folder) == (0, str(streamtable.spool.ls()[0].dir))
    assert "key" in reason


def test_what_is_not_a_folder_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for use in (streamtable.spool.ls, streamtable.spool.sync):
        for path in (file, tmp_path / "none"):
            with pytest.raises(NotADirectoryError, match="is not a folder"):
                use(path)


def test_ctrl_c_ends_a_delivery(name: str, program: Program) -> None:
    # It accepts connections, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        log = """
            import sys
            from streamtable import StreamTable

            StreamTable(sys.argv[1], offline=True, quiet=True, base_url=sys.argv[2], api_key="0" * 40).log({"n": 1})
        """
        program(log, name, url)
        sync = """
            import signal, threading, time
            import streamtable.spool

            threading.Timer(1.0, signal.raise_signal, [signal.SIGINT]).start()
            start = time.monotonic()
            try:
                streamtable.spool.sync()
            except KeyboardInterrupt:
                print("interrupted", time.monotonic() - start < 20)
        """
        ended = program(sync, WANDB_API_KEY="0" * 40)
    assert ended.stdout.split() == ["interrupted", "True"]
    assert [entry.rows for entry in streamtable.spool.ls()] == [1]
