"""A table in JupyterLab, as a person sees it in Chromium.

`cargo xtask python --jupyter` installs JupyterLab and Playwright; Chromium is the system's.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from lab import Server

from streamtable import StreamTable

pytest.importorskip("jupyterlab", reason="cargo xtask python --jupyter installs JupyterLab")
sync_api = pytest.importorskip("playwright.sync_api", reason="--jupyter installs Playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def has_board(server: Server) -> bool:
    """Tell whether the server has pages that are made for frames."""
    try:
        server.get("/embed")
    except urllib.error.HTTPError as error:
        return error.code != 404
    return True


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
# JupyterLab leaves its sockets to the end of its process.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_panel_grows_by_itself(server: Server, name: str, machine: Path) -> None:
    if not has_board(server):
        pytest.skip("this server has no board")
    cells = [
        f"from streamtable import StreamTable\ntable = StreamTable({name!r})",
        "table.log([{'step': step, 'loss': 1 / (1 + step)} for step in range(300)])",
        "table",
    ]
    notebook = {
        "cells": [
            {"cell_type": "code", "id": f"c{i}", "execution_count": None, "metadata": {}, "outputs": [], "source": cell}
            for i, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }  # fmt: skip
    (machine / "table.ipynb").write_text(json.dumps(notebook))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    with (machine / "jupyter.log").open("w") as log:
        lab = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url + "/api", timeout=5).close()
                break
            except OSError:
                assert time.monotonic() < until, (machine / "jupyter.log").read_text()
                time.sleep(0.2)
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
            page = browser.new_page(viewport={"width": 1200, "height": 950})
            page.goto(f"{url}/lab/tree/table.ipynb")
            page.locator(".jp-Notebook .jp-CodeCell").nth(2).wait_for(timeout=60_000)
            page.locator('[title*="Idle"], [data-status="idle"]').first.wait_for(timeout=60_000)
            page.get_by_role("menuitem", name="Run").first.click()
            page.locator('[data-command="runmenu:run-all"]').click()
            panel = page.frame_locator(".jp-OutputArea iframe")
            panel.get_by_text("300 rows").wait_for(timeout=60_000)
            panel.get_by_text("live").first.wait_for(timeout=30_000)
            # Another writer, while nobody touches the page.
            with StreamTable(name, quiet=True) as table:
                table.log([{"step": step, "loss": 1 / (1 + step)} for step in range(300, 900)])
            panel.get_by_text("900 rows").wait_for(timeout=30_000)
            page.wait_for_timeout(500)
            page.screenshot(path=str(screenshots() / "jupyterlab.png"))
            browser.close()
    finally:
        lab.terminate()
        lab.wait(30)


def screenshots() -> Path:
    """Where pictures go that a person should look at: beside the environments."""
    folder = Path(sys.prefix).parent / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
