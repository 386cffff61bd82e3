"""Fixtures: a server, an isolated environment for each test, and tables."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import Server

from streamtable import StreamTable

PATIENCE = 60


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server shared by all tests."""
    with Server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(autouse=True)
def machine(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment configured for the server, without other settings."""
    for name in list(os.environ):
        if name.startswith(("WANDB_", "WEAVE_", "XDG_", "STREAMTABLE_")) and name not in (
            "STREAMTABLE_BIN",
            "STREAMTABLE_CLIENTS",
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(server.netrc))
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("STREAMTABLE_SPOOL", str(tmp_path / "spool"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def name() -> str:
    """A unique table name."""
    return f"me/p/t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def open_table(name: str) -> Iterator[Callable[..., StreamTable]]:
    """Opens the table without output; it is finished when the test ends."""
    tables = []

    def open_table(table: str = name, **options: object) -> StreamTable:
        opened = StreamTable(table, **{"quiet": True, "finish_timeout": 20, **options})  # type: ignore[arg-type]
        tables.append(opened)
        return opened

    yield open_table
    for table in tables:
        if table.stop_reason is None:
            table.finish()


@pytest.fixture
def program(machine: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a program in a separate process until it exits."""

    def program(
        code: str, *args: str, code_is: int | None = 0, **env: str
    ) -> subprocess.CompletedProcess[str]:
        script = machine / f"program{uuid.uuid4().hex[:6]}.py"
        script.write_text(textwrap.dedent(code))
        ended = subprocess.run(
            [sys.executable, script, *args],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
            env={**os.environ, **env},
        )
        if code_is is not None:
            assert ended.returncode == code_is, ended.stdout + ended.stderr
        return ended

    return program
