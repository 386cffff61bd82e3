"""Checks that a table on a line of its own shows its panel in evcxr, the kernel of Rust notebooks.

usage: kernel.py EVCXR_JUPYTER REPOSITORY

The server is a `MockBackend` inside the kernel. Compiling the crates in the kernel takes minutes.
"""

import html
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

TIMEOUT = 1200
"""Seconds after which the kernel is given up."""

CELLS = [
    ":opt 0",
    """:dep streamtable = {{ path = "{crates}/client" }}
:dep streamtable-mock-backend = {{ path = "{crates}/mock-backend" }}
use streamtable::{{blocking::StreamTable, row}};
use streamtable_mock_backend::MockBackend;""",
    "let mock = MockBackend::default();",
    """let table = StreamTable::builder("me/shop/requests").transport(mock.clone()).base_url(mock.base_url())
    .api_key("any-key").no_spool().print_url(false).open_blocking().unwrap();""",
    'table.log(row! {{ "path" => "/", "ms" => 7 }}).unwrap();',
    'println!("panel: {{:?}}", table.panel_url());',
    "table",
]


class Kernel:
    """A running kernel."""

    def __init__(self, binary: str, folder: Path) -> None:
        spec = folder / "rust"
        spec.mkdir()
        argv = [os.path.abspath(binary), "--control_file", "{connection_file}"]
        kernel = {"argv": argv, "display_name": "Rust", "language": "rust", "interrupt_mode": "message"}
        (spec / "kernel.json").write_text(json.dumps(kernel))
        specs = KernelSpecManager(kernel_dirs=[str(folder)])
        self.manager = KernelManager(kernel_name="rust", kernel_spec_manager=specs)
        self.manager.start_kernel(env={**os.environ, "EVCXR_CONFIG_DIR": str(folder / "config")})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.end = time.monotonic() + TIMEOUT

    def run(self, code: str) -> tuple[str, list[dict[str, str]]]:
        """Run a cell, and return what it printed and displayed."""
        printed, displayed = "", []
        cell = self.client.execute(code)
        while True:
            message = self.client.get_iopub_msg(timeout=max(1, self.end - time.monotonic()))
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind in ("execute_result", "display_data"):
                displayed.append(content["data"])
            elif kind == "stream":
                printed += content["text"]
            elif kind == "error":
                sys.exit("\n".join([f"the cell failed: {code}", *content["traceback"]]))
            elif kind == "status" and content["execution_state"] == "idle":
                return printed, displayed

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def main(binary: str, repository: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(binary, Path(folder))
        try:
            everything, displayed = "", []
            for cell in CELLS:
                printed, displayed = kernel.run(cell.format(crates=os.path.abspath(repository) + "/crates"))
                everything += printed
        finally:
            kernel.stop()
    url = re.search(r'panel: Some\("(.*)"\)', everything)
    pages = [html.unescape(bundle["text/html"]) for bundle in displayed if "text/html" in bundle]
    if not url or not any(url[1] in page for page in pages):
        sys.exit(f"the last cell does not show the panel: {displayed}; printed: {everything}")
    print(f"a table shows its panel, {url[1]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
