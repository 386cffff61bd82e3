"""Measures the time from an empty environment to a live board in a browser.

    CHROMIUM=/usr/bin/chromium python first_minute.py WHEEL

The wheel is one that contains the server (`cargo xtask dist`). Needs Playwright in the environment that runs it; the
wheel is installed into a new one, without an index.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright


def main(wheel: str) -> None:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        env = {"HOME": folder, "PATH": f"{home / 'venv/bin'}{os.pathsep}/usr/bin{os.pathsep}/bin", "PIP_NO_CACHE_DIR": "1"}
        start = time.perf_counter()

        def done(what: str) -> None:
            nonlocal start
            now = time.perf_counter()
            print(f"| {what} | {now - start:.1f} s |", flush=True)
            start = now

        subprocess.run([sys.executable, "-m", "venv", home / "venv"], check=True)
        done("`python -m venv venv`")
        install = [home / "venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", wheel]
        subprocess.run(install, check=True, env=env)
        done("`pip install` of the wheel")
        demo = subprocess.Popen(
            [home / "venv/bin/streamtable", "demo"], env=env, cwd=folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            assert demo.stdout is not None
            said = ""
            while not (links := re.findall(r"http://\S*/login\?\S+", said)):
                line = demo.stdout.readline()
                assert line, said
                said += line
            done("`streamtable demo`, until it prints the link")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=["--no-sandbox"])
                page = browser.new_page()
                done("(the browser starts)")
                page.goto(links[0])
                page.get_by_role("button", name="Log in").click()
                page.get_by_text(re.compile(r"[\d,]+ rows")).first.wait_for(timeout=60_000)
                done("the link, one click, until the board shows rows")
                shown = page.locator("body").inner_text()
                while page.locator("body").inner_text() == shown:
                    assert time.perf_counter() - start < 60, shown
                    page.wait_for_timeout(20)
                done("until the board changes by itself")
                browser.close()
        finally:
            demo.terminate()
            demo.wait(30)


if __name__ == "__main__":
    main(sys.argv[1])
