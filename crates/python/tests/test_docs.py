"""The examples of the documents and of the docstrings."""

from __future__ import annotations

import ast
import doctest
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Server
from test_llm import model

import streamtable
import streamtable.spool
import streamtable.wandb

__all__ = ["model"]

PACKAGE = Path(__file__).parent.parent

# What differs from a user's machine: there is no browser, port 8080 may be in use, and `tail` ends.
PRELUDE = """
import functools, webbrowser
import streamtable
webbrowser.open = print
streamtable.serve = functools.partial(streamtable.serve, port=0)
tail = streamtable.StreamTable.tail
streamtable.StreamTable.tail = functools.partialmethod(tail, timeout=0.5)
"""


def blocks(path: Path) -> list[str]:
    """Return the blocks of Python in a document."""
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.mark.parametrize("path", ["README.md", "../../docs/guide.md"])
def test_the_examples_of_a_document_run(server: Server, program: Any, model: str, path: str) -> None:
    found = blocks(PACKAGE / path)
    assert found
    text = "\n".join([PRELUDE, *found])
    ended = program(text, OPENAI_API_KEY="k", OPENAI_BASE_URL=f"{model}/v1", WANDB_ENTITY="me")
    assert "Traceback" not in ended.stderr and "not logged" not in ended.stderr, ended.stderr


def public() -> Iterator[tuple[str, Any]]:
    """The public names, and the public methods of classes."""
    for module in (streamtable, streamtable.spool, streamtable.wandb):
        for name in module.__all__:
            value = getattr(module, name)
            if name == "__version__":
                continue
            yield f"{module.__name__}.{name}", value
            if isinstance(value, type) and not issubclass(value, (Warning, Exception)):
                for own, method in vars(value).items():
                    if not own.startswith("_"):
                        yield f"{module.__name__}.{name}.{own}", method


def test_every_public_name_has_a_docstring() -> None:
    without = [
        name
        for name, value in public()
        if not inspect.getdoc(value) and not isinstance(value, str) and not inspect.ismemberdescriptor(value)
    ]
    assert without == []


def test_every_public_function_has_an_example() -> None:
    # Those of the native module are in its stub.
    native = {"Stats", "MediaStats", "Recovered"}
    without = [
        name
        for name, value in public()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and not (inspect.isclass(value) and issubclass(value, (Warning, Exception)))
        and name.split(".")[1] not in native
        and ">>>" not in (inspect.getdoc(value) or "")
    ]
    assert without == []


def test_the_examples_of_docstrings_are_valid() -> None:
    parser, count = doctest.DocTestParser(), 0
    for path in (PACKAGE / "python").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                for example in parser.get_examples(ast.get_docstring(node) or ""):
                    compile(example.source, str(path), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
                    count += 1
    assert count > 80
    # The others need a server. The names must be imported first.
    assert list(public())
    ran = doctest.testmod(streamtable)
    assert ran.attempted > 0 and ran.failed == 0


def test_the_stub_of_the_native_module_has_examples() -> None:
    text = (PACKAGE / "python" / "streamtable" / "_native.pyi").read_text()
    tree = ast.parse(text)
    (table,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "StreamTable"]
    methods = {node.name: node for node in table.body if isinstance(node, ast.FunctionDef)}
    shown = {name for name, node in methods.items() if not name.startswith("_")}
    assert {name for name in shown if not ast.get_docstring(methods[name])} == set()
    examples = doctest.DocTestParser().get_examples(textwrap.dedent(ast.get_docstring(methods["flush"]) or ""))
    assert examples


def test_the_tests_of_faults_exist() -> None:
    page = (PACKAGE / "../../docs/python-faults.md").read_text()
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", page)
    assert len(named) > 40
    assert [name for name in named if f"def {name}(" not in tests] == []
