"""The server that the package contains, and how to start it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from . import _process
from ._errors import OpenError, StreamTableError

PORT = 8080
"""The port of a server that is started without another one."""

START_TIMEOUT = 60.0
"""Seconds after which a server that does not listen yet is given up."""

_folder = Path(__file__).parent / "_bin"

_NAME = "streamtable.exe" if os.name == "nt" else "streamtable"

default_url: str | None = None
"""The URL of the server that this process has started last."""


def find_binary() -> str:
    """Return the path of the command ``streamtable``.

    That is ``STREAMTABLE_BIN`` if it is set, then the program in this package, then the first one on
    ``PATH`` that is not this package's script.
    """
    own = os.environ.get("STREAMTABLE_BIN")
    # The script of this package would start itself for ever.
    if own and not _is_script(own):
        return own
    path = _folder / _NAME
    if path.is_file():
        return str(path)
    folders = os.environ.get("PATH", "").split(os.pathsep)
    found = (shutil.which("streamtable", path=folder) for folder in folders)
    program = next((path for path in found if path is not None and not _is_script(path)), None)
    if program is None:
        raise StreamTableError(
            "this installation has no server: install a wheel that contains it, or set STREAMTABLE_BIN "
            "to the path of the command `streamtable`"
        )
    return program


def _is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


class Server:
    """A server that this process has started, or found on its port.

    >>> with streamtable.serve() as server:                             # doctest: +SKIP
    ...     print(server.url)
    """

    url: str
    """The server's URL, for ``StreamTable(…, base_url=server.url)``."""

    def __init__(self, url: str, process: subprocess.Popen[str] | None = None):
        self.url = url
        self._process = process

    @property
    def is_own(self) -> bool:
        """Whether this process has started the server, so that :meth:`stop` stops it."""
        return self._process is not None

    def stop(self) -> None:
        """Stop the server if this process has started it. All acknowledged rows are on its disk.

        >>> server.stop()                                               # doctest: +SKIP
        """
        global default_url
        process, self._process = self._process, None
        if process is None:
            return
        if default_url == self.url:
            default_url = None
        if self in _started:
            _started.remove(self)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"Server({self.url!r})"


def serve(
    data: str | os.PathLike[str] = "streamtable-data",
    *,
    port: int = PORT,
    entity: str | None = None,
    quiet: bool = False,
) -> Server:
    """Start a server on this machine, and wait until it listens.

    Tables that name no server use it from then on. It stops when the program ends; its data stays in
    the folder. If a server listens on the port already, that one is used.

    >>> server = streamtable.serve()                                    # doctest: +SKIP
    >>> streamtable.StreamTable("requests").log({"path": "/", "ms": 7}) # doctest: +SKIP

    Args:
        data: The folder of the server's data; created if it does not exist.
        port: The port to listen on; 0 selects a free one.
        entity: The entity of tables that name none; default: the name of the user.
        quiet: Do not print the server's URL.

    Raises:
        OpenError: The server does not start.
    """
    global default_url
    if port and _listens(port):
        server = Server(f"http://127.0.0.1:{port}")
        line = f"streamtable: a server already listens at {server.url}"
    else:
        command = [find_binary(), "serve", "--data", os.fspath(data), "--addr", f"127.0.0.1:{port}"]
        if entity is not None:
            command += ["--entity", entity]
        server = _start(command)
        line = f"streamtable: serves {os.fspath(data)} at {server.url} until this program ends"
    default_url = server.url
    if not quiet:
        _process.print_line(line)
    return server


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 0.5).close()
    except OSError:
        return False
    return True


def _start(command: list[str]) -> Server:
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            # Ctrl-C must reach the tables first, which deliver their rows.
            start_new_session=True,
        )
    except OSError as error:
        raise OpenError(f"cannot start {command[0]}: {error}") from None
    lines: list[str] = []
    changed = threading.Condition()

    def read() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                with changed:
                    # The first lines say where it listens, or why it does not.
                    if len(lines) < 100:
                        lines.append(line)
                    changed.notify_all()
        with changed:
            lines.append("")
            changed.notify_all()

    threading.Thread(target=read, name="streamtable-server", daemon=True).start()
    until = time.monotonic() + START_TIMEOUT
    with changed:
        while True:
            url = next(filter(None, map(_url_in, lines)), None)
            if url is not None:
                server = Server(url, process)
                _started.append(server)
                return server
            has_ended = lines[-1:] == [""]
            if has_ended or time.monotonic() > until:
                break
            changed.wait(1.0)
    process.kill()
    process.wait(10)
    said = "".join(lines).strip() or "it printed nothing"
    raise OpenError(f"the server did not start: {said}")


def _url_in(line: str) -> str | None:
    """Return the URL in the server's first line, ``StreamTable 0.1.0 serves DIR at URL``."""
    url = line.rsplit(" at ", 1)[-1].strip()
    return url if " serves " in line and urlsplit(url).scheme in ("http", "https") else None


_started: list[Server] = []


def _stop_all() -> None:
    for server in list(_started):
        server.stop()


def _after_fork() -> None:
    # The parent stops its servers.
    for server in _started:
        server._process = None
    _started.clear()


_process.after_exit.append(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def main() -> None:
    """Run the command ``streamtable`` with the arguments of this process."""
    try:
        binary = find_binary()
    except StreamTableError as error:
        sys.exit(f"error: {error}")
    arguments = [binary, *sys.argv[1:]]
    if os.name == "nt":
        sys.exit(subprocess.run(arguments).returncode)
    os.execv(binary, arguments)
