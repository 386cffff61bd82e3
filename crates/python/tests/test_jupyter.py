"""A table in JupyterLab, displayed in Chromium.

`cargo xtask python --jupyter` and `cargo xtask ci` run it in an environment with JupyterLab and Playwright,
and set `CHROMIUM` to the browser.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, TimeoutError as PlaywrightTimeout, sync_playwright

SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

OPEN = """\
import os
from streamtable import StreamTable
table = StreamTable(os.environ["TRAINING"], quiet=True)
"""
ROWS = """\
def row(step):
    return {
        "step": step,
        "loss": 2.3 / (1 + step / 40),
        "accuracy": 1 - 0.9 / (1 + step / 60),
        "split": "eval" if step % 10 == 9 else "train",
        "sample": f"digits/{step * 37 % 1797:04}.png",
    }
"""
CELLS = [OPEN, ROWS + "\ntable.log([row(step) for step in range(300)]);", "table"]

# Dialogs that JupyterLab shows at its first start.
NOTIFICATIONS = {"fetchNews": "false", "checkForUpdates": False}


# The server's links name 127.0.0.1; JupyterLab by itself opens localhost.
# JupyterLab closes its sockets only at exit.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_panel_shows_new_rows(
    machine: Path,
    program: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
) -> None:
    monkeypatch.setenv("TRAINING", f"me/vision/training-{host.replace('.', '-')}")
    with jupyterlab(machine) as port, sync_playwright() as playwright:
        chromium = os.environ["CHROMIUM"]
        browser = playwright.chromium.launch(executable_path=chromium, args=SWITCHES)
        context = browser.new_context(viewport={"width": 1200, "height": 950})
        page = context.new_page()
        notebook = f"http://{host}:{port}/lab/tree/training.ipynb"
        page.goto(notebook)
        page.locator(".jp-Notebook .jp-CodeCell").nth(2).wait_for(timeout=60_000)
        page.locator('[title*="Idle"], [data-status="idle"]').first.wait_for(timeout=60_000)
        run_all(page)
        panel = page.frame_locator(".jp-OutputArea iframe")
        # The link in the panel logs the browser in only after a click.
        panel.get_by_role("button", name="Log in").click(timeout=60_000)
        panel.get_by_text("300 rows").wait_for(timeout=60_000)
        panel.get_by_text("live").first.wait_for(timeout=30_000)
        # Log from another process without touching the page.
        program(OPEN + ROWS + "table.log([row(step) for step in range(300, 900)])\ntable.finish()")
        panel.get_by_text("900 rows").wait_for(timeout=30_000)
        page.wait_for_timeout(500)
        page.screenshot(path=str(screenshots() / f"jupyterlab-{host}.png"))
        # The saved file shows the panel again: after a reload, and in a second tab.
        page.locator(".jp-Notebook").click(position={"x": 5, "y": 5})
        page.keyboard.press("Control+s")
        wait_until(lambda: "iframe" in (machine / "notebooks/training.ipynb").read_text())
        page.reload()
        second = context.new_page()
        second.goto(notebook)
        for tab in (page, second):
            tab.frame_locator(".jp-OutputArea iframe").get_by_text("900 rows").wait_for(timeout=60_000)
        browser.close()


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.1)


def run_all(page: Page) -> None:
    """Run all cells. JupyterLab ignores the command until its kernel is connected."""
    started = page.locator(".jp-InputArea-prompt", has_text=re.compile(r"\[[*\d]+\]")).first
    for _ in range(6):
        page.get_by_role("menuitem", name="Run").first.click()
        page.locator('[data-command="runmenu:run-all"]').click()
        try:
            return started.wait_for(timeout=10_000)
        except PlaywrightTimeout:
            pass
    page.screenshot(path=str(screenshots() / "jupyterlab-idle.png"))
    raise AssertionError("no cell runs")


@contextmanager
def jupyterlab(machine: Path) -> Iterator[int]:
    """Start JupyterLab in a folder with one notebook; yield its port."""
    cells = [
        {"cell_type": "code", "id": f"c{i}", "execution_count": None, "metadata": {}, "outputs": [], "source": cell.strip()}
        for i, cell in enumerate(CELLS)
    ]  # fmt: skip
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {
        "cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5
    }  # fmt: skip
    folder, settings = machine / "notebooks", machine / "settings"
    folder.mkdir()
    (folder / "training.ipynb").write_text(json.dumps(notebook))
    notifications = settings / "@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    notifications.parent.mkdir(parents=True)
    notifications.write_text(json.dumps(NOTIFICATIONS))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    said = machine / "jupyter.log"
    with said.open("w") as log:
        env = {**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings)}
        lab = subprocess.Popen(
            command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(url + "/api", timeout=5).close()
                break
            except OSError:
                assert lab.poll() is None and time.monotonic() < until, said.read_text()
                time.sleep(0.2)
        yield port
    finally:
        lab.terminate()
        try:
            lab.wait(60)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait(30)


def screenshots() -> Path:
    """The folder for screenshots to be checked by a person: next to the environments."""
    folder = Path(sys.prefix).parent / "screenshots"
    folder.mkdir(exist_ok=True)
    return folder
