"""The server that comes with the package."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import streamtable
from streamtable import StreamTable

Program = Callable[..., "subprocess.CompletedProcess[str]"]


def test_serve_starts_a_server_for_tables_that_name_none(
    machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("WANDB_BASE_URL")
    monkeypatch.setenv("NETRC", str(machine / "netrc"))
    with streamtable.serve(machine / "data", port=0, entity="me") as server:
        assert server.is_own
        assert f"at {server.url} until this program ends" in capsys.readouterr().err
        with StreamTable("requests", quiet=True) as table:
            table.log({"n": 1})
            assert (table.base_url, table.path) == (server.url, "me/stream-tables/requests")
        assert table.rows(columns=["n"]) == [{"n": 1}]
        again = streamtable.serve(port=int(server.url.rsplit(":", 1)[1]), quiet=True)
        assert (again.url, again.is_own) == (server.url, False)
        again.stop()
        assert table.rows(columns=["n"]) == [{"n": 1}]
    server.stop()
    with pytest.raises(streamtable.UnavailableError, match="nothing listens"):
        StreamTable("requests", base_url=server.url, api_key="k" * 40)


def test_a_server_that_does_not_start_says_why(machine: Path) -> None:
    (machine / "file").write_text("")
    with pytest.raises(streamtable.OpenError, match="the server did not start: error: .*file"):
        streamtable.serve(machine / "file", port=0)


def test_the_server_stops_after_the_tables_of_the_program(program: Program, machine: Path) -> None:
    code = """
        import streamtable
        server = streamtable.serve("data", port=0)
        print(server._process.pid)
        streamtable.StreamTable("requests", quiet=True).log([{"n": n} for n in range(1000)])
    """
    env = {"WANDB_BASE_URL": "", "NETRC": str(machine / "netrc"), "STREAMTABLE_SPOOL": "off"}
    ended = program(code, **env)
    assert ended.stderr.count("\n") == 1, ended.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(ended.stdout), 0)
    again = """
        import streamtable
        with streamtable.serve("data", port=0, quiet=True):
            print(len(streamtable.StreamTable("requests", quiet=True).rows()))
    """
    assert program(again, **env).stdout == "1000\n"


def test_the_module_is_the_command() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "streamtable", "--version"], capture_output=True, text=True, timeout=60
    )
    assert run.stdout.startswith("streamtable "), run.stderr


def test_without_the_binary_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from streamtable import _server

    monkeypatch.delenv("STREAMTABLE_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(_server, "_folder", tmp_path / "none")
    with pytest.raises(streamtable.StreamTableError, match="set STREAMTABLE_BIN"):
        streamtable.serve(port=0)
    # The script that pip installs for this package is not the server.
    command = tmp_path / "streamtable"
    command.write_text("#!/usr/bin/python3\n")
    command.chmod(0o755)
    with pytest.raises(streamtable.StreamTableError, match="set STREAMTABLE_BIN"):
        _server.find_binary()
    command.write_bytes(b"\x7fELF")
    assert _server.find_binary() == str(command)
