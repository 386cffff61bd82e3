"""A test server, and a proxy that injects faults."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit


class Server:
    """`streamtable serve` on a free port."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.netrc = folder / "netrc"
        self._process: subprocess.Popen[bytes] | None = None
        self._address = "127.0.0.1:0"
        self.url = ""

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the server, on its previous port if it had one."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "NETRC": str(self.netrc)}
        command = [os.environ["STREAMTABLE_BIN"], "serve", "--data", str(self.folder / "data")]
        greeting = self.folder / "greeting"
        with greeting.open("w") as out, (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen(
                [*command, "--addr", self._address, "--entity", "me"],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        until = time.monotonic() + 30
        while not (found := re.search(r" at (http://\S+)", greeting.read_text())):
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < until, "the server does not start"
            time.sleep(0.02)
        self.url = found[1]
        self._address = urlsplit(self.url).netloc

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    @property
    def key(self) -> str:
        return self.netrc.read_text().split("password")[1].split()[0]

    def get(self, path: str) -> bytes:
        headers = {"Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def append(self, table: str, rows: str) -> None:
        """Append rows of JSON to a table, without a client."""
        headers = {"Authorization": f"Bearer {self.key}"}
        url = f"{self.url}/api/tables/{quote(table)}/rows"
        request = urllib.request.Request(url, rows.encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.loads(answer.read())["rejected_rows"] == 0

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return a table's rows from the API."""
        lines = self.get(f"/api/tables/{quote(table)}/rows?limit=1000000").splitlines()
        return [json.loads(line) for line in lines]

    def columns(self, table: str) -> dict[str, str]:
        """Return a table's columns in their order, with their types."""
        columns = json.loads(self.get(f"/api/tables/{quote(table)}/schema"))["columns"]
        return {column["name"]: column["type"] for column in columns}


# Called with the number of a row request; returns the action.
Plan = Callable[[int], "str | tuple[int, dict[str, str]]"]


class Proxy:
    """A proxy in front of a server that handles row requests by a plan.

    ``"pass"`` forwards the request, ``"lose"`` forwards it and drops the response, ``"hang"`` never
    responds, and a status with headers is returned as the response.
    """

    def __init__(self, server: Server, plan: Plan, hangs_at_open: bool = False):
        self.plan = plan
        self.hangs_at_open = hangs_at_open
        posts = 0
        lock = threading.Lock()
        self.hang = threading.Event()
        self.bodies: list[bytes] = []
        self.all_bodies: list[bytes] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                nonlocal posts
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                if self.path.endswith("/file_stream"):
                    proxy.all_bodies.append(body)
                what: str | tuple[int, dict[str, str]] = "hang" if proxy.hangs_at_open else "pass"
                if self.path.endswith("/file_stream") and b'"files"' in body:
                    with lock:
                        number, posts = posts, posts + 1
                        proxy.bodies.append(body)
                    what = proxy.plan(number)
                if isinstance(what, tuple):
                    status, headers = what
                    self.answer(status, headers, b'{"errors":[{"message":"by the plan"}]}')
                    return
                if what == "hang":
                    proxy.hang.wait(30)
                    self.close_connection = True
                    return
                upstream = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
                headers = {k: v for k, v in self.headers.items() if k.lower() != "connection"}
                upstream.request(self.command, self.path, body, headers)
                answer = upstream.getresponse()
                content = answer.read()
                upstream.close()
                if what == "lose":
                    self.close_connection = True
                    return
                # The client requires headers of the server, for example in responses to uploads.
                own = ("connection", "content-length", "date", "server", "transfer-encoding")
                kept = {k: v for k, v in answer.getheaders() if k.lower() not in own}
                self.answer(answer.status, kept, content)

            do_GET = do_PUT = do_POST

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.set()
        self._http.shutdown()
        self._http.server_close()
