"""The package's types, as type checkers see the installed package.

`cargo xtask python` runs mypy itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("basedpyright")


def pyright(*arguments: str) -> Any:
    folder = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(folder.parent)}
    command = [sys.executable, "-m", "basedpyright", "--outputjson", *arguments]
    package = Path(__file__).parents[1]
    ended = subprocess.run(command, cwd=package, env=env, capture_output=True, text=True, timeout=300)
    assert ended.stdout, ended.stderr
    return json.loads(ended.stdout)


def test_pyright_accepts_and_rejects_what_mypy_does() -> None:
    # A comment that ignores an error is an error itself where there is none.
    found = pyright("--project", "pyproject.toml")
    assert found["summary"]["filesAnalyzed"] == 1
    assert [(at["range"]["start"]["line"] + 1, at["message"]) for at in found["generalDiagnostics"]] == []


def test_the_types_of_the_public_interface_are_complete() -> None:
    found = pyright("--verifytypes", "streamtable", "--ignoreexternal")["typeCompleteness"]
    assert found["exportedSymbolCounts"]["withKnownType"] > 150
    unknown = [
        symbol["name"]
        for symbol in found["symbols"]
        if symbol["isExported"] and not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"])
    ]
    assert found["completenessScore"] >= 0.99, unknown
